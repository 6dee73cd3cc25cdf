"""The index of one part: which threads its records are of, and where they stand.

A zstd-compressed NDJSON file beside the part: a head with the part's frames, then an entry
for each thread. Frames are compressed independently, so that one thread can be read without
the rest of the part.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import IntegrityError, Loss, ReadOutcome
from lgx_plugins.archive.manifest import PartInfo

__all__ = ["MAX_WINDOW", "Entry", "Frame", "IndexHead", "decode_index", "encode_index"]

MAX_WINDOW = 1 << 24
"""What a frame may ask a reader to remember; larger ones would break its memory bound."""

_LEVEL = 9


class Frame(Struct, frozen=True, array_like=True):
    """One zstd frame of a part: where it begins, its size, and the size of what is in it."""

    offset: int
    size: int
    bytes: int


class IndexHead(Struct, frozen=True, kw_only=True):
    """The first line of an index."""

    format: str = "lgx-archive-index"
    version: int = 1
    part: str
    frames: tuple[Frame, ...] = ()


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A thread, or a piece of one that is too large for one part.

    Attributes:
        frame: number of the frame that holds it; it never spans two.
        offset: where it begins in what the frame holds.
        bytes: of its lines, newlines included.
        sha256: of these bytes, and those of earlier pieces, the first 32 hexadecimal digits.
        piece: counts the pieces of one thread, from 0; `last` tells the last one.
        mark: the source's version and the fingerprint of the copy; None for a partial one.
        deleted: the thread was removed; its record is a tombstone.
        metadata: of the thread's record, where it is small; `metadata_left_out` where not.
    """

    thread_id: str
    frame: int = 0
    offset: int = 0
    bytes: int
    records: int = 0
    checkpoints: int = 0
    sha256: str
    piece: int = 0
    last: bool = True
    mark: tuple[str, str] | None = None
    outcome: ReadOutcome = "complete"
    losses: tuple[Loss, ...] = ()
    deleted: bool = False
    updated_at: str | None = None
    status: str | None = None
    metadata: Raw | UnsetType = UNSET
    metadata_left_out: bool = False


_encoder = msgspec.json.Encoder()
_entry_decoder = msgspec.json.Decoder(Entry)


def encode_index(head: IndexHead, entries: Sequence[Entry]) -> bytes:
    """The file's bytes."""
    import zstandard

    text = _encoder.encode_lines([head, *entries])
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(text)


def decode_index(data: bytes, part: PartInfo, place: str) -> tuple[IndexHead, list[Entry]]:
    """Head and entries of an index whose digest was checked.

    Raises:
        IntegrityError: it is not the index of this part.
    """
    import zstandard

    name = f"index {part.index_name!r} of archive {place!r}"
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        lines = decompressor.stream_reader(data).read().removesuffix(b"\n").split(b"\n")
        head = msgspec.json.decode(lines[0], type=IndexHead)
        entries = list(map(_entry_decoder.decode, lines[1:]))
    except (zstandard.ZstdError, msgspec.MsgspecError, IndexError) as error:
        raise IntegrityError(f"{name} is malformed: {error}") from error
    if len(entries) != part.threads or any(e.frame >= len(head.frames) for e in entries):
        raise IntegrityError(
            f"{name} does not fit its part; restore it from a copy, or make a new backup to "
            "another path"
        )
    return head, entries
