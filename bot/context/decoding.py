"""Bytes of untrusted files to text and small images. Pure functions that take a while."""

from __future__ import annotations

import base64
import codecs
import io
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL import Image
    from pypdf import PdfReader

IMAGE_PIXELS: Final = 1024
"""Longest side of an image for the model; LM Studio's own default limit."""

_MAX_PIXELS = 50_000_000
"""A larger picture is refused before it is unpacked."""

_PNG_BYTES = 700_000
_JPEG_QUALITY = 85
_PDF_PAGES = 60
_PDF_CHARS = 400_000

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
_SAMPLE_BYTES = 4096
_EAST_ASIAN = (
    ("shift_jis", "\u3040", "\u30ff", 0.2),
    ("euc_jp", "\u3040", "\u30ff", 0.2),
    ("euc_kr", "\uac00", "\ud7a3", 0.9),
    ("gb18030", "\u4e00", "\u9fff", 0.7),
    ("big5", "\u4e00", "\u9fff", 0.7),
)
"""Encodings, their most telling letters, and the least share of these among the wide ones."""
_logger = logging.getLogger("pypdf")


class UnreadableError(ValueError):
    """A file can't be used; the message is half a sentence that says why."""


def text_of(data: bytes, *, is_cut: bool = False) -> str:
    """Decode a text file of any usual encoding.

    Args:
        data: The file, or its beginning.
        is_cut: The data may end in the middle of a character.

    Raises:
        UnreadableError: The bytes aren't text.
    """
    if data.startswith(_MAGIC):
        raise UnreadableError("it isn't a text file")
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _decode(data[len(bom) :], encoding, is_cut)
    sample = data[:_SAMPLE_BYTES]
    if b"\x00" in sample:
        return _decode(data, _wide_encoding(sample), is_cut)
    try:
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(data, final=not is_cut)
    except UnicodeDecodeError:
        text = _legacy(data)
    _check_text(text)
    return text


def _decode(data: bytes, encoding: str, is_cut: bool) -> str:
    text = codecs.getincrementaldecoder(encoding)("replace").decode(data, final=not is_cut)
    _check_text(text)
    return text


def _wide_encoding(sample: bytes) -> str:
    """Guess UTF-16 without a byte order mark: Latin text has a zero in every second byte."""
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    half = max(1, len(sample) // 2)
    if odd > half * 0.3 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.3 and odd < half * 0.05:
        return "utf-16-be"
    raise UnreadableError("it isn't a text file")


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
        if sum(first <= char <= last for char in wide) >= share * len(wide):
            return text
    return data.decode("cp1252", "replace")


def _check_text(text: str) -> None:
    sample = text[:_SAMPLE_BYTES]
    strange = sum(
        (char < " " and char not in "\t\n\r\f\x1b") or char == "\ufffd" for char in sample
    )
    if strange > len(sample) * 0.05:
        raise UnreadableError("it isn't a text file")


def image_url(data: bytes) -> str:
    """Return an image as a small ``data:`` URL; the same bytes give the same URL.

    Animations give their first frame. Metadata is dropped; PNG and GIF stay PNG while that is small.

    Raises:
        UnreadableError: It isn't a picture, or one that is too large to unpack.
    """
    from PIL import Image, ImageOps  # noqa: PLC0415 - 20 ms and 8 MiB that most runs never need

    refused = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP", "BMP")) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise UnreadableError("the picture is too large")
            is_drawn = image.format in {"PNG", "GIF", "BMP"}
            image.draft("RGB", (IMAGE_PIXELS, IMAGE_PIXELS))
            small = ImageOps.exif_transpose(image)
            small.thumbnail((IMAGE_PIXELS, IMAGE_PIXELS))
            flat = _flat(small)
    except refused as exc:
        raise UnreadableError("the picture is too large") from exc
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as exc:
        if isinstance(exc, UnreadableError):
            raise
        raise UnreadableError("the picture is damaged") from exc
    if is_drawn:
        png = io.BytesIO()
        flat.save(png, "PNG")
        if png.tell() <= _PNG_BYTES:
            return _data_url("image/png", png.getvalue())
    jpeg = io.BytesIO()
    flat.save(jpeg, "JPEG", quality=_JPEG_QUALITY)
    return _data_url("image/jpeg", jpeg.getvalue())


def _flat(image: Image.Image) -> Image.Image:
    """Return the image without transparency, on white."""
    from PIL import Image  # noqa: PLC0415 - see image_url

    if image.mode in {"RGB", "L"}:
        return image
    solid = image.convert("RGBA")
    white = Image.new("RGBA", solid.size, "white")
    white.alpha_composite(solid)
    return white.convert("RGB")


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _unlock(reader: PdfReader) -> None:
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnreadableError("the PDF is locked with a password")


def pdf_text(data: bytes) -> tuple[str, bool]:
    """Return the text of a PDF file's first pages, and whether there is more.

    Raises:
        UnreadableError: It isn't a PDF, is locked or damaged, or holds no text.
    """
    import pypdf  # noqa: PLC0415 - 100 ms that most runs never need
    from pypdf.errors import PyPdfError  # noqa: PLC0415

    if b"%PDF" not in data[:1024]:
        raise UnreadableError("it isn't a PDF file")
    _logger.setLevel(logging.CRITICAL)
    parts: list[str] = []
    chars = 0
    try:
        reader = pypdf.PdfReader(io.BytesIO(data), strict=False)
        _unlock(reader)
        count = len(reader.pages)
        for index in range(min(count, _PDF_PAGES)):
            text = reader.pages[index].extract_text()
            parts.append(text.strip())
            chars += len(text)
            if chars > _PDF_CHARS:
                break
    except UnreadableError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError) as exc:
        raise UnreadableError("the PDF is damaged") from exc
    except (RecursionError, MemoryError, OSError, NotImplementedError, OverflowError) as exc:
        raise UnreadableError("the PDF is damaged") from exc
    whole = "\n\n".join(part for part in parts if part)
    if not whole:
        raise UnreadableError("the PDF holds no text, only pictures")
    return whole[:_PDF_CHARS], len(parts) < count or len(whole) > _PDF_CHARS
