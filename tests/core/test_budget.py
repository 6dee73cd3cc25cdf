"""The budget: room is waited for in order, and waiting always ends."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgx import Budget


async def begun(*waiting: asyncio.Task[None]) -> None:
    """Lets tasks run until each is done or waits."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_room_is_granted_at_once_while_there_is_some() -> None:
    """And counted until it is given back."""
    budget = Budget(100)
    await budget.take(60)
    await budget.take(40)
    assert (budget.used, budget.peak) == (100, 100)
    budget.give_page(60)
    budget.give_page(40)
    assert (budget.used, budget.peak) == (0, 100)


async def test_a_page_larger_than_the_budget_is_granted_when_it_is_the_only_one() -> None:
    """One reader at least goes on, whatever spools hold."""
    budget = Budget(100)
    assert budget.try_take(100)
    await budget.take(1000)
    assert not budget.try_take(1)
    assert budget.used == 1100


async def test_pages_are_granted_in_the_order_of_asking() -> None:
    """A small one does not overtake a large one, which would wait for ever."""
    budget = Budget(100)
    order: list[str] = []

    async def page(name: str, size: int) -> None:
        await budget.take(size)
        order.append(name)

    await budget.take(80)
    large = asyncio.create_task(page("large", 90))
    small = asyncio.create_task(page("small", 5))
    await begun(large, small)
    assert order == []
    budget.give_page(80)
    await asyncio.gather(large, small)
    assert order == ["large", "small"]
    assert budget.used == 95


async def test_a_spool_that_gives_room_back_lets_a_page_go_on() -> None:
    """Both kinds of holder share one room."""
    budget = Budget(100)
    await budget.take(10)
    assert budget.try_take(80)
    page = asyncio.create_task(budget.take(50))
    await begun(page)
    assert not page.done()
    budget.give(80)
    await page
    assert budget.used == 60


async def test_a_page_that_turns_out_smaller_lets_another_go_on() -> None:
    """What was taken for a guess is corrected when the size is known."""
    budget = Budget(100)
    await budget.take(90)
    page = asyncio.create_task(budget.take(50))
    await begun(page)
    assert not page.done()
    budget.resize(90, 20)
    await page
    budget.give_page(20)
    budget.give_page(50)
    assert (budget.used, budget.peak) == (0, 90)


async def test_a_page_that_turns_out_larger_is_counted() -> None:
    """The peak shows it, and others wait the longer."""
    budget = Budget(100)
    await budget.take(10)
    budget.resize(10, 150)
    assert (budget.used, budget.peak) == (150, 150)
    assert not budget.try_take(1)


async def test_a_cancelled_page_takes_no_room() -> None:
    """Neither while it waits nor when it was granted in the same moment."""
    budget = Budget(100)
    await budget.take(100)
    waiting = asyncio.create_task(budget.take(50))
    granted = asyncio.create_task(budget.take(40))
    await begun(waiting, granted)
    waiting.cancel()
    budget.give_page(100)
    granted.cancel()
    for task in (waiting, granted):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert budget.used == 0
    await budget.take(100)


async def test_a_cancelled_page_does_not_hold_up_those_behind_it() -> None:
    """They go on at the cancellation, not at somebody's giving room back."""
    budget = Budget(100)
    await budget.take(50)
    large = asyncio.create_task(budget.take(90))
    small = asyncio.create_task(budget.take(10))
    await begun(large, small)
    assert not small.done()
    large.cancel()
    await begun(small)
    assert small.done()
    assert budget.used == 60


@given(st.integers(0, 2**32), st.integers(1, 100), st.integers(1, 30))
def test_waiting_for_room_always_ends(seed: int, total: int, readers: int) -> None:
    """Readers with pages of any size, spools that keep room, cancellations: none is left
    waiting, all room comes back, and pages stay within the budget but for a lone one."""

    async def run() -> None:
        random_ = random.Random(seed)
        budget = Budget(total)
        held: dict[int, int] = {}

        async def reader(number: int) -> None:
            kept = 0
            try:
                for _ in range(random_.randint(1, 4)):
                    size = random_.randint(0, 2 * total)
                    await budget.take(size)
                    held[number] = size
                    assert sum(held.values()) <= total or len(held) == 1
                    try:
                        await asyncio.sleep(0)
                        smaller = random_.randint(0, size)
                        budget.resize(size, smaller)
                        held[number] = size = smaller
                        await asyncio.sleep(0)
                    finally:
                        del held[number]
                        budget.give_page(size)
                    if budget.try_take(size // 2):
                        kept += size // 2
            finally:
                budget.give(kept)

        tasks = [asyncio.create_task(reader(number)) for number in range(readers)]
        for task in tasks:
            if random_.random() < 0.2:
                await asyncio.sleep(0)
                task.cancel()
        async with asyncio.timeout(20):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(r is None or isinstance(r, asyncio.CancelledError) for r in results)
        assert budget.used == 0
        async with asyncio.timeout(20):
            await budget.take(total)

    asyncio.run(run())


async def test_room_can_be_overdrawn_for_what_is_small() -> None:
    """It is counted; `pressed` says that it is time to write."""
    budget = Budget(100)
    assert budget.try_take(75)
    assert not budget.pressed
    assert not budget.try_take(26)
    assert budget.try_take(26, overdraw=True)
    assert (budget.used, budget.pressed) == (101, True)
