"""Memory for threads that are written: shared with the sources, and never waited for in a ring."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from lgx import Bundle, Checkpoint, Context, Record, Thread, ThreadRef, raw
from lgx.testing import make_context
from lgx_plugins.cloud.restore.room import Room

BODY = 4 << 20


def bundle(context: Context, *sizes: int) -> Bundle:
    """A thread with checkpoints of these sizes, about."""
    records: Sequence[Record] = [
        Checkpoint(
            thread_id="t", checkpoint_ns="", checkpoint_id=f"{number}", values=raw("x" * size)
        )
        for number, size in enumerate(sizes)
    ]
    spool = context.spool()
    spool.append(Thread(thread_id="t"))
    spool.extend(records)
    return Bundle(spool, ref=ThreadRef(thread_id="t", version="1"), mark=None)


async def at_once(context: Context, bundles: Sequence[Bundle]) -> int:
    """How many of these threads are written at once, if each takes as long as it can."""
    room, inside = Room(), 0
    enough = asyncio.Event()

    async def write(thread: Bundle) -> None:
        nonlocal inside
        async with room.of(thread, BODY, context):
            inside += 1
            await enough.wait()

    async with asyncio.TaskGroup() as group:
        for thread in bundles:
            group.create_task(write(thread))
        for _ in range(10 * len(bundles)):
            await asyncio.sleep(0)
        found = inside
        enough.set()
    for thread in bundles:
        thread.close()
    assert inside == len(bundles)
    assert context.budget.used == 0
    return found


@pytest.mark.parametrize(
    ("step", "count"), [(10_000, 8), (1 << 20, 8), (4 << 20, 2), (40 << 20, 1)]
)
async def test_the_larger_the_steps_the_fewer_threads_are_written_at_once(
    step: int, count: int
) -> None:
    """One of them always, however large it is."""
    context = make_context(memory=48 << 20)
    assert await at_once(context, [bundle(context, step) for _ in range(8)]) == count


async def test_many_small_steps_make_no_large_one() -> None:
    """A long thread takes the room of a request and of a page, not of all that it has."""
    context = make_context(memory=48 << 20)
    long = [bundle(context, *[50_000] * 1000) for _ in range(4)]
    assert await at_once(context, long) == 3


async def test_nobody_waits_for_what_only_the_writers_free() -> None:
    """A source holds a page for as long as it reads, and threads that wait for a writer have
    filled the rest: the writers go on, and the source learns that there is no room."""
    context = make_context(memory=2 << 20)
    await context.budget.take(1 << 20)
    waiting = [bundle(context, 200_000) for _ in range(8)]
    assert not context.budget.try_take(400_000)
    async with asyncio.timeout(5):
        assert await at_once_of(context, waiting) == len(waiting)
    context.budget.give_page(1 << 20)
    assert context.budget.used == 0


async def at_once_of(context: Context, bundles: Sequence[Bundle]) -> int:
    """Writes them one after the other, and counts them."""
    room, written = Room(), 0
    for thread in bundles:
        async with room.of(thread, BODY, context):
            written += 1
        thread.close()
    return written
