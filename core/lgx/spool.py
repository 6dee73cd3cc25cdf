"""The spool: records of one thread, kept as lines, in memory first and then on disk.

What spills lies in an unlinked file: nothing can open it by name, and nothing of it is
left behind when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lgx.budget import Budget
from lgx.codec import decode_line, encode_line
from lgx.errors import FatalError
from lgx.records import Record
from lgx.threads import Loss, Mark, ReadOutcome, ThreadRef

__all__ = ["Bundle", "Spool"]

_BLOCK = 1 << 20
_SMALL = 16 << 10  # never spilled: a full budget must not turn each small thread into a file


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
        self._lines: list[bytes] = []
        self._file: BinaryIO | None = None
        self._ends = array("Q")  # end offsets of the lines on disk
        self._charged = 0
        self._at_end = True  # a seek costs a write of what is buffered
        self.size = 0
        self.count = 0
        self.checkpoints = 0

    def append(self, record: Record) -> None:
        """Encodes and keeps a record."""
        self.append_line(encode_line(record), checkpoint=record.kind == "checkpoint")

    def append_line(self, line: bytes, *, checkpoint: bool) -> None:
        """Keeps a line that `encode_line` made."""
        size = len(line) + 1
        self.count += 1
        self.size += size
        self.checkpoints += checkpoint
        if self._file is None:
            charge = self._charged + size
            small = charge <= _SMALL
            if charge <= self._keep and self._budget.try_take(size, overdraw=small):
                self._charged = charge
                self._lines.append(line)
                return
        try:
            file = self._file or self._spill()
            if not self._at_end:
                file.seek(0, os.SEEK_END)
                self._at_end = True
            file.write(line)
            file.write(b"\n")
        except OSError as error:
            raise self._failed(error) from error
        self._ends.append((self._ends[-1] if self._ends else 0) + size)

    def _spill(self) -> BinaryIO:
        file = self._file = tempfile.TemporaryFile(dir=self._directory, prefix="lgx-spool-")  # noqa: SIM115 -- closed by close()
        end = 0
        for line in self._lines:
            end += len(line) + 1
            self._ends.append(end)
            file.write(line)
            file.write(b"\n")
        self._lines.clear()
        self._budget.give(self._charged)
        self._charged = 0
        return file

    def _failed(self, error: OSError) -> FatalError:
        where = self._directory or tempfile.gettempdir()
        return FatalError(
            f"cannot keep a thread on disk in {where}: {error.strerror}; "
            "free room there, or name another place with --spool-dir"
        )

    def lines(self) -> Iterator[bytes]:
        """The lines in order, without their newlines."""
        if self._file is None:
            yield from list(self._lines)
            return
        for start, stop in list(self._blocks()):
            yield from self._read(start, stop)

    def lines_reversed(self) -> Iterator[bytes]:
        """The lines from the last to the first."""
        if self._file is None:
            yield from reversed(list(self._lines))
            return
        for start, stop in reversed(list(self._blocks())):
            yield from reversed(self._read(start, stop))

    def __iter__(self) -> Iterator[Record]:
        return map(decode_line, self.lines())

    def __reversed__(self) -> Iterator[Record]:
        return map(decode_line, self.lines_reversed())

    def __len__(self) -> int:
        return self.count

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of line numbers that together hold about a block of bytes each."""
        start, begun = 0, 0
        for number, end in enumerate(self._ends):
            if end - begun >= _BLOCK:
                yield start, number + 1
                start, begun = number + 1, end
        if start < len(self._ends):
            yield start, len(self._ends)

    def _read(self, start: int, stop: int) -> list[bytes]:
        assert self._file is not None
        begin = self._ends[start - 1] if start else 0
        try:
            self._at_end = False
            self._file.seek(begin)
            block = self._file.read(self._ends[stop - 1] - begin)
        except OSError as error:
            raise self._failed(error) from error
        lines, offset = [], 0
        for number in range(start, stop):
            end = self._ends[number] - begin
            lines.append(block[offset : end - 1])
            offset = end
        return lines

    def close(self) -> None:
        """Gives the memory back and lets the file go. May be called again."""
        self._budget.give(self._charged)
        self._charged = 0
        self._lines.clear()
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a last flush to a full disk: nobody wants it
                self._file.close()
            self._file = None
            self._ends = array("Q")


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
        """Bytes of the records as lines."""
        return self.spool.size

    @property
    def checkpoints(self) -> int:
        return self.spool.checkpoints

    def __iter__(self) -> Iterator[Record]:
        return iter(self.spool)

    def __len__(self) -> int:
        return self.spool.count

    def lines(self) -> Iterator[bytes]:
        return self.spool.lines()

    def close(self) -> None:
        self.spool.close()
