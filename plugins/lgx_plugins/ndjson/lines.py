"""Lines: cut out of the pieces of a file, and looked at without reading what they carry."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from msgspec import Struct

from lgx import (
    CHECKPOINT_KINDS,
    EXTRA_KINDS,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    RawCheckpoint,
    Record,
    Run,
    decode_line,
)

__all__ = ["Envelope", "guess_thread", "lines_of", "look"]

_HEAD = 4096  # bytes of a malformed line among which a thread id is looked for
_THREAD_ID = re.compile(rb'"thread_id"\s*:\s*("(?:[^"\\]|\\.)*")')


class Envelope(Struct, frozen=True, kw_only=True):
    """What must be known of a line to put it into its place."""

    kind: str
    thread_id: str | None = None
    checkpoint_ns: str = ""
    checkpoint_id: str | None = None
    parent_checkpoint_id: str | None = None
    run_id: str | None = None
    channel: str | None = None
    version: str | int | None = None
    task_id: str | None = None
    idx: int | None = None

    @property
    def owner(self) -> str | None:
        """The thread that the record belongs to; None for a deployment's own."""
        return None if self.kind in EXTRA_KINDS else self.thread_id

    @property
    def identity(self) -> tuple[str, ...] | None:
        """What no two records of a thread share; None where the kind has no such thing."""
        if self.kind == "thread":
            return ("thread",)
        if self.kind in CHECKPOINT_KINDS:
            return (self.kind, self.checkpoint_ns, self.checkpoint_id or "")
        if self.kind == "channel_blob":
            return (self.kind, self.checkpoint_ns, self.channel or "", str(self.version))
        if self.kind == "checkpoint_write":
            place = (self.checkpoint_ns, self.checkpoint_id or "", self.task_id or "")
            return (self.kind, *place, str(self.idx))
        if self.kind == "run" and self.run_id is not None:
            return ("run", self.run_id)
        return None

    @property
    def parent(self) -> tuple[str, ...] | None:
        """The identity of a checkpoint's parent."""
        if self.kind not in CHECKPOINT_KINDS or self.parent_checkpoint_id is None:
            return None
        return (self.kind, self.checkpoint_ns, self.parent_checkpoint_id)


_envelopes = msgspec.json.Decoder(Envelope)


def look(line: bytes) -> Envelope:
    """The envelope of a line.

    Raises:
        ThreadError: the line is not a record.
    """
    try:
        return _envelopes.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _envelope(decode_line(line))


def _envelope(record: Record) -> Envelope:
    if isinstance(record, Checkpoint | RawCheckpoint):
        return Envelope(
            kind=record.kind,
            thread_id=record.thread_id,
            checkpoint_ns=record.checkpoint_ns,
            checkpoint_id=record.checkpoint_id,
            parent_checkpoint_id=record.parent_checkpoint_id,
        )
    if isinstance(record, ChannelBlob):
        return Envelope(
            kind=record.kind,
            thread_id=record.thread_id,
            checkpoint_ns=record.checkpoint_ns,
            channel=record.channel,
            version=record.version,
        )
    if isinstance(record, CheckpointWrite):
        return Envelope(
            kind=record.kind,
            thread_id=record.thread_id,
            checkpoint_ns=record.checkpoint_ns,
            checkpoint_id=record.checkpoint_id,
            task_id=record.task_id,
            idx=record.idx,
        )
    return Envelope(
        kind=record.kind,
        thread_id=getattr(record, "thread_id", None),
        run_id=record.run_id if isinstance(record, Run) else None,
    )


def guess_thread(line: bytes) -> str | None:
    """The thread that a malformed line seems to belong to."""
    match = _THREAD_ID.search(line, 0, _HEAD)
    if match is None:
        return None
    try:
        return msgspec.json.decode(match[1], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


async def lines_of(
    pieces: AsyncGenerator[bytes, None],
) -> AsyncGenerator[tuple[bytes, bool], None]:
    """Each line without white space around it, and whether it is ended, as all but the last
    must be; empty ones too, so that they can be counted.

    A long line is put together once, when its end has come.
    """
    begun: list[bytes] = []
    async with aclosing(pieces):
        async for piece in pieces:
            first, *rest = piece.split(b"\n")
            begun.append(first)
            if not rest:
                continue
            yield b"".join(begun).strip(), True
            for line in rest[:-1]:
                yield line.strip(), True
            begun = [rest[-1]]
    last = b"".join(begun).strip()
    if last:
        yield last, False
