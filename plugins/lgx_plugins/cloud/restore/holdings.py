"""What stands on the target: threads, by id, with lgx's label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Struct

from lgx import Bundle, Context, RetryableError, RunInfo
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.decoding import decoded
from lgx_plugins.cloud.restore.label import Label
from lgx_plugins.cloud.restore.naming import kept_apart, kept_id, plain_id
from lgx_plugins.cloud.restore.removals import Removals
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Holding", "Holdings", "Place"]

_LABEL = ("thread_id", "created_at", "metadata")
_RECORD = (*_LABEL, "state_updated_at", "status", "interrupts")
_TOGETHER = 200
_ANSWER = 4 << 20  # bytes that an answer should have at most: metadata may be long


class Holding(Struct, frozen=True):
    """A thread of the target.

    Attributes:
        label: None where lgx did not write it.
        graph_id: of its graph here.
    """

    thread_id: str
    label: Label | None
    created_at: str | None = None
    graph_id: str | None = None

    def is_copy(self, thread_id: str, run: RunInfo) -> bool:
        """Whether it is a copy of this thread of the run's source, or an attempt at one."""
        label = self.label
        if label is None or label.source != run.source:
            return False
        own = self.thread_id if label.thread_id is None else label.thread_id
        return own == kept_id(thread_id)

    def stands_for(self, bundle: Bundle, run: RunInfo) -> bool:
        """Whether it is a whole copy of just what is to be written."""
        mark = None if self.label is None else self.label.mark
        if mark is None or bundle.mark is None or not self.is_copy(bundle.thread_id, run):
            return False
        return mark.same_copy(bundle.mark)


class Place(Struct, frozen=True):
    """Where a thread of the source stands on the target, or is to stand.

    Attributes:
        holding: what stands there now.
    """

    thread_id: str
    holding: Holding | None


_rows = msgspec.json.Decoder(list[Built])


class Holdings:
    """Looks threads up by their ids, many in one request."""

    def __init__(self, client: Client) -> None:
        self.removals = Removals()
        self._client = client
        self._together = _TOGETHER
        self._selects = True

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
        rows, size = await self._rows(thread_ids, _LABEL)
        if rows:
            each = size // len(rows) + 1
            self._together = max(1, min(_TOGETHER, _ANSWER // each))
        return {
            row.thread_id: Holding(row.thread_id, row.label, row.created_at, row.graph_id)
            for row in rows
        }

    async def look(self, thread_id: str) -> Built | None:
        """A thread's record; None where it is not there. In one request that is not tried again.

        Not what creating or changing a thread answers: some servers give with that the thread
        as it was before its steps were taken.
        """
        if self._selects:
            try:
                rows, _ = await self._rows([thread_id], _RECORD)
            except RefusedError as error:
                if error.status not in (400, 422):
                    raise
                self._selects = False  # an older server, which cannot leave the values out
            else:
                return rows[0] if rows else None
        path, what = path_of(thread_id), f"record of thread {thread_id}"
        try:
            answer = await self._client.ask("GET", path, opening=b"{", what=what)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return decoded(answer.body, Built, "thread")

    async def _rows(
        self, thread_ids: Sequence[str], select: Sequence[str]
    ) -> tuple[Sequence[Built], int]:
        """The threads that are there of these, and the size of the answer."""
        answer = await self._client.ask(
            "POST",
            "/threads/search",
            {"ids": thread_ids, "limit": len(thread_ids), "select": select},
            opening=b"[",
            what="list of the target's threads",
        )
        try:
            rows = _rows.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            why = f"the target's list of threads is malformed: {error}"
            raise RetryableError(why) from None
        for row in rows:
            if row.thread_id not in thread_ids:
                raise RetryableError(
                    f"asked for {len(thread_ids)} threads, the target gave thread "
                    f"{row.thread_id!r} too; lgx cannot tell what stands there"
                )
        return rows, len(answer.body)

    async def remove(self, thread_id: str, context: Context) -> None:
        """Removes a thread of the target, if it is there, whoever made it.

        Raises:
            RetryableError, ThreadError: it may be there still.
        """
        what = f"removal of thread {thread_id}"
        await context.request(partial(self.remove_once, thread_id), what=what)

    async def remove_once(self, thread_id: str) -> None:
        """As `remove`, in one request that is not tried again."""
        path, what = path_of(thread_id), "removal of a thread"
        try:
            await self._client.ask("DELETE", path, opening=None, what=what)
        except RefusedError as error:
            if error.status != 404:
                raise
        except RetryableError as error:
            if not error.throttled:
                self.removals.miss(thread_id)
            raise

    async def check_removals(self, context: Context) -> None:
        """That no removal has come late.

        Raises:
            ThreadError: one has; or the server does not tell.
            RetryableError: it does not answer.
        """
        ids = self.removals.endangered
        found = await self.find(ids, context) if ids else {}
        self.removals.check(
            own for own, there in found.items() if there.label and not there.label.unfinished
        )


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
