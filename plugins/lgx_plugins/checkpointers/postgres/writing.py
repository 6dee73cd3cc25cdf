"""Writing threads in a transaction that somebody else has begun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    RawCheckpoint,
    RetryableError,
    ThreadError,
    WriteOutcome,
)
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.postgres.coming import Coming
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
from lgx_plugins.checkpointers.rows.marks import Kept
from lgx_plugins.checkpointers.rows.splitting import Splitter
from lgx_plugins.ids import is_text
from lgx_plugins.postgres.copying import Row
from lgx_plugins.postgres.writer import copy

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Writer"]

_STAGED = "lgx_staged_"


class _Judged(msgspec.Struct):
    """
    Attributes:
        held: the digest of what stands there, empty where nothing does.
        staged: what comes, where it was compared with that.
    """

    judgement: Judgement
    held: str = ""
    staged: Coming | None = None


class Writer:
    """Puts threads in for one source, each in place of what it wrote there before."""

    def __init__(
        self,
        connection: Connection | None,
        tables: Tables,
        marks: Marks,
        *,
        source: str,
        policy: Policy,
        cipher: Cipher,
    ) -> None:
        """`connection`: None where there is nothing to look at, for `preview` alone."""
        self._opened = connection
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
            _check_id(thread_id)
        judged = await self._judged(by_id)
        kept: dict[str, Kept] = {}
        outcomes: dict[str, WriteOutcome] = {}
        coming: list[Coming] = []
        for thread_id, one in judged.items():
            course = one.judgement.course
            if course is Course.LEAVE:
                outcomes[thread_id] = left(self._policy, by_id[thread_id], one.judgement)
            elif course is Course.WRITE:
                coming.append(Coming(by_id[thread_id]))
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

    @property
    def _connection(self) -> Connection:
        assert self._opened is not None, "there are tables to write to"
        return self._opened

    async def preview(self, bundle: Bundle, *, marked: bool) -> WriteOutcome:
        """What `store` would say of a thread, in a transaction that is then undone. What only the
        server finds in JSON it says of those alone that are compared with what stands there.

        Args:
            marked: whether the table of marks is there.

        Raises:
            ThreadError: the thread cannot be held.
        """
        thread_id = bundle.thread_id
        _check_id(thread_id)
        coming = Coming(bundle)
        if self._opened is not None:
            found = await self._judged({thread_id: bundle}, to_write=False, marked=marked)
            judged = found[thread_id]
            if judged.judgement.course is Course.LEAVE:
                return left(self._policy, bundle, judged.judgement)
            if judged.staged is not None:
                written = judged.judgement.course is Course.WRITE
                losses = judged.staged.losses()
                return WriteOutcome(thread_id=thread_id, losses=losses, written=written)
        await run_blocking(self._pass, coming)
        return WriteOutcome(thread_id=thread_id, losses=coming.losses())

    # -- what stands there -----------------------------------------------------------

    async def _judged(
        self, by_id: Mapping[str, Bundle], *, to_write: bool = True, marked: bool = True
    ) -> dict[str, _Judged]:
        connection = self._connection
        there = await standing(connection, self._tables, [*by_id])
        if not there:
            return {one: _Judged(judgement=Judgement(Course.WRITE)) for one in by_id}
        if to_write:
            # A graph may be at work on them: none adds to a thread between our look and our
            # commit. Whoever reads is not kept waiting. In the order in which other writers come.
            names = ", ".join(map(self._tables.names, (BLOBS, CHECKPOINTS, WRITES)))
            await connection.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        held = await digests(connection, self._tables, there)
        kept = await self._marks.kept(connection, there) if marked else {}
        asked = [Coming(by_id[one]) for one in held if self._asks(kept.get(one), held[one])]
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

    async def _stage(self, coming: Sequence[Coming]) -> dict[str, str]:
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

    async def _written(self, coming: Sequence[Coming]) -> dict[str, Kept]:
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

    async def _copy(self, coming: Sequence[Coming], *, stage: bool = False) -> None:
        """Copies rows into the checkpointer's tables, or into those that are only looked at."""
        if not coming:
            return
        with Documents() as documents:
            await self._send(self._shapes.blobs, self._blobs(coming, documents), stage=stage)
            await self._send(self._shapes.checkpoints, documents.rows(), stage=stage)
        await self._send(self._shapes.writes, self._writes(coming), stage=stage)

    def _pass(self, coming: Coming) -> None:
        """Makes all its rows, and leaves it at that."""
        with Documents() as documents:
            for _ in self._blobs([coming], documents):
                pass
        for _ in self._writes([coming]):
            pass

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

    def _blobs(self, coming: Sequence[Coming], documents: Documents) -> Iterator[Row]:
        """Rows of blobs; those of checkpoints are put by, since whole ones are read for both."""
        shapes = self._shapes
        for one in coming:
            splitter = Splitter(one.bundle.thread_id, self._cipher)
            try:
                for record in _records(one.bundle, CheckpointWrite.kind):
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

    def _writes(self, coming: Sequence[Coming]) -> Iterator[Row]:
        shapes = self._shapes
        for one in coming:
            for record in _records(one.bundle, ChannelBlob.kind, RawCheckpoint.kind):
                if isinstance(record, CheckpointWrite):
                    one.rows[WRITES] += 1
                    one.pathless += shapes.pathless(record)
                    yield shapes.write(record)


def _check_id(thread_id: str) -> None:
    if not is_text(thread_id):
        raise ThreadError(
            f"PostgreSQL cannot hold the thread id {thread_id!r}: it has a lone surrogate, for "
            "which no text has bytes"
        )
    if "\0" in thread_id:
        raise ThreadError(
            f"PostgreSQL cannot hold the thread id {thread_id!r}: it has the character "
            "NUL; SQLite, an archive or an ndjson file can"
        )


def _digest_in(found: Mapping[str, str], thread_id: str) -> str:
    """Empty where it has no row."""
    return found.get(thread_id, "")


def _records(
    bundle: Bundle, *kinds: str
) -> Iterator[RawCheckpoint | ChannelBlob | CheckpointWrite]:
    """The rows of a thread, but for those of some kinds."""
    for record in bundle.without(kinds):
        yield check_row(record, bundle.thread_id)
