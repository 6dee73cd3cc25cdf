"""What runs that were cut short left on the target: threads that are labelled unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
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
_IDLE = 60.0
"""Seconds without a change, after which nobody is taken to be writing a thread. A run that was
all the same, and has had no answer for so long, builds it anew."""


class _Row(Struct, frozen=True):
    thread_id: str
    updated_at: str | None = None
    metadata: Raw = Raw(b"{}")


_rows = msgspec.json.Decoder(list[_Row])


class _Found(Struct, frozen=True):
    """A thread that is labelled unfinished.

    Attributes:
        idle: seconds since its last change by the server's clock.
    """

    thread_id: str
    label: Label
    idle: float


class _Sorted(Struct):
    """What is to become of them.

    Attributes:
        left: nobody writes or uses them any more.
        young: a run may be writing them.
        used: somebody has run them since, or has a cron that does.
    """

    left: list[_Found] = []
    young: list[_Found] = []
    used: list[_Found] = []


class Leftovers:
    """Finds them by their label, and removes those that nobody writes or uses any more."""

    def __init__(self, client: Client, holdings: Holdings) -> None:
        self._client = client
        self._holdings = holdings

    async def fact(self, context: Context) -> Fact:
        """How many there are, and what becomes of them, for whoever looks at the target."""
        name = "unfinished threads"
        try:
            found = await self._sorted(context)
        except (RetryableError, ThreadError) as error:
            return Fact(name=name, value=f"cannot be looked for: {error}", level="warn")
        parts = list(_told(found))
        if not parts:
            return Fact(name=name, value="none")
        return Fact(name=name, value="; ".join(parts), level="warn")

    async def clean(self, context: Context) -> Sequence[str]:
        """Removes what a run left; what it leaves itself `fact` tells, with the reason.

        Returns:
            The names of those that were removed.
        """
        removed: list[str] = []
        for item in (await self._sorted(context)).left:
            if await self._stands(item.thread_id, item.label, context):
                await self._holdings.remove(item.thread_id, context)
                removed.append(f"unfinished thread {item.thread_id}")
        return removed

    async def _sorted(self, context: Context) -> _Sorted:
        found = _Sorted()
        for item in [item async for item in self._all(context)]:
            if await is_used(self._client, item.thread_id, context):
                found.used.append(item)
            elif item.idle < _IDLE:
                found.young.append(item)
            else:
                found.left.append(item)
        return found

    async def _stands(self, thread_id: str, label: Label, context: Context) -> bool:
        """Whether it is there still, as it was listed: a run may have replaced it since."""
        there = (await self._holdings.find([thread_id], context)).get(thread_id)
        return there is not None and there.label == label

    async def _all(self, context: Context) -> AsyncIterator[_Found]:
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
                label = label_of(split_object(row.metadata), row.thread_id)
                if label is not None and label.unfinished:  # and not what somebody else has there
                    yield _Found(row.thread_id, label, _idle_seconds(row, now))
            if len(rows) < _PAGE:
                return
            offset += len(rows)


def _told(found: _Sorted) -> Iterator[str]:
    """Each sort with its number, the reason, and the remedy."""
    if found.left:
        yield (
            f"{len(found.left)} of a run that was cut short: --clean removes them, and the next "
            "run makes them anew"
        )
    if found.young:
        yield (
            f"{len(found.young)} that changed within the last minute, as a run may be writing "
            "them: the next run makes them anew, and a minute from now --clean removes what is "
            "left of them"
        )
    if found.used:
        yield (
            f"{len(found.used)} that somebody has run since, or has a cron for, and that --clean "
            "leaves: a run lists them as failed, and makes them anew with --sink-on-conflict "
            "replace"
        )


def _idle_seconds(row: _Row, now: datetime) -> float:
    if row.updated_at is None:
        return 0.0
    try:
        return (now - parse_time(row.updated_at)).total_seconds()
    except ValueError:
        return 0.0
