"""What runs that were cut short left on the target: threads that are labelled unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Raw, Struct

from lgx import Context, Fact, RetryableError, ThreadError, parse_time, split_object
from lgx_plugins.cloud.answers import http_date
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import KEY, Label, label_of
from lgx_plugins.cloud.restore.standing import is_used

__all__ = ["Leftovers"]

_PAGE = 200
_IDLE = 600.0  # seconds without a change, after which nobody is taken to be writing a thread


class _Row(Struct, frozen=True):
    thread_id: str
    updated_at: str | None = None
    metadata: Raw = Raw(b"{}")


_rows = msgspec.json.Decoder(list[_Row])


class Leftovers:
    """Finds them by their label, and removes those that nobody writes or uses any more."""

    def __init__(self, client: Client, holdings: Holdings) -> None:
        self._client = client
        self._holdings = holdings

    async def fact(self, context: Context) -> Fact:
        """How many there are, for whoever looks at the target."""
        name = "unfinished threads"
        try:
            found = [thread_id async for thread_id, *_ in self._all(context)]
        except (RetryableError, ThreadError) as error:
            return Fact(name=name, value=f"cannot be looked for: {error}", level="warn")
        if not found:
            return Fact(name=name, value="none")
        value = f"{len(found)}, which the next run replaces; --clean removes them"
        return Fact(name=name, value=value, level="warn")

    async def clean(self, context: Context) -> Sequence[str]:
        """Removes those without a change for ten minutes; tells of those that it leaves.

        Returns:
            The names of those that were removed.
        """
        found = [item async for item in self._all(context)]
        removed: list[str] = []
        younger = used = 0
        for thread_id, label, idle in found:
            if idle < _IDLE:
                younger += 1
            elif await is_used(self._client, thread_id, context):
                used += 1
            elif await self._stands(thread_id, label, context):
                await self._holdings.remove(thread_id, context)
                removed.append(f"unfinished thread {thread_id}")
        if younger:
            context.note(
                f"{younger} unfinished threads were left, because they changed within the last "
                "ten minutes: a run may be writing them"
            )
        if used:
            context.note(
                f"{used} unfinished threads were left, because they have runs or crons of the "
                "target's own"
            )
        return removed

    async def _stands(self, thread_id: str, label: Label, context: Context) -> bool:
        """Whether it is there still, as it was listed: a run may have replaced it since."""
        there = (await self._holdings.find([thread_id], context)).get(thread_id)
        return there is not None and there.label == label

    async def _all(self, context: Context) -> AsyncIterator[tuple[str, Label, float]]:
        """Each with its label, and the seconds since its last change by the server's clock."""
        offset = 0
        while True:
            answer = await self._client.light(
                context,
                "POST",
                "/threads/search",
                {
                    "metadata": {KEY: {"unfinished": True}},
                    "select": ["thread_id", "updated_at", "metadata"],
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
                label = label_of(split_object(row.metadata))
                if label is not None and label.unfinished:  # and not what somebody else has there
                    yield row.thread_id, label, _idle_seconds(row, now)
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
