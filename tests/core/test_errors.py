"""The error tree: what the engine and the command line do next follows from the class."""

from __future__ import annotations

import pytest

import lgx
from lgx import (
    FatalError,
    IntegrityError,
    LgxError,
    LockedError,
    PluginConflictError,
    PluginLoadError,
    RetryableError,
    ThreadError,
    UsageError,
    errors,
)


def test_every_error_is_public_and_of_one_tree() -> None:
    """A plugin author can raise and catch each of them."""
    for name in errors.__all__:
        assert getattr(lgx, name) is getattr(errors, name)
        assert issubclass(getattr(errors, name), LgxError)
    assert [
        cls.__name__ for cls in LgxError.__subclasses__() if cls.__module__ == "lgx.errors"
    ] == [
        "UsageError",
        "FatalError",
        "RetryableError",
        "ThreadError",
    ]


@pytest.mark.parametrize(
    ("cls", "base", "exit_code"),
    [
        (UsageError, LgxError, 2),
        (PluginConflictError, UsageError, 2),
        (PluginLoadError, UsageError, 2),
        (FatalError, LgxError, 1),
        (IntegrityError, FatalError, 1),
        (LockedError, FatalError, 1),
        (RetryableError, LgxError, 1),
        (ThreadError, LgxError, 1),
    ],
)
def test_the_class_says_what_happens_next(
    cls: type[LgxError], base: type[LgxError], exit_code: int
) -> None:
    """Usage: fix the command, 2; whatever else ends a run is 1."""
    assert cls.__bases__ == (base,)
    assert cls("x").exit_code == exit_code


def test_a_retryable_error_says_how_to_try_again() -> None:
    """By default: after a wait of the engine's choice, nothing known of the other side."""
    plain = RetryableError("no")
    assert (str(plain), plain.retry_after, plain.throttled, plain.outage, plain.status) == (
        "no",
        None,
        False,
        False,
        None,
    )
    told = RetryableError("slow down", retry_after=1.5, throttled=True, status=429)
    assert (told.retry_after, told.throttled, told.outage, told.status) == (1.5, True, False, 429)
