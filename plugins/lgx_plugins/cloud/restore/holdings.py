"""What stands on the target: threads, by id, with lgx's label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Raw, Struct

from lgx import Context, RetryableError, RunInfo, split_object
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.label import Label, label_of
from lgx_plugins.cloud.restore.naming import kept_apart, plain_id

__all__ = ["Holding", "Holdings", "Place"]

_TOGETHER = 200
_ANSWER = 4 << 20  # bytes that an answer should have at most: metadata may be long


class Holding(Struct, frozen=True):
    """A thread of the target.

    Attributes:
        label: None where lgx did not write it.
    """

    thread_id: str
    label: Label | None
    created_at: str | None = None

    def is_copy(self, thread_id: str, run: RunInfo) -> bool:
        """Whether it is a copy of this thread of the run's source, or an attempt at one."""
        label = self.label
        if label is None or label.source != run.source:
            return False
        return (label.thread_id or self.thread_id) == thread_id


class Place(Struct, frozen=True):
    """Where a thread of the source stands on the target, or is to stand.

    Attributes:
        holding: what stands there now.
    """

    thread_id: str
    holding: Holding | None


class _Row(Struct):
    thread_id: str
    created_at: str | None = None
    metadata: Raw = Raw(b"{}")


_rows = msgspec.json.Decoder(list[_Row])


class Holdings:
    """Looks threads up by their ids, many in one request."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._together = _TOGETHER

    async def places(
        self, thread_ids: Sequence[str], run: RunInfo, context: Context
    ) -> Mapping[str, Place]:
        """By the source's ids where these threads stand, or are to stand.

        That is under their own ids, or a UUID made of them. Where a copy of another
        source's thread has that, and sources are merged, it is one made of both.

        Raises:
            RetryableError, ThreadError: the server does not answer, or not the question.
        """
        wanted = {plain_id(thread_id) for thread_id in thread_ids}
        if run.merge:
            wanted |= {kept_apart(thread_id, run.source) for thread_id in thread_ids}
        found = await self.find(sorted(wanted), context)
        return {thread_id: _place(thread_id, found, run) for thread_id in thread_ids}

    async def find(self, thread_ids: Sequence[str], context: Context) -> Mapping[str, Holding]:
        """Those of these threads of the target that are there.

        Raises:
            RetryableError, ThreadError: the server does not answer, or not the question.
        """
        found: dict[str, Holding] = {}
        start = 0
        while start < len(thread_ids):
            some = list(thread_ids[start : start + self._together])
            start += len(some)
            what = f"list of {len(some)} threads of the target"
            found |= await context.request(partial(self.ask, some), what=what)
        return found

    async def ask(self, thread_ids: Sequence[str]) -> Mapping[str, Holding]:
        """As `find`, in one request that is not tried again; for what is tried again itself."""
        answer = await self._client.ask(
            "POST",
            "/threads/search",
            {
                "ids": thread_ids,
                "limit": len(thread_ids),
                "select": ["thread_id", "created_at", "metadata"],
            },
            opening=b"[",
            what="list of the target's threads",
        )
        try:
            rows = _rows.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            why = f"the target's list of threads is malformed: {error}"
            raise RetryableError(why) from None
        if rows:
            each = len(answer.body) // len(rows) + 1
            self._together = max(1, min(_TOGETHER, _ANSWER // each))
        found: dict[str, Holding] = {}
        for row in rows:
            if row.thread_id not in thread_ids:
                raise RetryableError(
                    f"asked for {len(thread_ids)} threads, the target gave thread "
                    f"{row.thread_id!r} too; lgx cannot tell what stands there"
                )
            label = label_of(split_object(row.metadata))
            found[row.thread_id] = Holding(row.thread_id, label, row.created_at)
        return found


def _place(thread_id: str, found: Mapping[str, Holding], run: RunInfo) -> Place:
    plain = plain_id(thread_id)
    there = found.get(plain)
    if not run.merge or there is None or there.is_copy(thread_id, run):
        return Place(plain, there)
    other = kept_apart(thread_id, run.source)
    beside = found.get(other)
    if beside is not None or (there.label is not None and there.label.source != run.source):
        return Place(other, beside)
    return Place(plain, there)
