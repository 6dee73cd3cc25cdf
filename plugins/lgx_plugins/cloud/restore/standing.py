"""A thread as it stands on the target, read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec

from lgx import Checkpoint, Context, ThreadError
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Standing", "decoded"]

T = TypeVar("T")


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
        try:
            page = await self._history.page(self._thread_id, "", self._context, limit=1)
        except RefusedError as error:
            if error.status == 404:
                return None  # it has no graph, and so no history
            raise
        self._context.budget.give_page(page.taken)
        return page.rows[0].checkpoint_id if page.rows else None

    async def history(self) -> AsyncIterator[Checkpoint]:
        """All checkpoints of the root namespace, newest first; none where it is not there.

        Raises:
            RetryableError, ThreadError: they cannot be had whole.
        """
        limit = self._history.limit_for(None)
        try:
            page = await self._history.page(self._thread_id, "", self._context, limit=limit)
        except RefusedError as error:
            if error.status == 404 and not await self._holdings.find(
                [self._thread_id], self._context
            ):
                return
            raise
        while page.rows:
            rows, size = page.rows, len(page.body)
            try:
                for row in rows:
                    yield row
            finally:
                self._context.budget.give_page(page.taken)
            last = rows[-1]
            if last.parent_checkpoint_id is None and len(rows) < limit:
                return
            step = size // len(rows) + 1
            limit = self._history.limit_for(step)
            page = await self._history.after(
                self._thread_id, "", self._context, last=last, limit=limit, expected=limit * step
            )
        self._context.budget.give_page(page.taken)


def decoded(body: bytes, kind: type[T], what: str) -> T:
    """An answer's body as what it should be.

    Raises:
        ThreadError: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the target's answer about a {what} is malformed: {error}") from None
