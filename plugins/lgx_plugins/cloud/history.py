"""Pages of one namespace's history, newest first, of a size that memory can bear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote

from msgspec import Struct

from lgx import Budget, Checkpoint, Context, RetryableError, ThreadError, decode_history
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client

__all__ = [
    "CURSORS",
    "PAGE_BYTES",
    "PATIENCE",
    "Cursor",
    "HistoryPage",
    "HistoryReader",
    "NoCursorError",
    "PoisonError",
]

PAGE_BYTES = 8 << 20
"""What an answer should have at most; a single step may have more."""

PATIENCE = 2
"""Internal errors that one page may cause before it is given up."""

_OVERRUN = 2  # pages this much larger than they should be are given up and asked for in parts

Cursor: TypeAlias = Literal["configurable", "query", "checkpoint", "text"]
CURSORS: tuple[Cursor, ...] = ("configurable", "query", "checkpoint", "text")
"""How to say `before` this checkpoint. Servers differ from their documentation and from each
other: the first works on those of today, the second (GET) has no way to name a namespace."""


class HistoryPage(Struct, frozen=True):
    """Rows in the order given, under `taken` bytes of the budget until `give_back`.

    `body` is what they were cut out of.
    """

    rows: Sequence[Checkpoint]
    body: bytes
    taken: int


class HistoryReader:
    """Reads histories of one server, and remembers which cursor it understands."""

    def __init__(self, client: Client, page_size: int, budget: Budget | None = None) -> None:
        """`budget`: of which room for pages is taken, and to which it is given back, in place
        of the run's."""
        self._client = client
        self.page_size = page_size
        self._budget = budget
        self.cursor: Cursor | None = None
        self._step = 4096.0  # bytes of a step, over all pages so far

    def budget(self, context: Context) -> Budget:
        """That of which room is taken."""
        return self._budget or context.budget

    def limit_for(self, step: int | None) -> int:
        """How many steps to ask for, of about so many bytes each; None: not known."""
        if step is None:
            return min(self.page_size, max(1, int(PAGE_BYTES // (4 * self._step))))
        return max(1, min(self.page_size, PAGE_BYTES // max(1, step)))

    async def page(
        self,
        thread_id: str,
        namespace: str,
        context: Context,
        *,
        limit: int,
        expected: int | None = None,
        before: str | None = None,
        cursor: Cursor | None = None,
        metadata: dict[str, object] | None = None,
        attempts: int | None = None,
        patience: int = PATIENCE,
    ) -> HistoryPage:
        """One page, with the budget taken for it: whoever gets it gives it back.

        Nothing of the budget may be held by the caller, or two could wait for each other.

        Args:
            expected: bytes that will come, about.
            patience: 1 is for what is given up at the first internal error, because then it
                is asked for in smaller parts.

        Raises:
            RefusedError, RetryableError: as `Client.ask`.
            PoisonError: the server fails to render it, again and again.
            TooLargeError: it is much larger than a page should be; `limit` was not 1.
        """
        if expected is None:
            expected = int(limit * self._step)
        taken = max(1, min(expected, PAGE_BYTES))
        where = f" in namespace {namespace}" if namespace else ""
        what = f"history of thread {thread_id}{where}"
        method, path, payload = _question(
            thread_id, namespace, limit, before, cursor or self.cursor or CURSORS[0], metadata
        )
        most = PAGE_BYTES * _OVERRUN if limit > 1 else None

        failures = 0

        async def call() -> tuple[Sequence[Checkpoint], bytes]:
            nonlocal failures
            try:
                answer = await self._client.ask(
                    method, path, payload, opening=b"[", what=what, most=most
                )
                try:
                    return decode_history(answer.body, thread_id), answer.body
                except ThreadError as error:
                    # Broken in the middle: it may have been broken on its way.
                    raise RetryableError(str(error), status=500) from error
            except RetryableError as error:
                if error.outage or error.throttled or (error.status or 0) < 500:
                    raise
                failures += 1
                if failures < patience:
                    raise
                raise PoisonError(str(error)) from error

        budget = self.budget(context)
        await budget.take(taken)
        try:
            rows, body = await context.request(call, what=what, bulk=True, attempts=attempts)
        except BaseException:
            budget.give_page(taken)
            raise
        budget.resize(taken, len(body))
        context.received(len(body))
        if rows:
            self._step += (len(body) / len(rows) - self._step) * 0.05
        return HistoryPage(rows, body, len(body))

    async def after(
        self,
        thread_id: str,
        namespace: str,
        context: Context,
        *,
        last: Checkpoint,
        limit: int,
        expected: int | None,
        patience: int = PATIENCE,
    ) -> HistoryPage:
        """The page after `last`, the oldest checkpoint so far, by the cursor that works.

        Raises:
            NoCursorError: the server understands none, or none for this namespace.
            RefusedError, RetryableError, PoisonError, TooLargeError: as `page`.
        """
        # Once: another reader may find the cursor while this one is still looking for it, and a
        # refusal of a shape that was a guess must go on meaning that.
        known = self.cursor
        shapes = (known,) if known else CURSORS
        failed: PoisonError | None = None
        for shape in shapes:
            if shape == "query" and namespace:
                continue
            try:
                page = await self.page(
                    thread_id,
                    namespace,
                    context,
                    limit=limit,
                    expected=expected,
                    before=last.checkpoint_id,
                    cursor=shape,
                    patience=patience,
                )
            except RefusedError as error:
                if error.status not in (400, 422) or known:
                    raise
                continue
            except PoisonError as error:
                # To some, an unknown shape is an internal error, like a state that they
                # cannot render.
                if known:
                    raise
                failed = error
                continue
            if any(row.checkpoint_id == last.checkpoint_id for row in page.rows) or (
                page.rows and page.rows[0].checkpoint_id > last.checkpoint_id
            ):
                self.budget(context).give_page(page.taken)
                continue  # it was not heeded
            if page.rows:
                self.cursor = shape
            return page
        if failed is not None:
            raise failed
        raise NoCursorError(f"the server heeds no cursor in the history of thread {thread_id}")


class PoisonError(ThreadError):
    """The server's own failure, about this data and not for now: no outage, no throttling."""


class NoCursorError(ThreadError):
    """What is older than the last page cannot be asked for by a cursor."""


def _question(
    thread_id: str,
    namespace: str,
    limit: int,
    before: str | None,
    cursor: Cursor,
    metadata: dict[str, object] | None,
) -> tuple[str, str, object]:
    """Method, path and body."""
    path = path_of(thread_id, "/history")
    if before is not None and cursor == "query" and metadata is None:
        return "GET", f"{path}?limit={limit}&before={quote(before, safe='')}", None
    body: dict[str, object] = {"limit": limit}
    if namespace:
        body["checkpoint"] = {"checkpoint_ns": namespace}
    if metadata:
        body["metadata"] = metadata
    if before is not None:
        body["before"] = {
            "configurable": {"configurable": {"checkpoint_id": before}},
            "checkpoint": {"checkpoint_id": before},
        }.get(cursor, before)
    return "POST", path, body
