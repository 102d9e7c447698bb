"""Files made to cost whoever opens them time or memory, and files that are merely broken."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

_SIDE = 7071
"""Just under 50 million pixels."""

_FLATE = b"/Filter/FlateDecode"
_FONT = b"/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"


@dataclass(frozen=True, slots=True)
class Bomb:
    """One file of the collection.

    Attributes:
        name: What it does.
        filename: Its name on Discord, which says what it passes for.
        make: Returns its bytes.
    """

    name: str
    filename: str
    make: Callable[[], bytes]


def picture(
    kind: str, size: tuple[int, int], mode: str = "RGB", colour: object = 0, **options: object
) -> bytes:
    """Return a picture of one colour."""
    data = io.BytesIO()
    Image.new(mode, size, colour).save(data, kind, **options)  # type: ignore[arg-type]
    return data.getvalue()


def animation(kind: str, size: tuple[int, int], frames: int) -> bytes:
    """Return an animated picture whose frames differ."""
    data = io.BytesIO()
    first, *others = [Image.new("L", size, number % 256) for number in range(frames)]
    first.save(data, kind, save_all=True, append_images=others)
    return data.getvalue()


def huge_webp() -> bytes:
    """Return a WebP file that says it is as large as one can be (RFC 9649, VP8X)."""
    small = picture("WEBP", (8, 8))[12:]
    chunks = b"VP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + small
    return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a PDF file of these objects, numbered from 1, which is the catalog."""
    body = b"".join(b"%d 0 obj%sendobj\n" % (n, each) for n, each in enumerate(objects, start=1))
    end = b"trailer<</Root 1 0 R/Size %d%s>>\nstartxref\n0\n%%%%EOF\n"
    return b"%PDF-1.7\n" + body + end % (len(objects) + 1, trailer)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """Return a stream object."""
    return b"<<%s/Length %d>>stream\n%s\nendstream " % (entries, len(content), content)


def paged(content: bytes, *further: bytes, resources: bytes = _FONT, filters: bytes = b"") -> bytes:
    """Return a PDF file of one page; further objects have the numbers from 5."""
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<%s>>>>" % resources,
        stream(content, filters),
        *further,
    )


def letters(count: int) -> bytes:
    """Return a page that writes so many letters, each by itself."""
    return paged(zlib.compress(b"BT /F1 9 Tf (a) Tj ET\n" * count, 9), filters=_FLATE)


def page_tree(depth: int) -> bytes:
    """Return a tree of pages in which each node names the next one twice."""
    nodes = [
        b"<</Type/Pages/Count 9/Kids[%d 0 R %d 0 R]>>" % (number + 1, number + 1)
        for number in range(2, depth + 2)
    ]
    return pdf(b"<</Type/Catalog/Pages 2 0 R>>", *nodes, b"<</Type/Page/MediaBox[0 0 9 9]>>")


def forms(depth: int) -> bytes:
    """Return a page that draws a form, which draws the next one twice, and so on."""
    further = [
        stream(
            b"/A Do /A Do",
            b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A %d 0 R>>>>"
            % (number + 1),
        )
        for number in range(5, depth + 5)
    ]
    last = stream(b"BT (x) Tj ET", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]")
    return paged(b"/A Do", *further, last, resources=b"/XObject<</A 5 0 R>>")


def many_pages(count: int) -> bytes:
    """Return a PDF file of so many pages that share a content."""
    kids = b" ".join(b"%d 0 R" % number for number in range(4, count + 4))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 3 0 R/Resources<<%s>>>>" % _FONT
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids),
        stream(b"BT /F1 9 Tf (page) Tj ET"),
        *[page] * count,
    )


def unfolding(layers: int) -> bytes:
    """Return a page whose content is compressed several times over."""
    content = b"BT /F1 9 Tf (a) Tj ET\n" * 3_000_000
    for _ in range(layers):
        content = zlib.compress(content, 9)
    return paged(content, filters=b"/Filter[%s]" % (b"/FlateDecode" * layers))


def object_streams(depth: int) -> bytes:
    """Return object streams, each of which says that it lies in the next one."""
    streams = [
        stream(b"%d 0 <<>>" % number, b"/Type/ObjStm/N 1/First 4/Extends %d 0 R" % (number + 1))
        for number in range(2, depth + 2)
    ]
    return pdf(b"<</Type/Catalog/Pages %d 0 R>>" % (depth + 1), *streams)


def xref_loop() -> bytes:
    """Return a file whose table of objects names itself as the one before."""
    body = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>>endobj\n"
    at = len(body)
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer<</Root 1 0 R/Size 2/Prev %d>>\n" % at
    return body + table + b"startxref\n%d\n%%%%EOF\n" % at


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file (PNG specification, 5.3)."""
    whole = kind + data
    return len(data).to_bytes(4, "big") + whole + zlib.crc32(whole).to_bytes(4, "big")


def packed(kind: bytes, size: int) -> bytes:
    """Return a chunk of notes or of a colour profile that unfolds to so many bytes."""
    return chunk(kind, b"a\0\0" + zlib.compress(b"a" * size, 9))


def png_with(*chunks: bytes) -> bytes:
    """Return a small PNG file with further chunks before its picture."""
    whole = picture("PNG", (8, 8))
    return whole[:33] + b"".join(chunks) + whole[33:]


def jpeg_scans(count: int) -> bytes:
    """Return a progressive JPEG file whose last scan comes again and again."""
    whole = picture("JPEG", (2000, 2000), progressive=True)
    at = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[at:-2] * count + whole[-2:]


def large_gif() -> bytes:
    """Return a GIF file that says it is as large as one can be."""
    whole = bytearray(picture("GIF", (8, 8)))
    whole[6:10] = b"\xff\xff\xff\xff"
    return bytes(whole)


def to_unicode(count: int) -> bytes:
    """Return a page whose font says of so many ranges of letters what they are."""
    lines = b"<00000000> <0fffffff> <0041>\n" * count
    table = b"1 begincodespacerange <00> <ff> endcodespacerange\n%d beginbfrange\n%sendbfrange\n"
    return paged(
        b"BT /F1 9 Tf (a) Tj ET",
        b"<</Type/Font/Subtype/Type1/BaseFont/X/ToUnicode 6 0 R>>",
        stream(table % (count, lines)),
        resources=b"/Font<</F1 5 0 R>>",
    )


def objects_in_a_stream(count: int) -> bytes:
    """Return a file that says how its objects lie by a stream, with far more of them than there are."""
    table = b"/Type/XRef/Size %d/W[1 8 8]/Index[0 %d]/Root 1 0 R/Filter/FlateDecode" % (
        count,
        count,
    )
    body = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 1 0 R/Kids[]>>endobj\n"
    at = len(body)
    whole = stream(zlib.compress(b"\0" * 17 * count, 9), table)
    return body + b"9 0 obj" + whole + b"endobj\nstartxref\n%d\n%%%%EOF\n" % at


def inline_pictures(count: int) -> bytes:
    """Return a page of pictures in its content that never end."""
    content = b"BI /W 9 /H 9 ID " * count
    return paged(zlib.compress(content, 9), filters=_FLATE)


def predicted() -> bytes:
    """Return a page whose content is rows of 2^30 columns."""
    entries = b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 1073741824/Colors 32>>"
    return paged(zlib.compress(b"\2" + b"\0" * 10_000_000, 9), filters=entries)


def pictured() -> bytes:
    """Return a page that draws a picture, as a fax packs it, of 2^60 dots."""
    entries = (
        b"/Type/XObject/Subtype/Image/Width 1073741824/Height 1073741824/BitsPerComponent 1"
        b"/ColorSpace/DeviceGray/Filter/JBIG2Decode"
    )
    return paged(b"/I Do", stream(b"\0" * 99, entries), resources=b"/XObject<</I 5 0 R>>")


def ladder(open_: str, close: str, depth: int) -> bytes:
    """Return marks that open and close around nothing."""
    return (open_ * depth + close * depth).encode()


def zipped(name: str) -> bytes:
    """Return an archive with a file of 300 MB of zeros, as documents are packed."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as to:
        for _ in range(300):
            to.write(bytes(1_000_000))
    return data.getvalue()


BOMBS = (
    Bomb("PNG, 50 million pixels", "a.png", lambda: picture("PNG", (_SIDE, _SIDE))),
    Bomb("PNG with alpha", "a.png", lambda: picture("PNG", (_SIDE, _SIDE), "RGBA")),
    Bomb("PNG, one bit", "a.png", lambda: picture("PNG", (20_000, 20_000), "1")),
    Bomb("PNG, one line", "a.png", lambda: picture("PNG", (4_000_000, 1), "L")),
    Bomb("JPEG, progressive", "a.jpg", lambda: picture("JPEG", (_SIDE, _SIDE), progressive=True)),
    Bomb("WebP, largest", "a.webp", huge_webp),
    Bomb("GIF, large frames", "a.gif", lambda: animation("GIF", (4000, 4000), 2)),
    Bomb("GIF, 500 frames", "a.gif", lambda: animation("GIF", (64, 64), 500)),
    Bomb("WebP, animated", "a.webp", lambda: animation("WEBP", (3000, 3000), 2)),
    Bomb("AVIF as PNG", "a.png", lambda: picture("AVIF", (64, 64))),
    Bomb("PNG, animated", "a.png", lambda: animation("PNG", (3000, 3000), 4)),
    Bomb("PNG, notes that unfold", "a.png", lambda: png_with(*[packed(b"zTXt", 1_000_000)] * 400)),
    Bomb("PNG, colours that unfold", "a.png", lambda: png_with(packed(b"iCCP", 300_000_000))),
    Bomb(
        "PNG, really TIFF", "a.png", lambda: picture("TIFF", (_SIDE, _SIDE), compression="tiff_lzw")
    ),
    Bomb("PNG, really ICO", "a.png", lambda: picture("ICO", (256, 256))),
    Bomb("PNG, really a drawing", "a.png", lambda: b"<svg>" + b"<g>" * 500_000),
    Bomb("PNG, really a document", "a.png", lambda: zipped("word/document.xml")),
    Bomb("PNG, no byte", "a.png", lambda: b""),
    Bomb("JPEG, scans without end", "a.jpg", lambda: jpeg_scans(20_000)),
    Bomb("GIF, largest", "a.gif", large_gif),
    Bomb("PDF, ranges of letters", "a.pdf", lambda: to_unicode(500)),
    Bomb("PDF, ten million objects", "a.pdf", lambda: objects_in_a_stream(10_000_000)),
    Bomb("PDF, pictures that never end", "a.pdf", lambda: inline_pictures(300_000)),
    Bomb("PDF, endless rows", "a.pdf", predicted),
    Bomb("PDF, a fax", "a.pdf", pictured),
    Bomb("PDF, really a book", "a.pdf", lambda: zipped("OEBPS/a.xhtml")),
    Bomb("PDF, no byte", "a.pdf", lambda: b""),
    Bomb("PDF, a million letters", "a.pdf", lambda: letters(1_000_000)),
    Bomb("PDF, compressed twice", "a.pdf", lambda: unfolding(2)),
    Bomb("PDF, compressed five times", "a.pdf", lambda: unfolding(5)),
    Bomb("PDF, tree of 2^60 pages", "a.pdf", lambda: page_tree(60)),
    Bomb("PDF, tree 5,000 deep", "a.pdf", lambda: page_tree(5000)),
    Bomb("PDF, 2^40 forms", "a.pdf", lambda: forms(40)),
    Bomb("PDF, 20,000 pages", "a.pdf", lambda: many_pages(20_000)),
    Bomb("PDF, nested object streams", "a.pdf", lambda: object_streams(2000)),
    Bomb("PDF, table of objects in a loop", "a.pdf", xref_loop),
    Bomb("PDF, array 100,000 deep", "a.pdf", lambda: paged(b"[" * 100_000)),
    Bomb("text, one line of 20 MB", "a.txt", lambda: b"x" * 20_000_000),
    Bomb("text, UTF-16 unmarked", "a.txt", lambda: ("Grüße, Welt. " * 40_000).encode("utf-16-le")),
    Bomb("text, lists in lists", "a.json", lambda: ladder("[", "]", 1_000_000)),
    Bomb("text, objects in objects", "a.json", lambda: ladder('{"a":', "}", 400_000)),
    Bomb("text, elements in elements", "a.xml", lambda: ladder("<a>", "</a>", 500_000)),
    Bomb("text, page", "a.html", lambda: ladder("<div><!--", "--></div>", 200_000)),
    Bomb("text, really an archive", "a.txt", lambda: gzip.compress(bytes(300_000_000))),
    Bomb("text, really a sheet", "a.csv", lambda: zipped("xl/sheet1.xml")),
    Bomb("text, no byte", "a.txt", lambda: b""),
    Bomb("text, no character", "a.txt", lambda: b"\xef\xbb\xbf\r\n" * 300_000),
    Bomb("text, UTF-16", "a.txt", lambda: ("a中" * 60_000).encode("utf-16")),
    Bomb("text, one line of 8 MB", "a.txt", lambda: b"x" * 8_000_000),
    Bomb("text, brackets and bars", "a.md", lambda: b"<|" * 130_000),
    Bomb("text, two scripts by turns", "a.log", lambda: "a中".encode() * 60_000),
)
"""Each costs its reader far more than it costs its writer."""


def broken() -> list[Bomb]:
    """Return files of every kind, cut short and with bytes changed; the same ones each time."""
    rng = random.Random(9)
    whole = {
        "a.png": picture("PNG", (60, 60), "P"),
        "a.jpg": picture("JPEG", (60, 60), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"),
        "a.gif": animation("GIF", (60, 60), 3),
        "a.webp": animation("WEBP", (60, 60), 3),
        "a.bmp": picture("BMP", (60, 60)),
        "a.pdf": letters(20),
    }
    found = []
    for filename, data in whole.items():
        for number in range(4):
            spoilt = bytearray(data)
            for _ in range(1 + number * 3):
                spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
            cut = bytes(spoilt[: rng.randrange(len(spoilt))] if number % 2 else spoilt)
            found.append(Bomb(f"{filename} {number}", filename, lambda cut=cut: cut))  # type: ignore[misc]
    return found
