"""Files: any encoding, small pictures, PDF text, and one sentence for the rest."""

from __future__ import annotations

import base64
import dataclasses
import io
import random
import struct
import zlib

import pypdf
import pytest
from PIL import Image
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from bot.core.domain import AttachmentInfo
from bot.prompt.attachments import decoding
from bot.prompt.attachments.decoding import UnreadableError
from bot.prompt.attachments.fair_gate import Share
from bot.prompt.attachments.files import FileReader
from bot.prompt.attachments.kinds import FileKind, kind_of
from config.settings import ContextSettings
from tests.support.clock import FakeClock
from tests.support.conversation import ADA, CLAW, FakeSources

ADAS = Share(ADA.id, ADA.id)
GERMAN = "Grüße aus Köln, schöne Straße\n" * 3


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"],
)
def test_text_of_any_usual_encoding_is_read(encoding: str) -> None:
    assert decoding.text_of(GERMAN.encode(encoding)) == GERMAN


@pytest.mark.parametrize(
    "text",
    [
        "Привет, мир: всё в порядке.\n",
        "一二三，这是一个测试。\n",
        "これはテストです。\n",
        "مرحبا بالعالم\n",
        "안녕하세요 세계\n",
        "a,b,c",
        "👍 ok\n",
    ],
)
@pytest.mark.parametrize("times", [1, 700])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_read_in_any_script(
    encoding: str, text: str, times: int
) -> None:
    assert decoding.text_of((text * times).encode(encoding)) == text * times


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("人工智能正在改变我们的生活方式", "gb18030"),
        ("こんにちは世界、元気ですか", "shift_jis"),
        ("안녕하세요 세계", "euc_kr"),
        ("Привет, это журнал сервера: ошибок нет", "cp1251"),
        ("Привет, это журнал сервера: ошибок нет", "koi8-r"),
        ("Ça a été très gênant, à côté", "cp1252"),
        ("Grüße", "cp1252"),
        ("Subject: テスト\nこんにちは世界\n", "iso2022_jp"),
    ],
)
def test_older_encodings_are_recognised(text: str, encoding: str) -> None:
    assert decoding.text_of(text.encode(encoding)) == text


def test_text_cut_in_the_middle_of_a_character_is_still_text() -> None:
    assert decoding.text_of("aé".encode()[:2], is_cut=True) == "a"


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04rest",
        b"\x89PNG\r\n",
        b"\x7fELF\x00",
        bytes(range(256)) * 8,
        b"\x00\x01\x02" * 50,
        b"a.txt" + bytes(600) + b"hello",
        b"Hello".join([bytes(3)] * 99),
        b"./src/main.py\x00./README.md\x00./docs/a.txt\x00" * 20,
        b"HOME=/root\x00PATH=/usr/bin\x00LANG=C\x00",
        b"one\x00two" + b"\nA line of a log." * 50,
        random.Random(1).randbytes(5000),
        struct.pack("<999h", *range(-500, 499)),
        struct.pack("<999f", *range(999)),
    ],
)
def test_binary_files_are_not_text(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decoding.text_of(data)


def picture(kind: str, size: tuple[int, int] = (2000, 1000), mode: str = "RGB") -> bytes:
    data = io.BytesIO()
    Image.new(mode, size).save(data, kind)
    return data.getvalue()


def size_of(url: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return image.size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_pictures_become_small_and_always_the_same(kind: str) -> None:
    data = picture(kind)
    url = decoding.image_url(data)
    assert url.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
    assert size_of(url) == (1024, 512)
    assert decoding.image_url(data) == url


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "I;16"])
def test_pictures_of_any_mode_are_flattened(mode: str) -> None:
    assert size_of(decoding.image_url(picture("PNG", (10, 10), mode))) == (10, 10)


def test_a_picture_too_large_to_unpack_is_refused_unopened() -> None:
    bomb = picture("PNG", (9000, 9000), "1")
    assert len(bomb) < 200_000
    with pytest.raises(UnreadableError, match="too large"):
        decoding.image_url(bomb)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n broken", picture("JPEG")[:400]])
def test_a_damaged_picture_is_no_crash(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decoding.image_url(data)


def pdf(*pages: str) -> bytes:
    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(200, 200)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = stream
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def test_the_text_of_a_pdf_is_read_page_by_page() -> None:
    assert decoding.pdf_text(pdf("first page", "second page")) == (
        "first page\n\nsecond page",
        False,
    )


def test_only_the_first_pages_of_a_long_pdf_are_read() -> None:
    text, is_cut = decoding.pdf_text(pdf(*(f"page {n}" for n in range(70))))
    assert is_cut
    assert "page 59" in text
    assert "page 60" not in text


def test_a_pdf_that_unfolds_without_end_is_damaged() -> None:
    body = zlib.compress(b" " * 76_000_000)
    parts = (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length " + str(len(body)).encode() + b">>stream\n",
        body,
        b"\nendstream endobj\ntrailer<</Root 1 0 R/Size 5>>",
    )
    with pytest.raises(decoding.UnreadableError, match="damaged"):
        decoding.pdf_text(b"".join(parts))


def test_a_pdf_encrypted_in_an_unknown_way_is_not_called_damaged() -> None:
    whole = pdf("Hello").replace(b"/Root", b"/Encrypt<</Filter/Adobe.PubSec/V 4>>/Root")
    with pytest.raises(UnreadableError, match="encrypted"):
        decoding.pdf_text(whole)


@pytest.mark.parametrize("kind", [FileKind.TEXT, FileKind.IMAGE, FileKind.PDF])
def test_a_file_without_a_byte_is_empty(kind: FileKind) -> None:
    assert decoding.decode(kind, b"", is_cut=False).problem == "it is empty"


@pytest.mark.parametrize("data", [b"nothing", b"%PDF-1.7 broken", pdf("")])
def test_a_pdf_without_text_says_why(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decoding.pdf_text(data)


@pytest.mark.parametrize(
    ("filename", "content_type", "kind"),
    [
        ("a.py", None, FileKind.TEXT),
        ("a.bin", "text/plain; charset=utf-8", FileKind.TEXT),
        ("a.PNG", "image/png", FileKind.IMAGE),
        ("a.PNG", "application/octet-stream", FileKind.IMAGE),
        ("a.png", "image/apng", FileKind.IMAGE),
        ("a.svg", "image/svg+xml", FileKind.OTHER),
        ("a.pem", "application/x-pem-file", FileKind.TEXT),
        ("a.m3u8", "application/vnd.apple.mpegurl", FileKind.TEXT),
        ("a.pdf", None, FileKind.PDF),
        ("a.zip", "application/zip", FileKind.OTHER),
        ("README", None, FileKind.TEXT),  # its bytes have the last word
        ("app.log.1", "application/octet-stream", FileKind.TEXT),
        ("a.eml", "message/rfc822", FileKind.TEXT),
    ],
)
def test_files_are_sorted_by_type_and_name(
    filename: str, content_type: str | None, kind: FileKind
) -> None:
    assert kind_of(AttachmentInfo(1, filename, content_type, 1, "")) is kind


async def test_a_file_is_downloaded_once_and_only_up_to_the_limit() -> None:
    sources = FakeSources()
    attachment = sources.attach("big.txt", b"x" * 1_000_000)
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())
    content = await reader.read(attachment, ADAS)
    assert len(content.text) == 262_144
    assert content.is_cut
    assert await reader.read(attachment, ADAS) is content
    assert sources.file_reads == 1


@pytest.mark.parametrize(
    ("filename", "content_type", "said"),
    [
        ("IMG_1.HEIC", "image/heic", "PNG, JPEG, GIF, WebP and BMP only"),
        ("a.svg", "image/svg+xml", "PNG, JPEG, GIF, WebP and BMP only"),
        ("a.docx", "application/vnd.openxmlformats", "this kind of file"),
    ],
)
async def test_a_picture_that_is_not_read_is_told_which_are(
    filename: str, content_type: str, said: str
) -> None:
    sources = FakeSources()
    attachment = AttachmentInfo(1, filename, content_type, 30, "https://cdn/a")
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())
    assert said in (await reader.read(attachment, ADAS)).problem
    assert sources.file_reads == 0


async def test_a_large_picture_is_not_even_downloaded() -> None:
    sources = FakeSources()
    attachment = AttachmentInfo(1, "a.png", "image/png", 30_000_000, "https://cdn/a.png")
    content = await FileReader(sources, sources, ContextSettings(), FakeClock()).read(
        attachment, ADAS
    )
    assert "larger" in content.problem
    assert sources.file_reads == 0


async def test_a_failed_download_is_tried_again_next_time() -> None:
    sources = FakeSources()
    attachment = sources.attach("a.txt", b"text")
    data = sources.files.pop(attachment.id)
    reader = FileReader(sources, sources, ContextSettings(), FakeClock())
    assert (await reader.read(attachment, ADAS)).problem
    sources.files[attachment.id] = data
    assert (await reader.read(attachment, ADAS)).text == "text"


async def test_a_long_file_is_cut_to_what_the_model_can_read_and_said_so() -> None:
    sources = FakeSources()
    asked = sources.say(ADA, "read this", attachments=(sources.attach("a.txt", b"word " * 20_000),))
    prompt = await sources.prompt(asked)
    assert prompt.turns[-1].text.startswith("read this\n\n⟦file a.txt⟧\nword")
    assert prompt.prompt_tokens <= (8192 - 512) * 0.9
    assert any("left out" in remark for remark in prompt.remarks)


async def test_pictures_go_only_to_models_that_see() -> None:
    sources = FakeSources()
    image = sources.attach("a.png", picture("PNG", (10, 10)), "image/png")
    asked = sources.say(ADA, "what is it?", attachments=(image,))
    seeing = await sources.prompt(asked, sees=True)
    blind = await sources.prompt(asked, sees=False)
    assert len(seeing.turns[-1].images) == 1
    assert not blind.turns[-1].images
    assert any("can't see" in remark for remark in blind.remarks)


async def test_old_pictures_are_dropped_in_steps() -> None:
    sources = FakeSources()
    last = None
    shown = []
    for number in range(8):
        image = sources.attach(f"{number}.png", picture("PNG", (8 + number, 8)), "image/png")
        last = sources.say(ADA, f"look {number}", to=last, attachments=(image,), minutes=20)
        prompt = await sources.prompt(last, context_tokens=32_768, sees=True)
        shown.append([len(turn.images) for turn in prompt.turns[1:]][0::2])
        last = sources.say(CLAW, f"seen {number}", to=last)
    assert [sum(counts) for counts in shown] == [1, 2, 3, 4, 3, 4, 3, 4]


async def test_a_file_whose_address_has_expired_is_read_by_its_new_one() -> None:
    sources = FakeSources()
    old = sources.attach("a.txt", b"text")
    expired = dataclasses.replace(old, id=99, url="https://cdn/a.txt?ex=1")
    asked = sources.say(ADA, "read", attachments=(expired,))
    fresh = dataclasses.replace(expired, url="https://cdn/a.txt?ex=ffffffff")
    sources.files[99] = b"the text"
    sources.messages[asked.place][-1] = dataclasses.replace(asked, attachments=(fresh,))
    seen: list[str] = []

    async def read(attachment: AttachmentInfo, *, limit_bytes: int) -> bytes | None:
        seen.append(attachment.url)
        return sources.files[attachment.id][:limit_bytes]

    sources.read = read  # type: ignore[method-assign]
    prompt = await sources.prompt(asked)
    assert "the text" in prompt.turns[-1].text
    assert seen == [fresh.url]
