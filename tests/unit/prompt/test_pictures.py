"""Pictures come out as they were meant to be seen, and only those are opened that are sent."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest
from PIL import Image

from bot.core.domain import AttachmentInfo
from bot.prompt.attachments import decoding
from bot.prompt.attachments.decoder import BUSY
from bot.prompt.attachments.decoding import Decoded
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.files import FileReader
from bot.prompt.attachments.kinds import FileKind
from config.settings import ContextSettings
from tests.support.clock import FakeClock
from tests.support.conversation import ADA, BOB, FakeSources


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def seen(data: bytes) -> Image.Image:
    url = decoding.image_url(data)
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def halves(mode: str, left: object, right: object, size: tuple[int, int]) -> Image.Image:
    """Return a picture of two colours, side by side."""
    image = Image.new(mode, size, left)  # type: ignore[arg-type]
    image.paste(right, (size[0] // 2, 0, *size))  # type: ignore[arg-type]
    return image


def colours(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours in the middle of both halves, without the last bits of a JPEG."""
    width, height = image.size
    found = [image.getpixel((x, height // 2)) for x in (width // 4, width * 3 // 4)]
    return [tuple(round(part / 16) for part in pixel) for pixel in found if pixel is not None]  # type: ignore[union-attr]


SMALL, LARGE = (40, 20), (4500, 2300)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("mode", "left", "right"),
    [
        ("RGB", (255, 0, 0), (0, 0, 255)),
        ("RGBA", (255, 0, 0, 255), (0, 0, 255, 255)),
        ("CMYK", (0, 255, 255, 0), (255, 255, 0, 0)),
    ],
)
def test_colours_stay(
    mode: str, left: tuple[int, ...], right: tuple[int, ...], size: tuple[int, int]
) -> None:
    data = encoded(halves(mode, left, right, size), "JPEG" if mode == "CMYK" else "PNG")
    red, blue = colours(seen(data))
    assert red[0] >= 15
    assert max(red[1:]) <= 1
    assert blue[2] >= 15
    assert max(blue[:2]) <= 1


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str, size: tuple[int, int]) -> None:
    image = halves("RGBA", (0, 0, 0, 0), (0, 0, 0, 255), size)
    if mode == "P":
        image = image.convert("L").convert("P")
        image.paste(1, (0, 0, size[0] // 2, size[1]))
        data = encoded(image, transparency=1)
    else:
        data = encoded(image.convert(mode))
    assert colours(seen(data)) == [(16, 16, 16), (0, 0, 0)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_sixteen_bits_of_grey_keep_their_shades(size: tuple[int, int]) -> None:
    data = encoded(halves("I;16", 0x4000, 0xFFFF, size))
    assert colours(seen(data)) == [(4, 4, 4), (16, 16, 16)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_the_way_the_camera_was_held(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = seen(encoded(Image.new("RGB", (60, 30)), "JPEG", exif=exif))
    assert image.size == ((60, 30) if orientation < 5 else (30, 60))


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"],
)
def test_a_picture_with_spoilt_notes_of_the_camera_is_still_a_picture(exif: bytes) -> None:
    data = encoded(Image.new("RGB", (60, 30)), "JPEG", exif=exif)
    assert seen(data).size == (60, 30)


async def test_only_the_pictures_that_are_sent_are_downloaded_and_opened() -> None:
    sources = FakeSources()
    files = tuple(
        sources.attach(f"{number}.png", encoded(Image.new("RGB", (8 + number, 8))), "image/png")
        for number in range(10)
    )
    asked = sources.say(ADA, "look", attachments=files)
    prompt = await sources.prompt(asked, context_tokens=32_768, sees=True)
    assert len(prompt.turns[-1].images) == 4
    assert sources.file_reads == 4
    assert sources.decoded == [(FileKind.IMAGE, ADA.id)] * 4
    assert prompt.turns[-1].text.count("picture") == 10
    assert "Only the newest 4 pictures are used, of 10." in prompt.remarks


async def test_the_time_a_file_takes_is_the_askers() -> None:
    sources = FakeSources()
    file = sources.attach("a.txt", b"text")
    first = sources.say(BOB, "read", attachments=(file,))
    await sources.prompt(sources.say(ADA, "and?", to=first))
    assert sources.decoded == [(FileKind.TEXT, ADA.id)]


async def test_a_file_that_several_questions_need_is_opened_once() -> None:
    sources = FakeSources()
    file = sources.attach("a.pdf", b"%PDF-1.7 broken")
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())
    found = await asyncio.gather(*(reader.read(file, Share(number, number)) for number in range(5)))
    assert len({content.problem for content in found}) == 1
    assert len(sources.decoded) == 1


async def test_a_reader_that_was_busy_is_asked_again() -> None:
    class Busy(FakeSources):
        async def decode(
            self, kind: FileKind, data: bytes, *, is_cut: bool, share: Share
        ) -> Decoded:
            await super().decode(kind, data, is_cut=is_cut, share=share)
            return Decoded(problem=BUSY)

    sources = Busy()
    file = sources.attach("a.txt", b"text")
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())
    assert [(await reader.read(file, Share(1, 1))).problem for _ in range(2)] == [BUSY, BUSY]
    assert len(sources.decoded) == 2


async def test_what_is_remembered_of_files_is_bounded_and_no_server_drives_out_anothers() -> None:
    sources = FakeSources()
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())

    async def read(number: int, group_id: int) -> None:
        sources.files[number] = b"none"
        await reader.read(AttachmentInfo(number, "a.pdf", None, 4, ""), Share(1, group_id))

    await read(1, 1)
    for number in range(2, 13_000):
        await read(number, 2)
    assert len(reader._kept) <= 12_000
    opened = len(sources.decoded)
    await read(1, 1)
    assert len(sources.decoded) == opened, "another server's files drove this one out"


async def test_a_question_about_a_heap_of_files_reads_the_newest_forty() -> None:
    sources = FakeSources()
    last = None
    for number in range(6):
        files = tuple(sources.attach(f"{number}-{each}.txt", b"word") for each in range(10))
        last = sources.say(ADA, f"more {number}", to=last, attachments=files)
    assert last is not None
    prompt = await sources.prompt(last, context_tokens=32_768)
    assert sources.file_reads == 40
    text = prompt.turns[-1].text
    assert "file 0-0.txt: there are more files here than I read at once" in text
    assert "file 5-9.txt⟧\nword" in text
