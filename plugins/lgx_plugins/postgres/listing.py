"""The threads of a moment: who they are, and the version of each."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lgx import (
    Context,
    FatalError,
    Json,
    Loss,
    Query,
    Thread,
    ThreadError,
    ThreadRef,
)
from lgx_plugins.filters import admits
from lgx_plugins.postgres.cells import (
    MARK,
    escape_json,
    instant,
    restore_json,
    restore_text,
    restore_time,
    time_text,
)
from lgx_plugins.postgres.cursors import listed_rows
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.layout import Layout, cell_literal, origin_is, text_literal
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.postgres.versions import row_version, versions
from lgx_plugins.tables import CHECKPOINTS, Table, json_cell

__all__ = ["Listing"]

_AT_ONCE = 1000
_AT_ONCE_WITH_METADATA = 100

# The order of the ids themselves, not of their escaped forms, by their bytes in UTF-8. Three
# bytes of M do not begin in the middle of one: \xfb stands nowhere in UTF-8.
_RESTORED_BYTES = """CASE WHEN position(chr(64976) IN {0}) = 0 THEN convert_to({0}, 'UTF8')
ELSE decode(replace(replace(encode(convert_to({0}, 'UTF8'), 'hex'),
    'efb79030303030', '00'), 'efb79066646430', 'efb790'), 'hex') END"""


class Listing:
    """Lists through a cursor of the moment's keeper, which others use in between."""

    def __init__(
        self, moment: Moment, layout: Layout, place: str, parts: Sequence[Table], origin: str | None
    ) -> None:
        self._moment = moment
        self._layout = layout
        self._place = place
        self._parts = parts
        self._origin = origin

    def condition(self, query: Query) -> str:
        """Which rows of `t` are those of threads that were asked for by origin and id; all of
        them where it is empty."""
        layout = self._layout
        conditions = origin_is(layout, self._origin)
        if query.thread_ids and self._sayable(*query.thread_ids):
            wanted = ", ".join(cell_literal(layout, thread_id) for thread_id in query.thread_ids)
            conditions.append(f"{layout.thread_id('t')} IN ({wanted})")
        return " AND ".join(conditions)

    def _likely(self, query: Query) -> str:
        """Which of those may pass the other filters, as far as the server can tell: it leaves
        out none that does."""
        layout = self._layout
        conditions = []
        if query.status and layout.has("threads", "status") and self._sayable(query.status):
            conditions.append(
                f"{layout.text_column('status')} = {cell_literal(layout, query.status)}"
            )
        window = layout.window("updated_at", _utc(query.since), _utc(query.until))
        if window is not None:
            conditions.append(window)
        if query.metadata and layout.is_jsonb("metadata"):
            held = self._contains(query.metadata)
            if held is not None:
                conditions.append(held)
        return " AND ".join(conditions)

    def _sayable(self, *texts: str) -> bool:
        """Whether a statement may hold these: the server takes none with a character that the
        database's encoding lacks."""
        return self._layout.any_text or all(map(str.isascii, texts))

    def _contains(self, metadata: Mapping[str, Raw]) -> str | None:
        """JSONB's containment is what lgx means by it, but for what is escaped: a cell with a
        mark in it is let pass."""
        try:
            items = (
                f"{json.dumps(key)}:{bytes(value).decode()}" for key, value in metadata.items()
            )
            text = f"{{{','.join(items)}}}".encode()
        except UnicodeError:
            return None
        cell = escape_json(text, strictly=True)
        whole = cell.startswith(b'"')  # no JSONB holds it by value, and what equals it may be
        if whole or not self._sayable(cell.decode()) or (cell != text and not self._layout.own):
            return None
        held = f"t.metadata @> {text_literal(cell.decode())}::jsonb"
        if self._layout.own:
            held = f"({held} OR position({text_literal(MARK)} IN t.metadata::text) > 0)"
        return held

    async def refs(self, query: Query, context: Context) -> AsyncGenerator[ThreadRef | Loss, None]:
        """In the order of the ids' bytes."""
        most = _AT_ONCE_WITH_METADATA if query.metadata else _AT_ONCE
        doubled: str | None = None
        rows = listed_rows(
            self._moment,
            self._place,
            self._sql(query),
            context,
            most=most,
            what="list of threads",
        )
        try:
            async with aclosing(rows):
                async for row in rows:
                    found = self._ref(row, query)
                    if found is None:
                        continue
                    if row["twice"] > 1:  # its rows stand together: it is listed once
                        if found.thread_id == doubled:
                            continue
                        doubled = found.thread_id
                    yield found
        except ThreadError as error:  # none of them in particular
            raise FatalError(f"the threads in {self._place} cannot be listed: {error}") from error
        if not (self._layout.own or query.filtered or self._origin is not None):
            for part in self._parts:
                lost = await self._nobodys(part, context)
                if lost is not None:
                    yield lost

    async def _nobodys(self, part: Table, context: Context) -> Loss | None:
        """Rows that belong to no thread, which other tables than lgx's allow."""
        layout = self._layout
        sql = (
            f"SELECT count(*) FROM {layout.names(part.name)} AS p WHERE NOT EXISTS "
            f"(SELECT FROM {layout.names('threads')} AS t "
            f"WHERE {layout.thread_id('t')} = {layout.part_key(part)})"
        )

        async def counted() -> int:
            async with self._moment.keeper() as keeper:
                with explained(self._place, again=True):
                    return int(await keeper.fetchval(sql))

        count = await context.request(counted, what=f"rows of {part.name} without a thread")
        if not count:
            return None
        return Loss(
            what=f"{count} row{'s' * (count > 1)} of {layout.names.plain(part.name)!r}",
            why="what they have for a thread_id is that of no thread",
            checkpoints=count if part is CHECKPOINTS else 0,
        )

    def _sql(self, query: Query) -> str:
        layout = self._layout
        condition, likely = self.condition(query), self._likely(query)
        version = versions(layout, self._parts, by_index=layout.indexed)
        thread_id = layout.thread_id("t")
        place = _RESTORED_BYTES if layout.own else "convert_to({0}, 'UTF8')"
        # What no filter looks at is not asked for: it may be large, or beyond reading.
        status = layout.text_column("status") if query.status else "NULL"
        timed = query.since or query.until
        updated_at = layout.time_column("updated_at") if timed else "NULL"
        metadata = layout.column("metadata") if query.metadata else "NULL"
        exact = layout.column("exact") if layout.own and timed else "NULL"
        size = layout.column("size") if layout.own else "NULL"
        # Where two rows may bear one id all are counted, also those that do not pass.
        twice, passes = "1", "true"
        if not layout.own:
            twice = f"count(*) OVER (PARTITION BY {thread_id})"
            likely, passes = "", likely or "true"
        where = " AND ".join(filter(None, (condition, likely)))
        return f"""
            SELECT l.thread_id, coalesce(l.size, {version.size}), {_hashed(version.version)},
                l.status, l.updated_at, l.metadata, l.exact, l.twice
            FROM (
                SELECT {layout.key} AS key, {thread_id} AS thread_id, {size}::bigint AS size,
                    {row_version(layout)} AS row_version, {status} AS status,
                    {updated_at} AS updated_at,
                    {metadata}::text AS metadata, {exact}::text AS exact, {twice} AS twice,
                    {passes} AS passes, {place.format(thread_id)} AS place
                FROM {layout.names("threads")} AS t {f"WHERE {where}" if where else ""}
                ORDER BY place OFFSET 0
            ) AS l {version.joins} WHERE l.passes ORDER BY l.place"""

    def _ref(self, row: Sequence[Any], query: Query) -> ThreadRef | Loss | None:
        cell, size, version, status, updated_at, metadata, exact, twice = row
        if cell is None:
            raise FatalError(
                f"a row of {self._layout.names.plain('threads')!r} in {self._place} has no "
                "thread_id; give it one, or remove it"
            )
        own = self._layout.own
        thread_id = restore_text(cell) if own else cell
        try:
            if exact is not None:
                updated_at = _exact_time(exact, updated_at)
            thread = Thread(
                thread_id=thread_id,
                status=restore_text(status) if own and status is not None else status,
                updated_at=updated_at,
                metadata=_metadata(metadata, own=own),
            )
            if not admits(query, thread_id, thread):
                return None
        except ThreadError as error:
            return Loss(thread_id=thread_id, what="thread", why=str(error))
        if twice > 1:
            why = f"{twice} rows of {self._layout.names.plain('threads')!r} bear its id; keep one"
            return Loss(thread_id=thread_id, what="thread", why=why)
        return ThreadRef(thread_id=thread_id, version=version, size_hint=size)


def _hashed(sql: str) -> str:
    """Of a version, whose text says nothing to anybody."""
    return f"left(encode(sha256(convert_to({sql}, 'UTF8')), 'hex'), 32)"


def _utc(when: str | None) -> str | None:
    """A time of a filter as the server reads it; None where it cannot."""
    since_2000 = None if when is None else instant(when)
    return None if since_2000 is None else time_text(since_2000)


def _exact_time(exact: str, held: str | None) -> str | None:
    """A time that no column could hold is still the thread's; others mean the same as held."""
    try:
        text = msgspec.json.decode(restore_json(exact.encode()), type=dict[str, str])
    except (msgspec.MsgspecError, UnicodeError):
        return held
    return held if held is not None else restore_time(None, text.get("updated_at"))


def _metadata(cell: str | None, *, own: bool) -> Json:
    if cell is None:
        return UNSET
    return Raw(restore_json(cell.encode())) if own else json_cell("metadata", cell)
