"""Attachments as something a model can read: text, images as data URLs, the text of PDF files."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import datetime

from yarl import URL

from bot.core.clock import Clock
from bot.core.domain import AttachmentInfo
from bot.core.ports import FileSource
from bot.core.tasks import KeyedLocks
from bot.prompt.attachments.decoder import PASSING, Decoder
from bot.prompt.attachments.decoding import OTHER_PICTURE, Decoded
from bot.prompt.attachments.fair_gate import FairGate, Share
from bot.prompt.attachments.kinds import FileKind, is_other_picture, kind_of
from config.settings import ContextSettings

_CACHE_CHARS = 6_000_000
"""Most characters of decoded files kept in memory; a picture of 1024 pixels is about 300,000. Where it is
too much, files of the server that has the most there go first, so that no server's take all of it."""

_ENTRY_CHARS = 500
"""What remembering a file takes beside its content."""

_FILES_AT_ONCE = 4
_FILES_PERSON = 2
"""Files of one person that are held in memory: one is decoded while the next is downloaded."""

_EXPIRY_MARGIN_S = 120


def has_expired(attachment: AttachmentInfo, now: datetime) -> bool:
    """Return whether an attachment's address is no longer valid, or about to be.

    Discord signs addresses and says in ``ex``, a hexadecimal time stamp, until when they hold
    (Discord: reference, signed attachment CDN URLs).
    """
    try:
        return int(URL(attachment.url).query.get("ex", ""), 16) < now.timestamp() + _EXPIRY_MARGIN_S
    except ValueError:
        return False


class FileReader:
    """Reads attachments, bounded in bytes, time and memory.

    What was read is remembered by attachment id, so that a picture goes into every prompt of a
    conversation with the very same bytes, and a file that can't be read is tried once.
    """

    def __init__(
        self, source: FileSource, decoder: Decoder, settings: ContextSettings, clock: Clock
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._settings = settings
        self._kept: OrderedDict[int, tuple[int, Decoded]] = OrderedDict()
        self._kept_chars: Counter[int] = Counter()
        self._reading = KeyedLocks()
        self._gate = FairGate(clock, places=_FILES_AT_ONCE, places_person=_FILES_PERSON)

    async def read(self, attachment: AttachmentInfo, share: Share) -> Decoded:
        """Return what an attachment holds, or why it can't be used; never raises for bad files.

        Args:
            attachment: What to read.
            share: Whose question needs it, and whose time it takes.
        """
        kind = kind_of(attachment)
        if kind is FileKind.OTHER:
            is_picture = is_other_picture(attachment)
            return Decoded(
                problem=OTHER_PICTURE if is_picture else "I can't read this kind of file"
            )
        limit = self._limit_bytes(kind)
        if limit == 0:
            return Decoded(problem="reading such files is switched off")
        if kind is not FileKind.TEXT and attachment.size_bytes > limit:
            return Decoded(problem=f"it is larger than {limit // 1024:,} KiB")
        async with self._reading.of(attachment.id):
            known = self._kept.get(attachment.id)
            if known is not None:
                self._kept.move_to_end(attachment.id)
                return known[1]
            async with self._gate.place(share):
                return await self._read(attachment, kind, limit, share)

    def _limit_bytes(self, kind: FileKind) -> int:
        if kind is FileKind.TEXT:
            return self._settings.max_text_file_bytes
        return self._settings.max_image_bytes

    async def _read(
        self, attachment: AttachmentInfo, kind: FileKind, limit: int, share: Share
    ) -> Decoded:
        self._decoder.prepare(kind)
        data = await self._source.read(attachment, limit_bytes=limit)
        if data is None:
            return Decoded(problem="I couldn't download it")
        is_cut = attachment.size_bytes > len(data)
        content = await self._decoder.decode(kind, data, is_cut=is_cut, share=share)
        if content.problem not in PASSING:
            self._keep(attachment.id, share.group_id, content)
        return content

    def forget(self) -> None:
        """Forget the content of all files."""
        self._kept.clear()
        self._kept_chars.clear()

    def _keep(self, attachment_id: int, group_id: int, content: Decoded) -> None:
        self._kept[attachment_id] = group_id, content
        self._kept_chars[group_id] += _weight(content)
        while self._kept_chars.total() > _CACHE_CHARS and len(self._kept) > 1:
            [(largest, _)] = self._kept_chars.most_common(1)
            oldest = next(key for key, (group, _) in self._kept.items() if group == largest)
            self._kept_chars[largest] -= _weight(self._kept.pop(oldest)[1])
            if not self._kept_chars[largest]:
                del self._kept_chars[largest]


def _weight(content: Decoded) -> int:
    return len(content.text) + len(content.image) + _ENTRY_CHARS
