"""Retries, rate and places, with a clock that the tests move."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest

from lgx import FatalError, RetryableError
from lgx.engine.rate import Rate
from lgx.engine.requests import Requests
from lgx.progress import Progress


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(clock: Clock) -> Requests:
    return Requests(
        Progress(),
        concurrency=4,
        attempts=5,
        rate=Rate(clock, clock.sleep),
        sleep=clock.sleep,
        jitter=lambda low, high: high,
    )


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """A request that fails with each of these in turn, then answers."""
    left = list(errors)

    async def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


async def test_passing_failures_are_tried_again_with_doubling_waits(
    requests: Requests, clock: Clock
) -> None:
    """A retryable error, a reset and a timeout are each followed by a longer wait."""
    call = failing(RetryableError("500"), ConnectionResetError(), TimeoutError())

    assert await requests(call, what="thing") == "answer"
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_other_errors_pass_through_at_once(requests: Requests, clock: Clock) -> None:
    """What will not pass by waiting is not tried again."""
    with pytest.raises(FatalError, match="the key was refused"):
        await requests(failing(FatalError("the key was refused")), what="thing")

    assert clock.slept == []


async def test_the_last_failure_names_the_request_and_the_tries(requests: Requests) -> None:
    """When the attempts are used up, the error says of what, how often and why."""
    with pytest.raises(RetryableError) as caught:
        await requests(failing(*[RetryableError("500", status=500)] * 9), what="history of x")

    assert str(caught.value) == "the history of x failed after 5 tries: 500"
    assert caught.value.status == 500


async def test_a_request_may_ask_for_fewer_tries(requests: Requests, clock: Clock) -> None:
    """`attempts` bounds the tries of one request."""
    with pytest.raises(RetryableError, match="after 2 tries"):
        await requests(failing(*[RetryableError("500")] * 9), what="page", attempts=2)
    with pytest.raises(RetryableError, match="after 1 try:"):
        await requests(failing(RetryableError("500")), what="page", attempts=1)

    assert clock.slept == [0.5]


async def test_what_the_server_asks_for_is_waited(requests: Requests, clock: Clock) -> None:
    """Retry-After counts from the answer, for this request and for those behind it."""
    call = failing(RetryableError("slow down", retry_after=7, throttled=True))

    assert await requests(call, what="thing") == "answer"
    assert clock.now >= 1007


async def test_no_server_can_stop_a_run_for_a_day(requests: Requests, clock: Clock) -> None:
    """Retry-After is obeyed up to five minutes, by this request and by those behind it."""
    call = failing(RetryableError("slow down", retry_after=86400, throttled=True))

    assert await requests(call, what="thing") == "answer"
    assert await requests(failing(), what="other") == "answer"
    assert clock.now < 1000 + 700


async def test_a_long_silence_lifts_a_bounded_rate(clock: Clock) -> None:
    """However long nothing was asked, the rate grows by no more than a minute's worth."""
    rate = Rate(clock, clock.sleep)
    for _ in range(30):
        started = await rate.turn()
    rate.throttled(started, 0.0)
    assert rate.limit is not None
    clock.now += 10_000_000

    rate.answered()

    assert rate.limit is None


async def test_a_complaint_halves_the_rate_once_and_it_recovers(clock: Clock) -> None:
    """A burst of 429 halves the measured rate once; it grows until it is lifted again."""
    rate = Rate(clock, clock.sleep)
    for _ in range(101):
        started = await rate.turn()
        clock.now += 0.01
    for _ in range(20):
        rate.throttled(started, 0.0)

    assert rate.limit == pytest.approx(50, rel=0.05)

    clock.now += 0.01
    later = await rate.turn()
    clock.now += 0.01
    rate.throttled(later, 0.0)
    assert rate.limit == pytest.approx(25, rel=0.05)

    limits = []
    while rate.limit is not None:
        clock.now += 1
        rate.answered()
        limits.append(rate.limit)
    assert len(limits) == pytest.approx(22, abs=2)


async def test_a_complaint_about_one_of_the_first_requests_bounds_nothing(clock: Clock) -> None:
    """A rate cannot be told from a few requests; each of them waits by itself all the same."""
    rate = Rate(clock, clock.sleep)
    rate.throttled(await rate.turn(), 0.0)

    assert rate.limit is None


async def test_a_bounded_rate_spaces_requests(clock: Clock) -> None:
    """Ten requests at five a second take about two seconds."""
    rate = Rate(clock, clock.sleep)
    await rate.turn()
    rate.limit = 5
    begun = clock.now
    for _ in range(10):
        await rate.turn()

    assert clock.now - begun == pytest.approx(1.8, abs=0.3)


async def test_a_silent_server_ends_the_run(requests: Requests) -> None:
    """Many requests given up in a row, with no answer between, are an outage."""
    for _ in range(7):
        with pytest.raises(RetryableError):
            await requests(failing(*[ConnectionRefusedError("refused")] * 9), what="x", attempts=1)
    with pytest.raises(FatalError, match=r"8 requests .* given up, the last was the x: refused"):
        await requests(failing(*[ConnectionRefusedError("refused")] * 9), what="x", attempts=1)


async def test_a_server_that_turns_everything_away_ends_the_run(requests: Requests) -> None:
    """429 for ever is an outage, too: a run must not crawl on for hours."""
    throttled = [RetryableError("429", throttled=True) for _ in range(99)]
    with pytest.raises(FatalError, match="8 requests in a row were given up"):
        for _ in range(9):
            with contextlib.suppress(RetryableError):
                await requests(failing(*throttled), what="x")


async def test_an_answer_between_shows_that_the_server_lives(requests: Requests) -> None:
    """A server that answers some requests, be it with 500, is not away."""
    for _ in range(30):
        with pytest.raises(RetryableError):
            await requests(failing(*[TimeoutError()] * 9), what="x", attempts=1)
        with pytest.raises(RetryableError):
            await requests(failing(*[RetryableError("500")] * 9), what="x", attempts=1)


async def test_bulk_requests_share_the_places_and_others_have_their_own(
    requests: Requests,
) -> None:
    """At most `concurrency` large bodies at once, whatever small requests do meanwhile."""
    running = {"bulk": 0, "light": 0}
    most = {"bulk": 0, "light": 0}
    gate = asyncio.Event()

    def call(kind: str) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            running[kind] += 1
            most[kind] = max(most[kind], running[kind])
            if sum(running.values()) == 8:
                gate.set()
            await gate.wait()
            running[kind] -= 1

        return run

    await asyncio.gather(
        *(requests(call("bulk"), what="b", bulk=True) for _ in range(10)),
        *(requests(call("light"), what="l") for _ in range(10)),
    )

    assert most == {"bulk": 4, "light": 4}


async def test_requests_and_retries_are_counted(clock: Clock) -> None:
    """The report tells how many requests were made and how many of them again."""
    progress = Progress()
    requests = Requests(progress, concurrency=1, attempts=5, sleep=clock.sleep)

    await requests(failing(TimeoutError(), TimeoutError()), what="x")
    await requests(failing(), what="y")

    assert (progress.requests, progress.retries) == (4, 2)
