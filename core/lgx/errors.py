"""The error tree, sorted by what the engine does next.

A message is one lowercase sentence that holds the offending value and the
remedy. The command line catches `LgxError` in one place and prints that
sentence; any other exception is a bug and shows its traceback.
"""

from __future__ import annotations

__all__ = [
    "FatalError",
    "IntegrityError",
    "LgxError",
    "LockedError",
    "PluginConflictError",
    "PluginLoadError",
    "RetryableError",
    "ThreadError",
    "UsageError",
]


class LgxError(Exception):
    """Everything that lgx raises on purpose."""

    exit_code = 1


class UsageError(LgxError):
    """The command, a configuration or an option is wrong: nothing was begun."""

    exit_code = 2


class PluginConflictError(UsageError):
    """Two distributions claim one plugin name."""


class PluginLoadError(UsageError):
    """A plugin that the command names cannot be imported."""


class FatalError(LgxError):
    """The run cannot go on: the target is full, the key was refused, the server is gone."""


class IntegrityError(FatalError):
    """Stored bytes are not the bytes that were written; the message names the part."""


class LockedError(FatalError):
    """Another run holds the target; the message says who."""


class RetryableError(LgxError):
    """One request failed in a way that may pass; `Context.request` tries it again.

    Raised out of `Context.request` it means that the attempts are used up: the
    engine then fails the thread in hand, not the run.

    Attributes:
        retry_after: seconds that the server asked to wait, None where it did not say.
        throttled: the server said that it gets too many requests; the rate is halved.
        outage: nothing was heard from the server itself (refused, reset, timed out,
            502 to 504). Many of these in a row, with no answer in between, end the run.
        status: the HTTP status, where there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        throttled: bool = False,
        outage: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled
        self.outage = outage
        self.status = status


class ThreadError(LgxError):
    """This thread cannot be moved; the run goes on without it and exits with 3."""
