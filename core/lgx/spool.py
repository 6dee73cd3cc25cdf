"""The spool: records of one thread, in memory first and then as lines on disk.

What spills lies in an unlinked file: nothing can open it by name, and nothing of it is
left behind when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from lgx.budget import Budget
from lgx.codec import decode_line, encode_blocks, encode_line, encoded_size
from lgx.errors import FatalError
from lgx.records import (
    CHECKPOINT_KINDS,
    ChannelBlob,
    CheckpointWrite,
    RawCheckpoint,
    Record,
)
from lgx.threads import Loss, Mark, ReadOutcome, ThreadRef

__all__ = ["Bundle", "Spool"]

_STRETCH = 1 << 20
_ROWS = (RawCheckpoint, ChannelBlob, CheckpointWrite)
_ROW_BYTES = 700  # about what one of them takes in memory beside its values
_SMALL = 16 << 10  # never spilled: a full budget must not turn each small thread into a file

_Block: TypeAlias = bytes | Sequence[Record]
"""Whole lines, each with its newline, or what they are made of."""


class Spool:
    """Appended to once, read as often as needed, forwards or backwards; closed by its maker.

    Not for several tasks at once. Reading while appending sees what stood there when
    the reading began. A disk that is full or fails is a `FatalError`.
    """

    def __init__(self, budget: Budget, directory: Path | None = None, keep: int = 4 << 20) -> None:
        """`keep`: bytes that may stay in memory, if the budget has room for them."""
        self._budget = budget
        self._directory = directory
        self._keep = keep
        self._blocks: list[_Block] = []  # in memory
        self._file: BinaryIO | None = None
        self._ends = array("Q")  # on disk: where each block ends
        self._charged = 0
        self._at_end = True  # a seek costs a write of what is buffered
        self.size = 0
        """Bytes of the records as lines; about so many where they are kept as they are."""
        self.count = 0
        self.checkpoints = 0

    def append(self, record: Record) -> None:
        """Encodes and keeps a record."""
        self.append_line(encode_line(record), checkpoint=record.kind in CHECKPOINT_KINDS)

    def append_line(self, line: bytes, *, checkpoint: bool) -> None:
        """Keeps a line that `encode_line` made."""
        self.count += 1
        self.checkpoints += checkpoint
        self._add(line + b"\n")

    def extend(self, records: Sequence[Record]) -> None:
        """Keeps several records together: rows of checkpointers as they are while they stay in
        memory, which spares most sinks the way through base64; others are encoded, at a fraction
        of what they cost one by one."""
        for rows, some in itertools.groupby(records, _is_row):
            together = tuple(some)
            size = encoded_size(together) if rows and self._file is None else None
            if size is not None and self._take(size + _ROW_BYTES * len(together)):
                self._blocks.append(together)
                self.size += size
            else:
                for block in encode_blocks(together):
                    self._add(block)
        self.count += len(records)
        self.checkpoints += sum(record.kind in CHECKPOINT_KINDS for record in records)

    def _take(self, size: int) -> bool:
        """Takes room for what is to stay in memory, if there is some."""
        charge = self._charged + size
        small = charge <= _SMALL
        if charge > self._keep or not self._budget.try_take(size, overdraw=small):
            return False
        self._charged = charge
        return True

    def _add(self, block: bytes) -> None:
        size = len(block)
        self.size += size
        if self._file is None and self._take(size):
            self._blocks.append(block)
            return
        try:
            file = self._file or self._spill()
            if not self._at_end:
                file.seek(0, os.SEEK_END)
                self._at_end = True
            file.write(block)
        except OSError as error:
            raise self._failed(error) from error
        self._ends.append((self._ends[-1] if self._ends else 0) + size)

    def _spill(self) -> BinaryIO:
        file = self._file = tempfile.TemporaryFile(dir=self._directory, prefix="lgx-spool-")  # noqa: SIM115 -- closed by close()
        end = 0
        for kept in self._blocks:
            for block in _encoded(kept):
                end += len(block)
                self._ends.append(end)
                file.write(block)
        self._blocks.clear()
        self._budget.give(self._charged)
        self._charged = 0
        return file

    def _failed(self, error: OSError) -> FatalError:
        where = self._directory or tempfile.gettempdir()
        return FatalError(
            f"cannot keep a thread on disk in {where}: {error.strerror}; "
            "free room there, or name another place with --spool-dir"
        )

    def blocks(self) -> Iterator[bytes]:
        """The lines in order, many in one piece, each with its newline."""
        if self._file is None:
            for block in list(self._blocks):
                yield from _encoded(block)
            return
        for start, stop in list(self._stretches()):
            yield self._read(start, stop)

    def lines(self) -> Iterator[bytes]:
        """The lines in order, without their newlines."""
        for block in self.blocks():
            yield from _split(block)

    def lines_reversed(self) -> Iterator[bytes]:
        """The lines from the last to the first."""
        if self._file is None:
            for kept in reversed(list(self._blocks)):
                for block in reversed(_encoded(kept)):
                    yield from reversed(_split(block))
            return
        for start, stop in reversed(list(self._stretches())):
            yield from reversed(_split(self._read(start, stop)))

    def __iter__(self) -> Iterator[Record]:
        return itertools.chain.from_iterable(map(_records, self._blocks_as_kept()))

    def _blocks_as_kept(self) -> Iterable[_Block]:
        return list(self._blocks) if self._file is None else self.blocks()

    def __reversed__(self) -> Iterator[Record]:
        if self._file is not None:
            return map(decode_line, self.lines_reversed())
        blocks = reversed(list(self._blocks))
        return itertools.chain.from_iterable(map(_records_reversed, blocks))

    def without(self, kinds: Collection[str]) -> Iterator[Record]:
        """The records of all other kinds, in order; these are not decoded, and so passed over at
        little cost."""
        begins = tuple(f'{{"kind":"{kind}"'.encode() for kind in kinds)
        for block in self._blocks_as_kept():
            if isinstance(block, bytes):
                lines = (line for line in _split(block) if not line.startswith(begins))
                yield from (
                    record for record in map(decode_line, lines) if record.kind not in kinds
                )
            else:
                yield from (record for record in block if record.kind not in kinds)

    def __len__(self) -> int:
        return self.count

    def _stretches(self) -> Iterator[tuple[int, int]]:
        """Where to read from and to, so that each time about a megabyte of blocks comes."""
        start = end = 0
        for end in self._ends:
            if end - start >= _STRETCH:
                yield start, end
                start = end
        if start < end:
            yield start, end

    def _read(self, start: int, stop: int) -> bytes:
        assert self._file is not None
        try:
            self._at_end = False
            self._file.seek(start)
            return self._file.read(stop - start)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Gives the memory back and lets the file go. May be called again."""
        self._budget.give(self._charged)
        self._charged = 0
        self._blocks.clear()
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a last flush to a full disk: nobody wants it
                self._file.close()
            self._file = None
            self._ends = array("Q")


def _is_row(record: Record) -> bool:
    return type(record) in _ROWS


def _encoded(block: _Block) -> Sequence[bytes]:
    return (block,) if isinstance(block, bytes) else encode_blocks(block)


def _records(block: _Block) -> Iterable[Record]:
    return map(decode_line, _split(block)) if isinstance(block, bytes) else block


def _records_reversed(block: _Block) -> Iterable[Record]:
    if isinstance(block, bytes):
        return map(decode_line, reversed(_split(block)))
    return reversed(block)


def _split(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    lines.pop()  # nothing follows the last newline
    return lines


class Bundle:
    """All records of one thread, in order; what a sink is handed.

    Iterating gives records, `lines()` the same records as NDJSON lines without decoding;
    both as often as wanted, from one thread at a time. A bundle of a deployment's own
    records (`Sink.write_extras`) has neither `ref` nor `mark`.
    """

    def __init__(
        self,
        spool: Spool,
        *,
        ref: ThreadRef | None,
        mark: Mark | None,
        outcome: ReadOutcome = "complete",
        losses: tuple[Loss, ...] = (),
    ) -> None:
        self.spool = spool
        self.ref = ref
        self.mark = mark
        """To be kept beside the thread; None for a partial one, which is never marked."""
        self.outcome = outcome
        self.losses = losses

    @property
    def thread_id(self) -> str:
        assert self.ref is not None, "a bundle of extras belongs to no thread"
        return self.ref.thread_id

    @property
    def size(self) -> int:
        """Bytes of the records as lines, or about so many."""
        return self.spool.size

    @property
    def checkpoints(self) -> int:
        return self.spool.checkpoints

    def __iter__(self) -> Iterator[Record]:
        return iter(self.spool)

    def __len__(self) -> int:
        return self.spool.count

    def without(self, kinds: Collection[str]) -> Iterator[Record]:
        """The records of all other kinds, in order; these are passed over at little cost."""
        return self.spool.without(kinds)

    def lines(self) -> Iterator[bytes]:
        return self.spool.lines()

    def blocks(self) -> Iterator[bytes]:
        """The same lines many in one piece, each with its newline: for copying them on."""
        return self.spool.blocks()

    def close(self) -> None:
        self.spool.close()
