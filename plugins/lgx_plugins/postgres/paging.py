"""The rows of a moment, a page at a time, from whatever connection is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from functools import partial

from lgx import Context, IntegrityError, RetryableError, ThreadError
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.postgres.streaming import PAGE_BYTES, CopyStream, Page, UsualRows

__all__ = ["Paging"]


class Paging:
    """Reads what SELECTs give in a moment."""

    def __init__(self, moment: Moment, place: str) -> None:
        self._moment = moment
        self._place = place

    async def pages(
        self,
        sql: str,
        skips: Sequence[int],
        context: Context,
        *,
        what: str,
        usual: UsualRows | None = None,
    ) -> AsyncGenerator[Page, None]:
        """Rows, a page at a time, within the budget while they are in use.

        A connection that is lost in the middle is made anew: the same moment has the same
        rows, of which those that have come are passed over. So `sql` names an order in which no
        two rows may change places.
        """
        done = 0
        while True:
            text = f"{sql} OFFSET {done}" if done else sql
            before = done
            try:
                async with AsyncExitStack() as stack:
                    stream, page = await context.request(
                        partial(self._begin, stack, text, skips, usual), what=what
                    )
                    size = 2 * PAGE_BYTES  # one in use, one that comes in
                    await context.budget.take(size)
                    try:
                        while page.rows:
                            held = max(2 * PAGE_BYTES, page.size + PAGE_BYTES)
                            context.budget.resize(size, held)
                            size = held
                            context.received(page.size)
                            yield page
                            done += len(page.rows)
                            with explained(self._place, again=True):
                                page = await stream.page()
                        return
                    finally:
                        context.budget.give_page(size)
            except (IntegrityError, ThreadError) as error:  # damage, or a value it chokes on
                why = getattr(error.__cause__, "message", None) or str(error)
                raise ThreadError(f"the server cannot read its rows: {why}") from error
            except RetryableError:
                if done == before:
                    raise

    async def _begin(
        self, outer: AsyncExitStack, sql: str, skips: Sequence[int], usual: UsualRows | None
    ) -> tuple[CopyStream, Page]:
        """A stream and its first page; what it takes is freed with `outer`."""
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._moment.lend())
            with explained(self._place, again=True):
                stream = await stack.enter_async_context(CopyStream(connection, sql, skips, usual))
                page = await stream.page()
            await outer.enter_async_context(stack.pop_all())
        return stream, page
