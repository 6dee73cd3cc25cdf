"""A thread as it stands on the target, read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from msgspec import Raw, Struct

from lgx import Checkpoint, Context, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError, TooLargeError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryPage, HistoryReader
from lgx_plugins.cloud.restore.decoding import decoded
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import KEY
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Standing", "is_used"]

_NEWEST = 5


class _Cron(Struct):
    metadata: Raw = Raw(b"null")


class Standing:
    """One thread, by its id there."""

    def __init__(
        self,
        client: Client,
        history: HistoryReader,
        holdings: Holdings,
        thread_id: str,
        context: Context,
        step: int | None = None,
    ) -> None:
        """`step`: bytes that one of its checkpoints has, about."""
        self._client = client
        self._history = history
        self._holdings = holdings
        self._thread_id = thread_id
        self._context = context
        self._step = step

    async def look(self) -> Built | None:
        """Its record; None where it is not there."""
        what = f"record of thread {self._thread_id}"
        return await self._context.request(partial(self._holdings.look, self._thread_id), what=what)

    async def head(self) -> str | None:
        """The id of the newest checkpoint of the root namespace; None where it has none."""
        return next(iter(await self.newest(1)), None)

    async def newest(self, count: int = _NEWEST) -> list[str]:
        """The ids of so many of the newest checkpoints of the root namespace."""
        try:
            page = await self._history.page(self._thread_id, "", self._context, limit=count)
        except TooLargeError:
            if count == 1:
                raise  # more than --sink-max-answer
            return await self.newest(1)
        except RefusedError as error:
            if error.status == 404:
                return []  # it has no graph, and so no history
            raise
        self._history.budget(self._context).give_page(page.taken)
        return [row.checkpoint_id for row in page.rows]

    async def used(self) -> bool:
        """Whether somebody has run it here, or has a cron that does."""
        return await is_used(self._client, self._thread_id, self._context)

    async def history(self) -> AsyncIterator[Checkpoint]:
        """All checkpoints of the root namespace, newest first; none where it is not there.

        Raises:
            RetryableError, ThreadError: they cannot be had whole.
        """
        last: Checkpoint | None = None
        step = self._step or 4096
        limit = self._history.limit_for(self._step)
        while True:
            try:
                page = await self._page(last, limit, limit * step)
            except TooLargeError:
                if limit == 1:
                    raise  # more than --sink-max-answer
                limit = max(1, limit // 8)
                continue
            if page is None:
                return
            rows, size = page.rows, len(page.body)
            try:
                for row in rows:
                    yield row
            finally:
                self._history.budget(self._context).give_page(page.taken)
            if not rows or (rows[-1].parent_checkpoint_id is None and len(rows) < limit):
                return
            last = rows[-1]
            step = size // len(rows) + 1
            limit = self._history.limit_for(step)

    async def _page(self, last: Checkpoint | None, limit: int, expected: int) -> HistoryPage | None:
        """The page after this checkpoint; None where the thread is not there."""
        if last is not None:
            return await self._history.after(
                self._thread_id, "", self._context, last=last, limit=limit, expected=expected
            )
        try:
            return await self._history.page(self._thread_id, "", self._context, limit=limit)
        except RefusedError as error:
            if error.status == 404 and not await self._holdings.find(
                [self._thread_id], self._context
            ):
                return None
            raise


async def is_used(client: Client, thread_id: str, context: Context) -> bool:
    """Whether somebody has run a thread of the target, or has a cron that does: of a copy, or
    half of one, nobody but lgx knew that it would be replaced."""
    path = path_of(thread_id, "/runs?limit=1")
    what = f"runs of thread {thread_id}"
    try:
        answer = await client.light(context, "GET", path, opening=b"[", what=what)
    except RefusedError as error:
        if error.status == 404:
            return False  # it is not there
        raise
    if decoded(answer.body, list[Raw], "list of runs"):
        return True
    try:
        answer = await client.light(
            context,
            "POST",
            "/runs/crons/search",
            {"thread_id": thread_id, "limit": 100},
            opening=b"[",
            what=f"crons of thread {thread_id}",
        )
    except RefusedError:
        return False  # some servers have no crons
    crons = decoded(answer.body, list[_Cron], "list of crons")
    return any(KEY not in _fields(cron.metadata) for cron in crons)


def _fields(metadata: Raw) -> dict[str, Raw]:
    return {} if bytes(metadata) == b"null" else split_object(metadata)
