"""Bundles as rows of the tables, in chunks of bounded size."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from lgx import Bundle, ChannelBlob, CheckpointWrite, Loss, RawCheckpoint
from lgx_plugins.checkpointers.rows.digests import Cell, RowDigest
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import check_row, is_split, stored_metadata
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.sqlite.tables import CHECKPOINTS, WRITES

__all__ = ["Chunk", "Thread", "chunks"]

Chunk: TypeAlias = dict[str, list[tuple[Cell, ...]]]
"""Cells by table; the thread's id comes first."""

_CHUNK = 1 << 20  # bytes
_LINE = 200
"""About how many bytes a row takes besides its values."""


Line: TypeAlias = tuple[str, tuple[Cell, ...], int]
"""Cells for a table, and about how much memory they take."""


class Thread:
    """One bundle on its way into the tables; what was learnt of it once `lines` is through."""

    def __init__(self, bundle: Bundle, cipher: Cipher, *, task_paths: bool) -> None:
        """`task_paths`: whether the table of writes has a column for them."""
        self.bundle = bundle
        self._cipher = cipher
        self._task_paths = task_paths
        self._digest = RowDigest()
        self._pathless = 0
        self._unused = 0

    def lines(self) -> Iterator[Line]:
        """
        Raises:
            ThreadError: something in it has no place in the tables.
        """
        thread_id = self.bundle.thread_id
        self._digest, self._pathless, self._unused = RowDigest(), 0, 0
        with closing(Joiner(self._cipher)) as joiner:
            joiner.begin(self.bundle)
            for record in self.bundle:
                row = check_row(record, thread_id)
                if isinstance(row, ChannelBlob):
                    joiner.keep(row)
                    continue
                if isinstance(row, RawCheckpoint):
                    whole = joiner.join(row) if is_split(row) else row
                    table, cells = CHECKPOINTS, _checkpoint(whole)
                else:
                    table, cells = WRITES, self._write(row)
                self._digest.add(table, cells)
                if table is WRITES and not self._task_paths:
                    cells = cells[:-1]
                size = _LINE + sum([len(cell) for cell in cells if type(cell) is bytes])
                yield table, (thread_id, *cells), size
            self._unused = joiner.unused

    def _write(self, row: CheckpointWrite) -> tuple[Cell, ...]:
        path = row.task_path or ""
        if path and not self._task_paths:
            self._pathless += 1
            path = ""  # what stands there has none
        return (
            row.checkpoint_ns,
            row.checkpoint_id,
            row.task_id,
            row.idx,
            row.channel,
            row.type,
            row.blob,
            path,
        )

    def digest(self) -> str:
        """Of the rows as they would be written."""
        for _ in self.lines():
            pass
        return self.written

    @property
    def written(self) -> str:
        """The same, of the rows that have come out of `lines`."""
        return self._digest.text()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What the tables could not take of it."""
        found: list[Loss] = []
        if self._pathless:
            found.append(
                self._loss(
                    f"task_path of {self._pathless} writes",
                    "the table of writes is of a langgraph-checkpoint-sqlite before 3.1.2 and has "
                    "no column for it; open the file once with a newer one, which adds it, and "
                    "run again",
                    holdable=True,
                )
            )
        if self._unused:
            found.append(
                self._loss(
                    f"{self._unused} values of channels",
                    "no checkpoint refers to them, and whole documents hold what their own "
                    "checkpoint does",
                )
            )
        return tuple(found)

    def _loss(self, what: str, why: str, *, holdable: bool = False) -> Loss:
        return Loss(what=what, why=why, thread_id=self.bundle.thread_id, holdable=holdable)


def _checkpoint(whole: RawCheckpoint) -> tuple[Cell, ...]:
    return (
        whole.checkpoint_ns,
        whole.checkpoint_id,
        whole.parent_checkpoint_id,
        whole.type,
        whole.blob,
        stored_metadata(whole),
    )


def chunks(threads: Iterable[Thread]) -> Generator[Chunk, None, None]:
    """Rows by table, in chunks of about a megabyte, or of one row where that is larger.

    Raises:
        ThreadError: one of the threads has no place in the tables.
    """
    chunk: Chunk = {}
    held = 0
    for thread in threads:
        for table, cells, size in thread.lines():
            chunk.setdefault(table, []).append(cells)
            held += size
            if held >= _CHUNK:
                yield chunk
                chunk, held = {}, 0
    if chunk:
        yield chunk
