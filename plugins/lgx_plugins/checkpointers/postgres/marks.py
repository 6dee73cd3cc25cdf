"""The table of marks beside a checkpointer's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lgx import Mark, RunInfo, UsageError
from lgx_plugins.checkpointers.postgres.tables import SAVER_TABLES, Tables
from lgx_plugins.checkpointers.rows.marks import TABLE, Kept
from lgx_plugins.postgres.cells import escape_text, restore_text
from lgx_plugins.postgres.names import Names

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["Marks"]

_COLUMNS = ("thread_id", "source", "version", "fingerprint", "checkpoints", "written")


class Marks:
    def __init__(self, names: Names) -> None:
        """
        Args:
            names: of the checkpointer's tables.
        """
        self._names = names
        self._table = names(TABLE)

    @property
    def table(self) -> str:
        """The statement that makes it. `version` and `fingerprint` are NULL where a copy is not
        whole."""
        return f"""CREATE TABLE {self._table} (
            thread_id TEXT PRIMARY KEY,
            source TEXT NOT NULL,
            version TEXT,
            fingerprint TEXT,
            checkpoints BIGINT NOT NULL,
            written TEXT NOT NULL
        )"""

    async def there(self, connection: Connection) -> bool:
        """Whether the table is.

        Raises:
            UsageError: something else bears its name.
        """
        rows = await connection.fetch(
            "SELECT a.attname::text FROM pg_catalog.pg_class AS c "
            "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
            "AND NOT a.attisdropped WHERE n.nspname = $1 AND c.relname = $2",
            self._names.schema,
            TABLE,
        )
        if rows and not {row[0] for row in rows} >= {*_COLUMNS}:
            raise UsageError(
                f"schema {self._names.schema!r} has {TABLE!r}, and lgx did not make it; choose "
                "another --sink-schema"
            )
        return bool(rows)

    async def check_sources(self, connection: Connection, place: str, run: RunInfo) -> None:
        """
        Raises:
            UsageError: the tables hold copies of another source, and the run does not merge.
        """
        if run.merge:
            return
        other = await connection.fetchval(
            f"SELECT source FROM {self._table} WHERE source <> $1 LIMIT 1",
            escape_text(run.source).decode(),
        )
        if other is not None:
            raise UsageError(
                f"the tables in schema {self._names.schema!r} of {place} hold copies from "
                f"{restore_text(other)!r}, and this run reads {run.source!r}; write to another "
                "--sink-schema, or add --merge, where a thread whose id is there already is a "
                "conflict"
            )

    async def of_source(
        self, connection: Connection, tables: Tables, source: str, thread_ids: Sequence[str]
    ) -> dict[str, Mark]:
        """The marks of those whole copies of a source of which rows still stand."""
        stands = " OR ".join(
            f"EXISTS (SELECT FROM {tables.names(table)} AS p WHERE p.thread_id = m.thread_id)"
            for table in SAVER_TABLES
        )
        rows = await connection.fetch(
            f"SELECT m.thread_id, m.version, m.fingerprint, m.checkpoints FROM {self._table} AS m "
            "WHERE m.source = $1 AND m.thread_id = ANY ($2) AND m.version IS NOT NULL "
            f"AND m.fingerprint IS NOT NULL AND ({stands})",
            escape_text(source).decode(),
            thread_ids,
        )
        return {
            thread_id: Mark(
                version=restore_text(version),
                fingerprint=restore_text(fingerprint),
                checkpoints=count,
            )
            for thread_id, version, fingerprint, count in rows
        }

    async def kept(self, connection: Connection, thread_ids: Sequence[str]) -> dict[str, Kept]:
        """The marks of these threads, whosesoever."""
        rows = await connection.fetch(
            f"SELECT {', '.join(_COLUMNS)} FROM {self._table} WHERE thread_id = ANY ($1)",
            thread_ids,
        )
        return {
            thread_id: Kept(
                source=restore_text(source),
                version=None if version is None else restore_text(version),
                fingerprint=None if fingerprint is None else restore_text(fingerprint),
                checkpoints=count,
                written=written,
            )
            for thread_id, source, version, fingerprint, count, written in rows
        }

    async def keep(self, connection: Connection, kept: Mapping[str, Kept]) -> None:
        """Puts marks in, in place of those that stood there."""
        if not kept:
            return
        held = ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS[1:])
        rows = [
            (
                thread_id,
                escape_text(one.source).decode(),
                None if one.version is None else escape_text(one.version).decode(),
                None if one.fingerprint is None else escape_text(one.fingerprint).decode(),
                one.checkpoints,
                one.written,
            )
            for thread_id, one in kept.items()
        ]
        await connection.execute(
            f"INSERT INTO {self._table} ({', '.join(_COLUMNS)}) SELECT * FROM unnest("
            "$1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[]) "
            f"ON CONFLICT (thread_id) DO UPDATE SET {held}",
            *map(list, zip(*rows, strict=True)),
        )

    async def ours(
        self, connection: Connection, source: str, thread_ids: Sequence[str]
    ) -> list[str]:
        """Those of the threads that are copies of a source, whole or not."""
        rows = await connection.fetch(
            f"SELECT thread_id FROM {self._table} WHERE source = $1 AND thread_id = ANY ($2)",
            escape_text(source).decode(),
            thread_ids,
        )
        return [row[0] for row in rows]

    async def remove(self, connection: Connection, thread_ids: Sequence[str]) -> None:
        await connection.execute(
            f"DELETE FROM {self._table} WHERE thread_id = ANY ($1)", thread_ids
        )
