"""What the engine lends to plugins, so that none of them sleeps, retries or prints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from lgx.budget import Budget
from lgx.spool import Spool

__all__ = ["Context"]

T = TypeVar("T")


class Context(Protocol):
    """One per run, shared by all its plugins; used from the event loop's thread only."""

    @property
    def budget(self) -> Budget:
        """The bytes in flight. A source takes room for each page before it asks for it."""

    @property
    def stopping(self) -> bool:
        """True after a signal: a long loop inside one call ends early, by raising nothing."""

    async def request(
        self,
        call: Callable[[], Awaitable[T]],
        *,
        what: str,
        bulk: bool = False,
        attempts: int | None = None,
    ) -> T:
        """Runs one idempotent request, again where it fails in a way that may pass.

        Tried again: `RetryableError`, and Python's own ConnectionError and TimeoutError.
        Waits double from half a second up to thirty, with full jitter; a server's
        `retry_after` is obeyed. A throttled answer halves the rate of all requests, which
        then recovers. Everything else that `call` raises passes through at once.

        Args:
            call: makes the request anew at each call; a plain function that returns an awaitable.
            what: names the request in messages: `history of thread 1f1e…`.
            bulk: a large body is expected; such requests share the run's `--concurrency`,
                the others have twice as many places of their own.
            attempts: at most so many tries, in place of the run's own bound.

        Raises:
            RetryableError: the last failure, when the attempts are used up.
            FatalError: the other side has not answered anything for a long while.
        """

    def spool(self) -> Spool:
        """A new, empty spool; whoever asked for it closes it."""

    def note(self, message: str, *, thread_id: str | None = None) -> None:
        """Puts one sentence into the report, once; for facts that are neither failure nor loss."""

    def waiting(self, what: str) -> AbstractContextManager[None]:
        """While open, whoever looks at the progress sees that the run waits for this, which is
        not the other side's server: `process 7 on host db1`."""

    def received(self, size: int) -> None:
        """Counts bytes that came from a source, for progress and report."""
