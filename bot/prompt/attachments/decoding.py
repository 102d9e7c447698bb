"""Bytes of untrusted files to text and small images. Pure functions that take a while."""

from __future__ import annotations

import base64
import codecs
import io
import logging
import re
import struct
import unicodedata
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bot.prompt.attachments.kinds import FileKind
from bot.prompt.cleaning import clean_text

if TYPE_CHECKING:
    from PIL import Image

IMAGE_PIXELS: Final = 1024
"""Longest side of an image for the model; LM Studio's own default limit."""

_MAX_PIXELS = 50_000_000
_MAX_SIDE = 65_535
_UNPACKED_BYTES = 200 * 1024 * 1024
"""A larger picture is refused before it is unpacked."""

_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""What Pillow holds for a pixel, by mode; four bytes in all others, and 16 while it reads WebP."""

_STRIP_PIXELS = 1_000_000
_ORIENTATION_TAG = 0x0112

_PNG_BYTES = 700_000
_JPEG_QUALITY = 85
_PDF_PAGES = 60
_PDF_CHARS = 400_000
_OF_DAMAGE: Final = (
    *(ValueError, LookupError, TypeError, AttributeError, OSError),
    *(RecursionError, ArithmeticError, AssertionError),
)
"""What pypdf raises for a damaged file, besides its own."""

_MAGIC = (
    b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x7fELF",
    b"MZ\x90\x00", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"RIFF", b"OggS", b"fLaC", b"ID3",
    b"\xca\xfe\xba\xbe", b"\x28\xb5\x2f\xfd", b"SQLite format 3", b"wOFF", b"wOF2", b"\x00asm",
)  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHIFTS = re.compile(rb"\x1b\$[@B]")
"""What begins Japanese letters in the encoding of its mails, which is all ASCII."""

_SAMPLE_BYTES = 4096
_ODD = frozenset({"Cc", "Cn", "Co", "Cs"})
"""Categories of characters that hardly any text has."""

_EAST_ASIAN = (
    ("shift_jis", "\u3040", "\u30ff", 0.2),
    ("euc_jp", "\u3040", "\u30ff", 0.2),
    ("euc_kr", "\uac00", "\ud7a3", 0.9),
    ("gb18030", "\u4e00", "\u9fff", 0.7),
    ("big5", "\u4e00", "\u9fff", 0.7),
)
"""Encodings, their most telling letters, and the least share of these among the wide ones."""
NOT_TEXT: Final = "it is no text, picture or PDF that I can read"
OTHER_PICTURE: Final = "I can read pictures in PNG, JPEG, GIF, WebP and BMP only"
TOO_LONG: Final = "it takes too long to read"
TOO_LARGE: Final = "it unfolds to more than I can hold"
_log = logging.getLogger(__name__)
_pypdf_log = logging.getLogger("pypdf")


class UnreadableError(ValueError):
    """A file can't be used; the message is half a sentence that says why."""


class OutOfTimeError(BaseException):
    """The processor time for a file is used up; no ``except Exception`` on the way may keep it."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of a file.

    Attributes:
        text: Text of a text file or PDF, cleaned.
        image: ``data:`` URL of an image.
        problem: Why it can't be used, as half a sentence; empty when it can.
        is_cut: Only the first part was read.
    """

    text: str = ""
    image: str = ""
    problem: str = ""
    is_cut: bool = False


def decode(kind: FileKind, data: bytes, *, is_cut: bool) -> Decoded:
    """Decode a file, or say why that can't be done.

    Args:
        kind: What to take it for.
        data: The file, or its beginning.
        is_cut: There is more of it than ``data``.

    Raises:
        OutOfTimeError: Somebody's timer raised it and there is nothing to show for the time.
    """
    if not data:
        return Decoded(problem="it is empty")
    try:
        if kind is FileKind.IMAGE:
            return Decoded(image=image_url(data))
        if kind is FileKind.PDF:
            text, is_cut = pdf_text(data)
        else:
            text = text_of(data, is_cut=is_cut)
        text = clean_text(text)
        if not text.strip():
            return Decoded(problem="it holds no text")
        return Decoded(text, is_cut=is_cut)
    except UnreadableError as exc:
        return Decoded(problem=str(exc))
    except MemoryError:
        return Decoded(problem=TOO_LARGE)


def text_of(data: bytes, *, is_cut: bool = False) -> str:
    """Decode a text file of any usual encoding.

    Args:
        data: The file, or its beginning.
        is_cut: The data may end in the middle of a character.

    Raises:
        UnreadableError: The bytes aren't text.
    """
    if data.startswith(_MAGIC):
        raise UnreadableError(NOT_TEXT)
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _decode(data[len(bom) :], encoding, is_cut)
    sample = data[:_SAMPLE_BYTES]
    if b"\x00" in sample:
        return _decode(data, _wide_encoding(sample), is_cut)
    narrow = "iso2022_jp" if data.isascii() and _SHIFTS.search(data) else "utf-8"
    try:
        text = codecs.getincrementaldecoder(narrow)("strict").decode(data, final=not is_cut)
    except UnicodeDecodeError:
        text = _legacy(data)
    _check_text(text)
    return text


def _decode(data: bytes, encoding: str, is_cut: bool) -> str:
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data, final=not is_cut)
    _check_text(text)
    return text


def _wide_encoding(sample: bytes) -> str:
    """Guess UTF-16 without a byte order mark: read rightly it has ASCII's signs, and hardly any odd ones."""
    score, encoding = max((_plainness(sample, each), each) for each in ("utf-16-be", "utf-16-le"))
    if score <= 0 or _is_divided(sample):
        raise UnreadableError(NOT_TEXT)
    return encoding


def _is_divided(sample: bytes) -> bool:
    """Return whether zeros divide a narrow text, as in a list of files: no even share of its bytes."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) > 0.15 * len(sample) and min(even, odd) < 0.025 * len(sample):
        return False
    bare = sample.replace(b"\x00", b"")
    try:
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(bare)
    except UnicodeDecodeError:
        return False
    return not any(unicodedata.category(char) in _ODD and not char.isspace() for char in text)


def _plainness(sample: bytes, encoding: str) -> int:
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    odd = sum(unicodedata.category(char) in _ODD and not char.isspace() for char in text)
    return sum(char < "\x7f" for char in text) - 4 * (odd + text.count("\ufffd"))


def _legacy(data: bytes) -> str:
    """Decode an older encoding: an East Asian one if its own letters come out, else Latin."""
    high = sum(byte >= 0x80 for byte in data[:_SAMPLE_BYTES])
    if high < 0.25 * len(data[:_SAMPLE_BYTES]):
        return data.decode("cp1252", "replace")
    for encoding, first, last, share in _EAST_ASIAN:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        wide = [char for char in text[:_SAMPLE_BYTES] if char > "\x7f"]
        if sum(first <= char <= last for char in wide) >= max(2, share * len(wide)):
            return text
    return data.decode(_single_byte(data[:_SAMPLE_BYTES]), "replace")


def _single_byte(sample: bytes) -> str:
    """Guess an encoding: a Cyrillic one where most letters aren't ASCII's, else Latin."""
    letters = [byte for byte in sample if byte >= 0xC0]
    signs = sum(0x80 <= byte < 0xC0 for byte in sample)
    plain = sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    if len(letters) <= max(4 * signs, plain):
        return "cp1252"
    # Small letters, which are more, come last in one and first in the other.
    return "cp1251" if sum(byte >= 0xE0 for byte in letters) * 2 >= len(letters) else "koi8-r"


def _check_text(text: str) -> None:
    sample = text[:_SAMPLE_BYTES]
    strange = sum(
        (char < " " and char not in "\t\n\r\f\x1b") or char == "\ufffd" for char in sample
    )
    if strange > len(sample) * 0.05:
        raise UnreadableError(NOT_TEXT)


def image_url(data: bytes) -> str:
    """Return an image as a small ``data:`` URL; the same bytes give the same URL.

    Animations give their first frame. Metadata is dropped; PNG and GIF stay PNG while that is small.

    Raises:
        UnreadableError: It isn't a picture, or one that is too large to unpack.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - only who decodes pays for it

    formats = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=formats) as image,
        ):
            _check_size(image)
            is_drawn = image.format in {"PNG", "GIF", "BMP"}
            flat = _upright(_shrunk(image), _orientation(image))
    except Image.DecompressionBombError as exc:
        raise UnreadableError("the picture is too large") from exc
    except UnreadableError:
        raise
    except UnidentifiedImageError as exc:
        raise UnreadableError(OTHER_PICTURE) from exc
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError) as exc:
        raise UnreadableError("the picture is damaged") from exc
    flat.thumbnail((IMAGE_PIXELS, IMAGE_PIXELS))
    if is_drawn:
        png = io.BytesIO()
        flat.save(png, "PNG")
        if png.tell() <= _PNG_BYTES:
            return _data_url("image/png", png.getvalue())
    jpeg = io.BytesIO()
    flat.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return _data_url("image/jpeg", jpeg.getvalue())


def _check_size(image: Image.Image) -> None:
    """Refuse a picture by what it would unpack to; a JPEG is asked to unpack less.

    Raises:
        UnreadableError: It is too large.
    """
    if image.width * image.height > _MAX_PIXELS or max(image.size) > _MAX_SIDE:
        raise UnreadableError("the picture is too large")
    # libjpeg keeps every coefficient of a progressive picture, however small it is to come out.
    kept = 6 * image.width * image.height if image.info.get("progressive") else 0
    image.draft("RGB", (IMAGE_PIXELS, IMAGE_PIXELS))
    pixel_bytes = 16 if image.format == "WEBP" else _PIXEL_BYTES.get(image.mode, 4)
    if kept + image.width * image.height * pixel_bytes > _UNPACKED_BYTES:
        raise UnreadableError("the picture is too large")


def _shrunk(image: Image.Image) -> Image.Image:
    """Return a picture flat and at most about twice as large as wanted.

    It is done strip by strip, so that nothing but the unpacked picture itself is ever large.
    """
    from PIL import Image  # noqa: PLC0415 - see image_url

    factor = max(1, max(image.size) // (2 * IMAGE_PIXELS))
    if factor == 1:
        return _flat(image)
    width, height = image.size
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(height, top + rows)))
        small.paste(_flat(strip).reduce(factor), (0, top // factor))
    return small


def _flat(image: Image.Image) -> Image.Image:
    """Return the image as RGB or L, without transparency, on white."""
    from PIL import Image  # noqa: PLC0415 - see image_url

    if image.mode.startswith("I"):
        return image.point(lambda value: value * (1 / 257) + 0).convert("L")
    if "transparency" not in image.info:
        if image.mode in {"RGB", "L"}:
            return image.copy()
        if image.mode in {"1", "CMYK", "YCbCr"}:
            return image.convert("RGB")
    solid = image.convert("RGBA")
    white = Image.new("RGBA", solid.size, "white")
    white.alpha_composite(solid)
    return white.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """Return how a camera was held, 1 to 8 (Exif 2.3, tag 0x0112); 1 where that is unreadable."""
    try:
        held = image.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, LookupError, struct.error):
        return 1
    return held if isinstance(held, int) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - see image_url

    way = Image.Transpose
    turns = {
        2: way.FLIP_LEFT_RIGHT,
        3: way.ROTATE_180,
        4: way.FLIP_TOP_BOTTOM,
        5: way.TRANSPOSE,
        6: way.ROTATE_270,
        7: way.TRANSVERSE,
        8: way.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def pdf_text(data: bytes) -> tuple[str, bool]:
    """Return the text of a PDF file's first pages, and whether there is more.

    Where a page can't be read, those before it are all there is.

    Raises:
        UnreadableError: It isn't a PDF, is locked or damaged, takes too long, or holds no text.
    """
    from pypdf.errors import DependencyError, LimitReachedError, PyPdfError  # noqa: PLC0415 - see image_url

    if b"%PDF" not in data[:1024]:
        raise UnreadableError("it isn't a PDF file")
    pages: list[str] = []
    is_cut, why = True, "the PDF is damaged"
    try:
        is_cut = _read_pages(data, pages)
    except UnreadableError:
        raise
    except OutOfTimeError:
        why = TOO_LONG
    except (MemoryError, LimitReachedError):
        why = TOO_LARGE
    except (DependencyError, NotImplementedError):
        why = "the PDF is encrypted or packed in a way that I can't read"
    except (PyPdfError, *_OF_DAMAGE) as exc:
        _log.debug("a damaged PDF: %s", type(exc).__name__)
    else:
        why = "the PDF holds no text, only pictures"
    whole = "\n\n".join(page for page in pages if page)
    if not whole:
        raise UnreadableError(why)
    return whole[:_PDF_CHARS], is_cut or len(whole) > _PDF_CHARS


def _read_pages(data: bytes, pages: list[str]) -> bool:
    """Add the text of the first pages to ``pages``; returns whether there are more.

    Raises:
        UnreadableError: The file is locked.
        Exception: Whatever pypdf makes of a damaged file.
    """
    import pypdf  # noqa: PLC0415 - see image_url

    _pypdf_log.setLevel(logging.CRITICAL)
    reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableError("the PDF is locked with a password")
    count = len(reader.pages)
    chars = 0
    for index in range(min(count, _PDF_PAGES)):
        text = reader.pages[index].extract_text().strip()
        pages.append(text)
        chars += len(text)
        if chars > _PDF_CHARS:
            break
    return len(pages) < count
