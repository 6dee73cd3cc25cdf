"""Writing threads in a transaction that somebody else has begun."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    Loss,
    RawCheckpoint,
    Record,
    RetryableError,
    ThreadError,
    WriteOutcome,
    decode_line,
)
from lgx_plugins.checkpointers.postgres.digests import counts, digests, standing
from lgx_plugins.checkpointers.postgres.documents import Documents
from lgx_plugins.checkpointers.postgres.marks import Marks
from lgx_plugins.checkpointers.postgres.rows import Shape, Shapes, changed_numbers
from lgx_plugins.checkpointers.postgres.tables import (
    BLOBS,
    CHECKPOINTS,
    SAVER_TABLES,
    WRITES,
    Tables,
)
from lgx_plugins.checkpointers.rows.conflicts import Course, Judgement, Policy, judge, left
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import check_row, is_split
from lgx_plugins.checkpointers.rows.marks import Kept, to_keep
from lgx_plugins.checkpointers.rows.splitting import Splitter
from lgx_plugins.postgres.copying import Row
from lgx_plugins.postgres.writer import copy

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Writer"]

_BLOB = b'{"kind":"channel_blob",'
_WRITE = b'{"kind":"checkpoint_write",'
_CHECKPOINT = b'{"kind":"raw_checkpoint",'

_LISTED = 100  # losses of one thread
_STAGED = "lgx_staged_"


class _Judged(msgspec.Struct):
    """
    Attributes:
        held: the digest of what stands there, empty where nothing does.
        staged: what comes, where it was compared with that.
    """

    judgement: Judgement
    held: str = ""
    staged: _Coming | None = None


class _Coming:
    """A thread that is to be written, and what is found out about it on the way."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.rows = dict.fromkeys(SAVER_TABLES, 0)
        self.pathless = 0
        self._losses: list[Loss] = []
        self._more = 0

    def lose(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            if len(self._losses) < _LISTED:
                self._losses.append(loss)
            else:
                self._more += 1

    def losses(self) -> tuple[Loss, ...]:
        found = [*self._losses]
        thread_id = self.bundle.thread_id
        if self._more:
            why = "they are like those listed before them"
            found.append(
                Loss(what=f"{self._more} more", why=why, thread_id=thread_id, holdable=False)
            )
        if self.pathless:
            found.append(
                Loss(
                    what=f"task_path of {self.pathless} writes",
                    why="the table has no column of that name; run the checkpointer's setup() "
                    "there to add it",
                    thread_id=thread_id,
                )
            )
        return tuple(found)

    def mark(self, source: str, written: str) -> Kept:
        """What is kept of it, once these rows stand there."""
        kept = to_keep(source, self.bundle, written)
        if any(loss.holdable for loss in self.losses()):
            return msgspec.structs.replace(kept, version=None, fingerprint=None)
        return kept


class Writer:
    """Puts threads in for one source, each in place of what it wrote there before."""

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        marks: Marks,
        *,
        source: str,
        policy: Policy,
        cipher: Cipher,
    ) -> None:
        self._connection = connection
        self._tables = tables
        self._shapes = Shapes(tables)
        self._marks = marks
        self._source = source
        self._policy = policy
        self._cipher = cipher

    async def store(self, bundles: Sequence[Bundle]) -> list[WriteOutcome]:
        """
        Args:
            bundles: of different threads.

        Raises:
            ThreadError: one of the threads cannot be held; the transaction is of no use then.
        """
        by_id = {bundle.thread_id: bundle for bundle in bundles}
        for thread_id in by_id:
            if "\0" in thread_id:
                raise ThreadError(
                    f"PostgreSQL cannot hold the thread id {thread_id!r}: it has the character "
                    "NUL; SQLite, an archive or an ndjson file can"
                )
        judged = await self._judged(by_id)
        kept: dict[str, Kept] = {}
        outcomes: dict[str, WriteOutcome] = {}
        coming: list[_Coming] = []
        for thread_id, one in judged.items():
            course = one.judgement.course
            if course is Course.LEAVE:
                outcomes[thread_id] = left(self._policy, by_id[thread_id], one.judgement)
            elif course is Course.WRITE:
                coming.append(_Coming(by_id[thread_id]))
            else:
                assert one.staged is not None, "the same as what comes, so it was looked at"
                kept[thread_id] = one.staged.mark(self._source, one.held)
                outcomes[thread_id] = WriteOutcome(
                    thread_id=thread_id, losses=one.staged.losses(), written=False
                )
        ids = [one.bundle.thread_id for one in coming]
        await self._remove([one for one in ids if judged[one].held])
        await self._copy(coming)
        kept.update(await self._written(coming))
        await self._marks.keep(self._connection, kept)
        for arrived in coming:
            thread_id = arrived.bundle.thread_id
            outcomes[thread_id] = WriteOutcome(thread_id=thread_id, losses=arrived.losses())
        return [outcomes[thread_id] for thread_id in by_id]

    # -- what stands there -----------------------------------------------------------

    async def _judged(self, by_id: Mapping[str, Bundle]) -> dict[str, _Judged]:
        connection = self._connection
        there = await standing(connection, self._tables, [*by_id])
        if not there:
            return {one: _Judged(judgement=Judgement(Course.WRITE)) for one in by_id}
        # A graph may be at work on them: none adds to a thread between our look and our
        # commit. Whoever reads is not kept waiting. In the order in which other writers come.
        names = ", ".join(map(self._tables.names, (BLOBS, CHECKPOINTS, WRITES)))
        await connection.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        held = await digests(connection, self._tables, there)
        kept = await self._marks.kept(connection, there)
        asked = [_Coming(by_id[one]) for one in held if self._asks(kept.get(one), held[one])]
        copies = await self._stage(asked) if asked else {}
        staged = {one.bundle.thread_id: one for one in asked}
        return {
            one: _Judged(
                judgement=judge(
                    self._policy,
                    self._source,
                    kept=kept.get(one),
                    standing=held.get(one),
                    coming=partial(_digest_in, copies, one),
                ),
                held=held.get(one, ""),
                staged=staged.get(one),
            )
            for one in by_id
        }

    def _asks(self, kept: Kept | None, held: str) -> bool:
        """Whether `judge` will ask for the digest of what comes."""
        return kept is None or (kept.source == self._source and kept.written != held)

    async def _stage(self, coming: Sequence[_Coming]) -> dict[str, str]:
        """The digests that the threads' rows would have, had they been written."""
        connection = self._connection
        places = {}
        for table in SAVER_TABLES:
            places[table] = f"pg_temp.{_STAGED}{table}"
            await connection.execute(
                f"CREATE TEMP TABLE {_STAGED}{table} ON COMMIT DROP AS "
                f"SELECT * FROM {self._tables.names(table)} WITH NO DATA"
            )
        await self._copy(coming, stage=True)
        ids = [one.bundle.thread_id for one in coming]
        return await digests(connection, self._tables, ids, places)

    async def _remove(self, thread_ids: Sequence[str]) -> None:
        if not thread_ids:
            return
        for table in SAVER_TABLES:
            await self._connection.execute(
                f"DELETE FROM {self._tables.names(table)} WHERE thread_id = ANY ($1)", thread_ids
            )

    # -- what comes ------------------------------------------------------------------

    async def _written(self, coming: Sequence[_Coming]) -> dict[str, Kept]:
        """The marks of threads that were just written.

        Raises:
            RetryableError: somebody else wrote to one of them meanwhile.
        """
        ids = [one.bundle.thread_id for one in coming]
        found = await digests(self._connection, self._tables, ids) if ids else {}
        kept = {}
        for one in coming:
            thread_id = one.bundle.thread_id
            written = found.get(thread_id, "")
            if counts(written) != {table: count for table, count in one.rows.items() if count}:
                raise RetryableError(
                    f"another program wrote to thread {thread_id!r} while it was being copied"
                )
            kept[thread_id] = one.mark(self._source, written)
        return kept

    async def _copy(self, coming: Sequence[_Coming], *, stage: bool = False) -> None:
        """Copies rows into the checkpointer's tables, or into those that are only looked at."""
        if not coming:
            return
        with Documents() as documents:
            await self._send(self._shapes.blobs, self._blobs(coming, documents), stage=stage)
            await self._send(self._shapes.checkpoints, documents.rows(), stage=stage)
        await self._send(self._shapes.writes, self._writes(coming), stage=stage)

    async def _send(self, shape: Shape, rows: Iterator[Row], *, stage: bool) -> None:
        import asyncpg

        schema, table = self._tables.names.schema, shape.table
        if stage:
            schema, table = "pg_temp", _STAGED + table
        try:
            await copy(self._connection, schema, table, shape.columns, rows)
        except asyncpg.UniqueViolationError as error:
            raise ThreadError(
                f"a row of {shape.table!r} came under a key that another row has"
            ) from error

    def _blobs(self, coming: Sequence[_Coming], documents: Documents) -> Iterator[Row]:
        """Rows of blobs; those of checkpoints are put by, since whole ones are read for both."""
        shapes = self._shapes
        for one in coming:
            splitter = Splitter(one.bundle.thread_id, self._cipher)
            try:
                for record in _records(one.bundle, but=_WRITE):
                    if isinstance(record, ChannelBlob):
                        one.rows[BLOBS] += 1
                        yield shapes.blob(record)
                    elif isinstance(record, RawCheckpoint):
                        if not is_split(record):
                            split = splitter.split(record)
                            record = split.record
                            one.lose(split.losses)
                            for blob in split.blobs:
                                one.rows[BLOBS] += 1
                                yield shapes.blob(blob)
                        one.rows[CHECKPOINTS] += 1
                        one.lose(changed_numbers(record))
                        documents.put(shapes.checkpoint(record))
            finally:
                splitter.close()

    def _writes(self, coming: Sequence[_Coming]) -> Iterator[Row]:
        shapes = self._shapes
        for one in coming:
            for record in _records(one.bundle, but=_BLOB, nor=_CHECKPOINT):
                if isinstance(record, CheckpointWrite):
                    one.rows[WRITES] += 1
                    one.pathless += shapes.pathless(record)
                    yield shapes.write(record)


def _digest_in(found: Mapping[str, str], thread_id: str) -> str:
    """Empty where it has no row."""
    return found.get(thread_id, "")


def _records(bundle: Bundle, *, but: bytes, nor: bytes | None = None) -> Iterator[Record]:
    """The rows of a thread, but for those whose lines begin so, as nearly all of them do."""
    passed = (but,) if nor is None else (but, nor)
    for line in bundle.lines():
        if not line.startswith(passed):
            yield check_row(decode_line(line), bundle.thread_id)
