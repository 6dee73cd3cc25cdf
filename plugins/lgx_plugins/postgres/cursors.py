"""A list of a moment's rows, through a cursor of its keeper."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from lgx import Context
from lgx_plugins.postgres.failures import explained
from lgx_plugins.postgres.snapshot import Moment

if TYPE_CHECKING:
    from asyncpg import Connection

__all__ = ["listed_rows"]

_FIRST = 30  # reading begins while the server looks at the others


async def listed_rows(
    moment: Moment, place: str, sql: str, context: Context, *, most: int, what: str
) -> AsyncGenerator[Any, None]:
    """The rows of a SELECT, which names an order in which no two may change places. Others use
    the keeper in between.

    Args:
        most: so many rows in one answer.
    """
    at_once = _FIRST
    done = 0
    number = itertools.count()
    cursor = ""
    holder: Connection | None = None

    async def some() -> list[Any]:
        """The next rows; from a new cursor where the one that there was went away."""
        nonlocal cursor, holder
        async with moment.keeper() as keeper:
            with explained(place, again=True):
                try:
                    if holder is not keeper:
                        cursor = f"lgx_list_{id(number)}_{next(number)}"
                        text = f"{sql} OFFSET {done}"
                        await keeper.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {text}")
                        holder = keeper
                    rows = list(await keeper.fetch(f"FETCH {at_once} FROM {cursor}"))
                    if not rows:
                        await keeper.execute(f"CLOSE {cursor}")
                except BaseException:
                    holder = None
                    raise
                return rows

    while rows := await context.request(some, what=what):
        at_once = min(2 * at_once, most)
        for row in rows:
            done += 1
            yield row
