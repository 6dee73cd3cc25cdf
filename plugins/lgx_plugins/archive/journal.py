"""The journal: batches committed since the manifest, one line each.

A line is `LLLLLLLL DDDDDDDDDDDDDDDD JSON`: the length of the JSON in hexadecimal, sixteen
digits of its SHA-256, and the JSON. Each is on the disk before the next begins, so
a crash can tear the last one only.
"""

from __future__ import annotations

import hashlib
import re

import msgspec
from msgspec import Struct

from lgx import IntegrityError
from lgx_plugins.archive.manifest import PartInfo, check_parts

__all__ = ["Batch", "Journal", "JournalHead", "decode_journal", "encode_entry"]

_LINE = re.compile(rb"([0-9a-f]{8}) ([0-9a-f]{16}) ")
_HEAD_BYTES = 26
_HOLE = bytes(8)  # blocks that were never written read as zeros


class JournalHead(Struct, frozen=True, kw_only=True):
    """The first line: what the journal continues."""

    archive: str
    generation: int
    started_at: str


class Batch(Struct, frozen=True, kw_only=True):
    """One commit: all of these parts, or none of them."""

    batch: int
    parts: tuple[PartInfo, ...]


class Journal(Struct, frozen=True, kw_only=True):
    """What a journal says; `torn` where its last line is not whole."""

    batches: tuple[Batch, ...] = ()
    torn: bool = False


def encode_entry(entry: JournalHead | Batch) -> bytes:
    """A line, with its newline."""
    text = msgspec.json.encode(entry)
    digest = hashlib.sha256(text).hexdigest()[:16]
    return f"{len(text):08x} {digest} ".encode() + text + b"\n"


def decode_journal(data: bytes, *, archive: str, generation: int, last: int, place: str) -> Journal:
    """The whole lines of a journal.

    Args:
        last: the last batch that the manifest holds.

    Raises:
        IntegrityError: a line was changed, lost or added; a torn last line is no error.
    """
    name = f"journal-{generation:08d} of archive {place!r}"
    batches: list[Batch] = []
    position = number = 0
    while position < len(data):
        number += 1
        end = data.find(b"\n", position)
        line = data[position:] if end < 0 else data[position:end]
        text = _checked(line) if end >= 0 else None
        if text is None:
            if _is_torn(line, is_last=end < 0 or end == len(data) - 1, ended=end >= 0):
                return Journal(batches=tuple(batches), torn=True)
            raise IntegrityError(
                f"line {number} of {name} is damaged; restore it from a copy, or make a new backup "
                "to another path"
            )
        position = end + 1
        try:
            if number == 1:
                head = msgspec.json.decode(text, type=JournalHead)
                if (head.archive, head.generation) != (archive, generation):
                    raise IntegrityError(f"{name} belongs to another archive")
                continue
            batch = msgspec.json.decode(text, type=Batch)
        except msgspec.MsgspecError as error:
            raise IntegrityError(f"line {number} of {name} is malformed: {error}") from error
        if batch.batch != last + 1:
            raise IntegrityError(
                f"line {number} of {name} holds batch {batch.batch} where {last + 1} is due"
            )
        check_parts(batch.parts, place)
        last += 1
        batches.append(batch)
    return Journal(batches=tuple(batches))


def _checked(line: bytes) -> bytes | None:
    """The JSON of a line, None where the line is not what was written."""
    match = _LINE.match(line)
    if not match:
        return None
    text = line[_HEAD_BYTES:]
    if len(text) != int(match[1], 16):
        return None
    return text if hashlib.sha256(text).hexdigest()[:16].encode() == match[2] else None


def _is_torn(line: bytes, *, is_last: bool, ended: bool) -> bool:
    """Whether a crash can have left this line: cut short, or with blocks never written."""
    if not is_last:
        return False
    if _HOLE in line or (line and not line.strip(b"\0")):
        return True
    if ended:
        return False
    match = _LINE.match(line)
    if not match:
        return len(line) < _HEAD_BYTES
    return len(line) - _HEAD_BYTES < int(match[1], 16) or _checked(line) is not None
