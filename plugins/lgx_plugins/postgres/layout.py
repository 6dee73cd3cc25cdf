"""How tables are read: lgx's own, or an older tool's, as far as they go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from lgx_plugins.postgres.cells import escape_text
from lgx_plugins.postgres.names import Names, quoted
from lgx_plugins.tables import CHECKPOINTS, RECORDS, RUNS, Column, Table

__all__ = [
    "Field",
    "Layout",
    "cell_literal",
    "index_key",
    "origin_is",
    "text_literal",
]

How: TypeAlias = Literal["text", "jsonb", "json", "time", "integer", "flag"]

_TEXTS = frozenset({"text", "varchar", "bpchar", "name"})
_WHOLE = frozenset({"int2", "int4", "int8"})
_FIRST, _LAST = "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"


class Field(Struct, frozen=True):
    """A column as it is read: SQL for it, and what its cells then are.

    `time` is microseconds since 2000; `json` text that nobody has looked at yet.
    """

    name: str
    sql: str
    how: How


class Layout:
    """The tables under a prefix, and SQL for what differs between layouts.

    Rows of a thread are found by its *key*: lgx's own tables have the number of its row,
    others its id.
    """

    def __init__(
        self,
        names: Names,
        types: Mapping[str, Mapping[str, str]],
        relations: Mapping[str, str],
        *,
        indexed: bool,
        any_text: bool,
    ) -> None:
        """
        Args:
            types: of the columns, by table.
            relations: by table what sort of relation it is: `r` is a table.
            indexed: whether the checkpoints of a thread are found quickly.
            any_text: whether the database can hold text of every script.
        """
        self.names = names
        self._types = types
        self._relations = relations
        self.own = (
            self.has("threads", "digest")
            and self.has("checkpoints", "thread")
            and self.has("info", "key")
        )
        """Whether lgx made the tables."""
        self.indexed = indexed or self.own
        self.any_text = any_text
        self.key = "t.id" if self.own else self.thread_id("t")
        self.parts = tuple(t for t in (CHECKPOINTS, RUNS, RECORDS) if self._is_part(t))
        """The tables that hold more of a thread than its record."""

        self.loose = not self.own and self.has("checkpoints") and self.keeps_rows("checkpoints")
        """Whether checkpoints stand in no order, and perhaps twice; their `lineage` tells."""

    def _is_part(self, table: Table) -> bool:
        if self.own or table is CHECKPOINTS:
            return self.has(table.name)
        # Others may have a table of that name, for something else.
        what = "body" if table is RECORDS else table.key[0]
        return self.has(table.name, "thread_id") and self.has(table.name, what)

    @property
    def lineage(self) -> str:
        """What tells the order of checkpoints: key, place, namespace, id and parent."""
        held = {field.name: field.sql for field in self.fields(CHECKPOINTS, "p")}
        return (
            f"{self.part_key(CHECKPOINTS)}, p.ctid::text, {held['checkpoint_ns']}, "
            f"{held['checkpoint_id']}, {held['parent_checkpoint_id']}"
        )

    @property
    def index(self) -> str:
        """SQL that makes checkpoints be found quickly."""
        key = index_key(self._types["checkpoints"]["thread_id"])
        return f"CREATE INDEX ON {self.names('checkpoints')} ({key})"

    def has(self, table: str, column: str | None = None) -> bool:
        """Whether there is such a table, or such a column of it."""
        held = self._types.get(table, {})
        return column in held if column else bool(held)

    def keeps_rows(self, table: str) -> bool:
        """Whether its rows have a place and a transaction that wrote them."""
        return self._relations.get(table) in ("r", "m")

    def tells_writers(self, table: str) -> bool:
        """Whether its rows say which transaction wrote them; views of lgx's own do."""
        return self.keeps_rows(table) or (self.own and self.has(table, "xmin"))

    @property
    def whole(self) -> str:
        """SQL for whether the copy of a thread, `t`, is whole, as far as that was noted: a row
        without a size was not written by lgx's sink."""
        if not (self.own and self.has("threads", "source_version") and self.has("threads", "size")):
            return "true"
        return "(t.source_version IS NOT NULL OR t.size IS NULL)"

    def counted(self, table: str) -> bool:
        """Whether its rows have a number for an id."""
        return self._types.get(table, {}).get("id") in _WHOLE

    @property
    def dedup(self) -> bool:
        """Whether values stand in a table of their own, behind the view of checkpoints."""
        return self.own and self.has("checkpoints", "xmin")

    def thread_id(self, alias: str, table: str = "threads") -> str:
        """A thread's id as text; the column may be of another type where others made it."""
        return _as_text(f"{alias}.thread_id", self._types[table]["thread_id"])

    def column(self, name: str) -> str:
        """A column of the threads' table, NULL where it is not there."""
        return f"t.{quoted(name)}" if self.has("threads", name) else "NULL"

    def text_column(self, name: str) -> str:
        """The same as text."""
        return _as_text(self.column(name), self._types["threads"].get(name, ""))

    def is_jsonb(self, name: str) -> bool:
        """Whether that column of theirs is JSONB."""
        return self._types["threads"].get(name) == "jsonb"

    def window(self, name: str, since: str | None, until: str | None) -> str | None:
        """The condition that a time of the threads' table is not before one, and before the
        other, or cannot be told in this way; None where it is no time to the database.

        Args:
            since: in ISO 8601 and UTC, as `until`.
        """
        how = self._types["threads"].get(name)
        if how not in ("timestamptz", "timestamp", "date") or not (since or until):
            return None
        kind = (
            "timestamptz" if how == "timestamptz" else "timestamp"
        )  # which takes no notice of +00
        column = self.column(name)
        within = [
            f"{column} {sign} '{when}'::{kind}"
            for sign, when in ((">=", since), ("<", until))
            if when
        ]
        return (
            f"({' AND '.join(within)} OR {column} IS NULL OR {column} < '{_FIRST}'::{kind} "
            f"OR {column} > '{_LAST}'::{kind})"
        )

    def time_column(self, name: str) -> str:
        """A time of the threads' table as text of ISO 8601, NULL where it is not there."""
        how = self._types["threads"].get(name)
        if how not in ("timestamptz", "timestamp", "date"):
            return self.column(name) if how is None else _as_text(f"t.{quoted(name)}", how)
        column = f"t.{quoted(name)}"
        when = f"timezone('UTC', {column})" if how == "timestamptz" else column
        return (
            f"CASE WHEN isfinite({column}) AND extract(year FROM {when}) BETWEEN 1 AND 9999 "
            f"THEN to_char({when}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US+00:00') "
            f"ELSE {column}::text END"
        )

    def fields(self, table: Table, alias: str) -> tuple[Field, ...]:
        """The columns of a table; in lgx's own also `exact`."""
        found = tuple(self._field(table, column, alias) for column in table.columns)
        if self.own and self.has(table.name, "exact"):
            found += (Field("exact", f"{alias}.exact", "jsonb"),)
        return found

    def _field(self, table: Table, column: Column, alias: str) -> Field:
        name = column.name
        kind = self._types[table.name].get(name)
        sql = f"{alias}.{quoted(name)}"
        if kind is None:
            return _missing(column, alias, in_data=self._has_data(table))
        if name == "checkpoint_id" and not self.own and self._has_data(table):
            held = _as_text(sql, kind)
            return Field(name, f"coalesce({held}, {alias}.checkpoint_data ->> '{name}')", "text")
        if column.type == "json":
            if kind == "jsonb":
                return Field(name, sql, "jsonb")
            if kind == "json" or kind in _TEXTS:
                return Field(name, f"{sql}::text", "json")
            return Field(name, f"to_jsonb({sql})", "jsonb")
        if column.type == "time" and kind in ("timestamptz", "timestamp"):
            return Field(name, sql, "time")  # one without a zone is UTC
        if column.type == "time" and kind == "date":
            return Field(name, f"{sql}::timestamp", "time")
        if column.type == "integer" and kind in _WHOLE:
            return Field(name, f"{sql}::bigint", "integer")
        if column.type == "flag" and kind == "bool":
            return Field(name, sql, "flag")
        return Field(name, _as_text(sql, kind), "text")

    def _has_data(self, table: Table) -> bool:
        return self._types[table.name].get("checkpoint_data") in ("jsonb", "json")

    def part_fields(self, table: Table) -> tuple[Field, ...]:
        """The columns of a part of threads, but for what its thread says."""
        said = ("thread_id", "kind") if table is RECORDS else ("thread_id",)
        return tuple(field for field in self.fields(table, "p") if field.name not in said)

    def part_key(self, table: Table) -> str:
        """What of a row says which thread it belongs to."""
        return "p.thread" if self.own else self.thread_id("p", table.name)

    def part_order(self, table: Table) -> str:
        """In which order the rows of one thread come."""
        if self.own:
            return "p.position, p.id"
        return ", ".join(
            [
                *(("p.created_at NULLS FIRST",) if self.has(table.name, "created_at") else ()),
                *(("p.checkpoint_id",) if self.has(table.name, "checkpoint_id") else ()),
                *(("p.id",) if self.has(table.name, "id") else ()),
                "p.ctid" if self.keeps_rows(table.name) else "md5((p.*)::text)",
            ]
        )


def _missing(column: Column, alias: str, *, in_data: bool) -> Field:
    """A column that is not there; the older tool kept the namespace in another one."""
    if column.name != "checkpoint_ns":
        return Field(column.name, "NULL::text", "text")
    if not in_data:
        return Field(column.name, "''::text", "text")
    return Field(column.name, f"coalesce({alias}.checkpoint_data ->> 'checkpoint_ns', '')", "text")


def index_key(kind: str | None) -> str:
    """What an index has to be of, as the server spells it, to find the rows of a thread."""
    return "thread_id" if kind in ("text", "varchar") else "(thread_id::text)"


def _as_text(sql: str, kind: str) -> str:
    return sql if kind == "text" else f"{sql}::text"


def text_literal(text: str) -> str:
    """A text as SQL, whatever it holds and however the server reads backslashes elsewhere."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'::text"


def origin_is(layout: Layout, origin: str | None) -> list[str]:
    """The condition that a thread is of an origin, where one was chosen."""
    if origin is None:
        return []
    source = f"coalesce({layout.column('source_url')}, '')"
    if layout.own:
        source = "t.source_url"  # never NULL there, and indexed
    return [f"{source} = {cell_literal(layout, origin)}"]


def cell_literal(layout: Layout, text: str) -> str:
    """A text as it stands in the tables, as SQL; NULL where it cannot stand there."""
    try:
        cell = escape_text(text).decode() if layout.own else text
        cell.encode()
    except UnicodeEncodeError:
        return "NULL::text"
    return "NULL::text" if "\0" in cell else text_literal(cell)
