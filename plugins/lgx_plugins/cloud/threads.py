"""Listing: the query's filters, put to the server where it knows them."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import (
    Context,
    FatalError,
    Loss,
    Query,
    RetryableError,
    Thread,
    ThreadError,
    ThreadRef,
    split_array,
    split_object,
)
from lgx_plugins.cloud.access import denied
from lgx_plugins.cloud.answers import Answer, RefusedError, http_date
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.lookup import Lookup
from lgx_plugins.cloud.paging import Page, Row, Sort, list_rows

__all__ = ["ThreadList"]

_SELECT = ("thread_id", "updated_at", "status")
_AT_ONCE = 1000
_PAGE_BYTES = 8 << 20  # of rows that come with their state, from servers that ignore `select`
_FIRST = 20
_DIGITS = 30  # of a number of threads that can be meant
_SORTS: dict[Sort, dict[str, str]] = {
    "id": {"sort_by": "thread_id", "sort_order": "asc"},
    "updated": {"sort_by": "updated_at", "sort_order": "desc"},
}


class _Listed(Struct, frozen=True):
    """A row as the search gives it; `values` came unasked, from an older server."""

    thread_id: str
    updated_at: str | None = None
    status: str | None = None
    values: Raw | UnsetType = UNSET


_rows_decoder = msgspec.json.Decoder(list[_Listed])


class ThreadList:
    """What one query selects on one server."""

    def __init__(self, client: Client, lookup: Lookup, query: Query, context: Context) -> None:
        self._client = client
        self._lookup = lookup
        self._query = query
        self._untimed = msgspec.structs.replace(query, since=None, until=None)
        self._context = context
        self._filters: dict[str, object] = {}
        if query.metadata:
            self._filters["metadata"] = query.metadata
        if query.status:
            self._filters["status"] = query.status
        self._most = _FIRST
        self.unsure: dict[str, str] = {}
        """Listed threads that a filter cannot be applied to, and why."""

    async def refs(self, *, check_count: bool) -> AsyncIterator[ThreadRef | Loss]:
        """Raises:
        FatalError: the server's answers are no list of threads.
        """
        rows = (
            self._chosen(self._query.thread_ids)
            if self._query.thread_ids
            else list_rows(self._fetch, self.count, self._context.note, check_count=check_count)
        )
        try:
            async for row in rows:
                if isinstance(row, Loss):
                    yield row
                elif self._in_window(row):
                    yield _ref(row)
        except (ThreadError, RetryableError) as error:
            raise denied(error, self._client) from error
        finally:
            await rows.aclose()  # type: ignore[attr-defined]  # both are generators

    def _in_window(self, row: Row) -> bool:
        """Whether the thread is wanted; one that does not tell is listed, to fail by itself."""
        try:
            return self._query.admits_time(row.updated_at)
        except ThreadError as error:
            self.unsure[row.thread_id] = str(error)
            return True

    # -- all threads ------------------------------------------------------------------

    async def _fetch(self, offset: int, limit: int, sort: Sort) -> Page:
        limit = min(limit, self._most)
        body = {
            "limit": limit,
            "offset": offset,
            "select": _SELECT,
            **_SORTS[sort],
            **self._filters,
        }
        rows, answer = await self._search(body)
        return Page(
            [Row(r.thread_id, r.updated_at, r.status) for r in rows], http_date(answer.date)
        )

    async def _search(self, body: dict[str, object]) -> tuple[builtins.list[_Listed], Answer]:
        what = "list of threads"

        async def call() -> tuple[builtins.list[_Listed], Answer]:
            answer = await self._client.ask(
                "POST", "/threads/search", body, opening=b"[", what=what
            )
            try:
                return _rows(answer), answer
            except ThreadError as error:
                # Broken in the middle: it may have been broken on its way.
                raise RetryableError(f"the {what} is broken: {error}", status=200) from error

        rows, answer = await self._context.request(call, what=what)
        self._context.received(len(answer.body))
        self._resize(answer, len(rows))
        return rows, answer

    def _resize(self, answer: Answer, rows: int) -> None:
        """Asks for as many rows at once as will have a bearable size: all of a thousand,
        unless the server sends each thread's state along.
        """
        if rows:
            self._most = max(2, min(_AT_ONCE, _PAGE_BYTES * rows // len(answer.body)))

    async def count(self) -> int | None:
        try:
            answer = await self._client.light(
                self._context,
                "POST",
                "/threads/count",
                self._filters,
                opening=b"",
                what="number of threads",
            )
        except RefusedError as error:
            if error.status not in (404, 405, 422, 501):
                raise
            self._context.note(
                f"the server has no /threads/count (status {error.status}); the number of "
                "threads listed was not checked against it"
            )
            return None
        if len(answer.body) > _DIGITS:
            raise RetryableError(f"the server gave, as number of threads, {answer.body[:40]!r}…")
        return int(answer.body)

    # -- threads by id ----------------------------------------------------------------

    async def _chosen(self, thread_ids: Sequence[str]) -> AsyncIterator[Row | Loss]:
        """The rows of those of these threads that are there."""
        unique = builtins.list(dict.fromkeys(thread_ids))
        proper = [thread_id for thread_id in unique if _is_uuid(thread_id)]
        for start in range(0, len(proper), _AT_ONCE):
            asked = proper[start : start + _AT_ONCE]
            async for row in self._of(asked):
                yield row
        for thread_id in unique:
            if not _is_uuid(thread_id):
                # A server that insists on UUIDs would refuse a whole list for one such id.
                async for row in self._one_by_one([thread_id]):
                    yield row

    async def _of(self, asked: Sequence[str]) -> AsyncIterator[Row | Loss]:
        found: dict[str, Row] = {}
        wanted = {thread_id.lower(): thread_id for thread_id in asked}
        offset = 0
        while len(found) < len(asked):
            limit = min(len(asked), self._most)
            body = {"ids": asked, "limit": limit, "offset": offset, "select": _SELECT}
            rows, _ = await self._search({**body, **_SORTS["id"], **self._filters})
            if any(row.thread_id.lower() not in wanted for row in rows):
                async for row in self._one_by_one(asked):
                    yield row
                return
            before = len(found)
            for item in rows:
                found[item.thread_id] = Row(item.thread_id, item.updated_at, item.status)
            if len(found) == before:
                break
            # Rows deleted in front shift the others: the last row is read again.
            offset += max(1, len(rows) - 1)
        for row in found.values():
            yield row
        there = {thread_id.lower() for thread_id in found}
        absent = [thread_id for low, thread_id in wanted.items() if low not in there]
        async for row in self._one_by_one(absent):
            yield row

    async def _one_by_one(self, thread_ids: Sequence[str]) -> AsyncIterator[Row | Loss]:
        for thread_id in thread_ids:
            try:
                record = await self._record(thread_id)
            except ThreadError as error:
                yield Loss(what="thread", why=str(error), thread_id=thread_id)
                continue
            if record is not None and self._untimed.admits(record):
                yield Row(record.thread_id, record.updated_at, record.status)

    async def _record(self, thread_id: str) -> Thread | None:
        try:
            return await self._lookup.get(thread_id, self._context)
        except RetryableError as error:
            if error.outage or error.throttled or (error.status or 0) < 500:
                raise
            # A state that the server cannot render; the thread is there all the same.
            return await self._lookup.bare(thread_id, self._context)


def _rows(answer: Answer) -> builtins.list[_Listed]:
    try:
        return _rows_decoder.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    rows = []
    for item in split_array(answer.body):
        fields = split_object(item)
        try:
            plain = {key: fields[key] for key in _SELECT if key in fields}
            rows.append(
                msgspec.convert(
                    {key: msgspec.json.decode(value) for key, value in plain.items()}, _Listed
                )
            )
        except msgspec.MsgspecError as error:
            raise FatalError(
                f"the server's list of threads holds something else: {error}; "
                "is this a LangGraph server?"
            ) from None
    return rows


def _ref(row: Row) -> ThreadRef:
    # A thread without a time of update cannot be known again: it gets a version of its own.
    return ThreadRef(
        thread_id=row.thread_id, version=row.updated_at or f"unversioned {uuid.uuid4()}"
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
