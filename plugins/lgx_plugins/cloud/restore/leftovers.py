"""What runs that were cut short left on the target: threads that are labelled unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from lgx import Context, Fact, RetryableError, ThreadError, parse_time
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError, http_date
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.label import KEY

__all__ = ["Leftovers"]

_PAGE = 500
_IDLE = 600.0  # seconds without a change, after which nobody is taken to be writing a thread


class _Row(Struct, frozen=True):
    thread_id: str
    updated_at: str | None = None


_rows = msgspec.json.Decoder(list[_Row])


class Leftovers:
    """Finds them by their label, and removes those that nobody writes any more."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def fact(self, context: Context) -> Fact:
        """How many there are, for whoever looks at the target."""
        name = "unfinished threads"
        try:
            found = [row async for row, _ in self._all(context)]
        except (RetryableError, ThreadError) as error:
            return Fact(name=name, value=f"cannot be looked for: {error}", level="warn")
        if not found:
            return Fact(name=name, value="none")
        value = f"{len(found)}, which the next run replaces; --clean removes them"
        return Fact(name=name, value=value, level="warn")

    async def clean(self, context: Context) -> Sequence[str]:
        """Removes those without a change for ten minutes; tells of the younger ones.

        Returns:
            The names of those that were removed.
        """
        old: list[str] = []
        younger = 0
        async for row, now in self._all(context):
            if _idle_seconds(row, now) < _IDLE:
                younger += 1
            else:
                old.append(row.thread_id)
        for thread_id in old:
            what = f"removal of thread {thread_id}"
            path = path_of(thread_id)
            try:
                await self._client.light(context, "DELETE", path, opening=None, what=what)
            except RefusedError as error:
                if error.status != 404:
                    raise
        if younger:
            context.note(
                f"{younger} unfinished threads were left, because they changed within the last "
                "ten minutes: a run may be writing them"
            )
        return [f"unfinished thread {thread_id}" for thread_id in old]

    async def _all(self, context: Context) -> AsyncIterator[tuple[_Row, datetime]]:
        """Each, with the server's own time."""
        offset = 0
        while True:
            answer = await self._client.light(
                context,
                "POST",
                "/threads/search",
                {
                    "metadata": {KEY: {"unfinished": True}},
                    "select": ["thread_id", "updated_at"],
                    "sort_by": "thread_id",
                    "sort_order": "asc",
                    "limit": _PAGE,
                    "offset": offset,
                },
                opening=b"[",
                what="list of unfinished threads",
            )
            try:
                rows = _rows.decode(answer.body)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RetryableError(
                    f"the list of unfinished threads is malformed: {error}"
                ) from None
            now = http_date(answer.date) or datetime.now(UTC)
            for row in rows:
                yield row, now
            if len(rows) < _PAGE:
                return
            offset += len(rows)


def _idle_seconds(row: _Row, now: datetime) -> float:
    if row.updated_at is None:
        return 0.0
    try:
        return (now - parse_time(row.updated_at)).total_seconds()
    except ValueError:
        return 0.0
