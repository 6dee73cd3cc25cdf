"""A thread as it stands on the target, read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from lgx import Checkpoint, Context, ThreadError, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError, TooLargeError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryPage, HistoryReader
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import KEY
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Standing", "decoded"]

T = TypeVar("T")

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
    ) -> None:
        self._client = client
        self._history = history
        self._holdings = holdings
        self._thread_id = thread_id
        self._context = context

    async def look(self) -> Built:
        """Its record."""
        what = f"record of thread {self._thread_id}"
        path = path_of(self._thread_id)
        answer = await self._client.light(self._context, "GET", path, opening=b"{", what=what)
        return decoded(answer.body, Built, "thread")

    async def head(self) -> str | None:
        """The id of the newest checkpoint of the root namespace; None where it has none."""
        return next(iter(await self.newest(1)), None)

    async def newest(self, count: int = _NEWEST) -> list[str]:
        """The ids of so many of the newest checkpoints of the root namespace."""
        try:
            page = await self._history.page(self._thread_id, "", self._context, limit=count)
        except TooLargeError:
            return await self.newest(1)
        except RefusedError as error:
            if error.status == 404:
                return []  # it has no graph, and so no history
            raise
        self._context.budget.give_page(page.taken)
        return [row.checkpoint_id for row in page.rows]

    async def used(self) -> bool:
        """Whether somebody has run it here, or has a cron that does: of a copy nobody but lgx
        knew that it would be replaced."""
        path = path_of(self._thread_id, "/runs?limit=1")
        what = f"runs of thread {self._thread_id}"
        answer = await self._client.light(self._context, "GET", path, opening=b"[", what=what)
        if decoded(answer.body, list[Raw], "list of runs"):
            return True
        try:
            answer = await self._client.light(
                self._context,
                "POST",
                "/runs/crons/search",
                {"thread_id": self._thread_id, "limit": 100},
                opening=b"[",
                what=f"crons of thread {self._thread_id}",
            )
        except RefusedError:
            return False  # some servers have no crons
        crons = decoded(answer.body, list[_Cron], "list of crons")
        return any(KEY not in _fields(cron.metadata) for cron in crons)

    async def history(self) -> AsyncIterator[Checkpoint]:
        """All checkpoints of the root namespace, newest first; none where it is not there.

        Raises:
            RetryableError, ThreadError: they cannot be had whole.
        """
        last: Checkpoint | None = None
        step = 4096
        limit = self._history.limit_for(None)
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
                self._context.budget.give_page(page.taken)
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


def _fields(metadata: Raw) -> dict[str, Raw]:
    return {} if bytes(metadata) == b"null" else split_object(metadata)


def decoded(body: bytes, kind: type[T], what: str) -> T:
    """An answer's body as what it should be.

    Raises:
        ThreadError: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the target's answer about a {what} is malformed: {error}") from None
