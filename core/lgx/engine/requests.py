"""Requests: retries, rate and places, once for all plugins."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lgx.engine.rate import Rate
from lgx.errors import FatalError, RetryableError
from lgx.progress import Progress

__all__ = ["Requests"]

T = TypeVar("T")

_PASSING = (RetryableError, ConnectionError, TimeoutError)
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_LONGEST_OBEYED = 300.0  # what a server may ask for with Retry-After
_OUTAGES = 8  # requests given up in a row, without an answer between, that end a run


class Requests:
    """Runs requests for `Context.request`, whose contract this is."""

    def __init__(
        self,
        progress: Progress,
        *,
        concurrency: int,
        attempts: int,
        rate: Rate | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._progress = progress
        self._attempts = attempts
        self._rate = rate or Rate(sleep=sleep)
        self._sleep = sleep
        self._jitter = jitter
        self._bulk = asyncio.Semaphore(concurrency)
        # A small look-up or two goes with each large answer; they must not be what is waited for.
        self._light = asyncio.Semaphore(2 * concurrency)
        self._unheard = 0

    async def __call__(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        what: str,
        bulk: bool = False,
        attempts: int | None = None,
    ) -> T:
        places = self._bulk if bulk else self._light
        try:
            return await self._once(call, places)
        except _PASSING as error:
            return await self._again(
                call, places, what, min(attempts or self._attempts, self._attempts), error
            )

    async def _once(self, call: Callable[[], Awaitable[T]], places: asyncio.Semaphore) -> T:
        async with places:
            started = await self._rate.turn()
            self._progress.requests += 1
            try:
                result = await call()
            except RetryableError as error:
                if error.throttled:
                    # An answer, but none that anything can be read from.
                    asked = min(error.retry_after or 0.0, _LONGEST_OBEYED)
                    self._rate.throttled(started, asked)
                if not (error.outage or error.throttled):
                    self._unheard = 0
                raise
            self._unheard = 0
            self._rate.answered()
            return result

    async def _again(
        self,
        call: Callable[[], Awaitable[T]],
        places: asyncio.Semaphore,
        what: str,
        attempts: int,
        first: Exception,
    ) -> T:
        # The first try was made outside: setting up the retrying costs as much as a
        # small request, and nearly all requests succeed at once.
        import tenacity

        failed: Exception | None = first

        async def try_again() -> T:
            nonlocal failed
            if failed is not None:
                error, failed = failed, None
                raise error
            self._progress.retries += 1
            return await self._once(call, places)

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_PASSING),
            stop=tenacity.stop_after_attempt(attempts),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await retrying(try_again)
        except _PASSING as error:
            raise self._given_up(error, what, attempts) from error

    def _wait(self, state: object) -> float:
        import tenacity

        assert isinstance(state, tenacity.RetryCallState)
        assert state.outcome is not None
        error = state.outcome.exception()
        asked = error.retry_after if isinstance(error, RetryableError) else None
        bound = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (state.attempt_number - 1))
        wait = self._jitter(0.0, bound)
        return wait if asked is None else min(asked, _LONGEST_OBEYED) + wait

    def _given_up(self, error: Exception, what: str, attempts: int) -> Exception:
        outage = not isinstance(error, RetryableError) or error.outage
        reason = str(error) or type(error).__name__
        tries = "1 try" if attempts == 1 else f"{attempts} tries"
        status = error.status if isinstance(error, RetryableError) else None
        throttled = isinstance(error, RetryableError) and error.throttled
        if outage or throttled:
            self._unheard += 1
            if self._unheard >= _OUTAGES:
                return FatalError(
                    f"{self._unheard} requests in a row were given up, the last was the {what}: "
                    f"{reason}; run again when the other side is back, what has arrived stays"
                )
        return RetryableError(
            f"the {what} failed after {tries}: {reason}",
            throttled=throttled,
            outage=outage,
            status=status,
        )
