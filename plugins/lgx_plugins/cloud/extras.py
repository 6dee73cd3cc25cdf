"""What belongs to the deployment: store items, assistants with their versions, crons."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, UnsetType

from lgx import (
    Assistant,
    Context,
    Cron,
    Record,
    StoreItem,
    ThreadError,
    from_fields,
    raw,
    split_array,
    split_object,
)
from lgx_plugins.cloud.answers import Answer, RefusedError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.shifting import shifting_rows

__all__ = ["Extras"]

T = TypeVar("T", bound=Record)
Row = TypeVar("Row")

_LIMIT = 1000
_PAGE_BYTES = 8 << 20
_ABSENT = (404, 405, 501)


class Extras:
    """Reads them from one server."""

    def __init__(self, client: Client, context: Context) -> None:
        self._client = client
        self._context = context
        self._answered = False

    async def of(self, kind: str) -> AsyncIterator[Record]:
        """All records of one kind; a note where the server has no such thing, which is
        where the first question for it is refused.

        Raises:
            ThreadError, RetryableError: they cannot be had.
        """
        reader = {
            "assistant": self.assistants,
            "cron": self.crons,
            "store_item": self.store_items,
        }[kind]
        try:
            async for record in reader():
                yield record
        except RefusedError as error:
            if error.status not in _ABSENT or self._answered:
                raise
            self._context.note(f"the server has no {kind.replace('_', ' ')}s: {error.detail}")

    # -- assistants -------------------------------------------------------------------

    async def assistants(self) -> AsyncIterator[Record]:
        """Each assistant in all its versions, oldest first, and last the one in force.

        That one has what the assistant itself shows, as its `updated_at`, where the list of
        versions does not tell otherwise: a server may go on to show `created_at` of the first
        version, and graph and context of the newest, when an older one is in force again.
        """
        pages = _Pages(
            self,
            "/assistants/search",
            {"sort_by": "assistant_id", "sort_order": "asc"},
            "list of assistants",
        )
        async for assistant in pages.rows(_assistant, lambda row: row.assistant_id):
            versions = [version async for version in self._versions(assistant)]
            for version in sorted(versions, key=lambda v: v.version):
                if version.version == assistant.version:
                    assistant = _in_force(assistant, version)
                else:
                    yield msgspec.structs.replace(version, latest=False)
            yield assistant

    async def _versions(self, assistant: Assistant) -> AsyncIterator[Assistant]:
        """All its versions; none, with a note, where the server has no list of them."""
        pages = _Pages(
            self,
            f"/assistants/{quote(assistant.assistant_id, safe='')}/versions",
            {},
            f"versions of assistant {assistant.assistant_id}",
        )
        try:
            async for version in pages.rows(_assistant, lambda row: str(row.version)):
                yield version
        except RefusedError as error:
            if error.status not in _ABSENT:
                raise
            self._context.note(
                f"the server does not list the versions of assistant {assistant.assistant_id}, "
                f"or it was deleted meanwhile ({error.detail}); the one in force was taken"
            )

    # -- crons ------------------------------------------------------------------------

    def crons(self) -> AsyncIterator[Record]:
        pages = _Pages(
            self,
            "/runs/crons/search",
            {"sort_by": "cron_id", "sort_order": "asc"},
            "list of crons",
        )
        return pages.rows(_cron, lambda row: row.cron_id)

    # -- store ------------------------------------------------------------------------

    async def store_items(self) -> AsyncIterator[Record]:
        """Items of every namespace, which the server lists first; a read extends no life."""
        async for namespace in self._outermost():
            async for item in self._items(namespace):
                yield item

    async def _outermost(self) -> AsyncIterator[tuple[str, ...]]:
        """The namespaces of one label; a search in one covers all that lie below it."""
        pages = _Pages(
            self,
            "/store/namespaces",
            {"max_depth": 1},
            "list of store namespaces",
            "namespaces",
        )
        async for namespace in pages.rows(_labels, lambda row: "".join(row[:1])):
            if namespace:
                yield namespace[:1]

    def _items(self, namespace: tuple[str, ...]) -> AsyncIterator[StoreItem]:
        pages = _Pages(
            self,
            "/store/items/search",
            {"namespace_prefix": namespace, "refresh_ttl": False},
            "items of the store",
            "items",
        )
        return pages.rows(_store_item, _item_key)

    async def ask(self, path: str, body: dict[str, object], what: str, holds: str | None) -> Answer:
        """`holds`: the member of the answer that is the list; None where the answer is."""
        answer = await self._client.light(
            self._context,
            "POST",
            path,
            body,
            opening=b"{" if holds else b"[",
            what=what,
            holds=holds,
        )
        self._answered = True
        return answer


class _Pages:
    """One list of the server, asked for in pages of a bearable size."""

    def __init__(
        self,
        extras: Extras,
        path: str,
        body: dict[str, object],
        what: str,
        holds: str | None = None,
    ) -> None:
        self._extras = extras
        self._path = path
        self._body = body
        self._what = what
        self._holds = holds
        self._limit = 100

    def rows(self, read: Callable[[Raw], Row], key: Callable[[Row], str]) -> AsyncIterator[Row]:
        """All of them, each once, by its key; `read` makes a row of what the server gave."""

        async def fetch(offset: int) -> list[tuple[str, Row]]:
            return [(key(row), row) for row in map(read, await self._at(offset))]

        return shifting_rows(fetch)

    async def _at(self, offset: int) -> list[Raw]:
        body = {**self._body, "limit": self._limit, "offset": offset}
        answer = (await self._extras.ask(self._path, body, self._what, self._holds)).body
        rows = split_array(split_object(answer)[self._holds] if self._holds else answer)
        if rows:
            self._limit = max(10, min(_LIMIT, _PAGE_BYTES * len(rows) // len(answer)))
        return rows


_NULL = raw(None)


def _assistant(row: Raw) -> Assistant:
    return _of_fields(Assistant, split_object(row))


def _cron(row: Raw) -> Cron:
    return _of_fields(Cron, split_object(row))


def _store_item(row: Raw) -> StoreItem:
    members = split_object(row)
    if members.get("score") == _NULL:
        del members["score"]  # says how well it fits a search; there was none
    return _of_fields(StoreItem, members)


def _labels(row: Raw) -> tuple[str, ...]:
    return msgspec.json.decode(row, type=tuple[str, ...])


def _of_fields(cls: type[T], fields: dict[str, Raw]) -> T:
    record = from_fields({**fields, "kind": raw(cls.kind)})
    if not isinstance(record, cls):
        raise ThreadError(f"the server gave something else than a {cls.kind}")
    return record


def _item_key(item: StoreItem) -> str:
    return hashlib.sha256(msgspec.json.encode((item.namespace, item.key))).hexdigest()


def _in_force(assistant: Assistant, version: Assistant) -> Assistant:
    """The assistant as that version of it, as far as its list of versions tells."""
    if isinstance(version.extra, UnsetType):
        return assistant
    extra = {} if isinstance(assistant.extra, UnsetType) else assistant.extra
    told = {name: value for name, value in version.extra.items() if value != _NULL}
    return msgspec.structs.replace(
        assistant,
        graph_id=version.graph_id or assistant.graph_id,
        extra={**extra, **told},
    )
