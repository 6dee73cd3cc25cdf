"""Which side a connection was to that cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lgx.errors import LgxError, RetryableError, UsageError

__all__ = ["connecting"]


@contextmanager
def connecting(side: str) -> Iterator[None]:
    """Around the first uses of a side: it may be a server of the same sort, on the same host, as
    the other.

    Args:
        side: `the source, cloud`; empty: whoever reads the place has a name of his own for it.
    """
    try:
        yield
    except LgxError as error:
        if side and not isinstance(error, UsageError) and _is_unheard(error):
            error.args = (f"{side}: {error}", *error.args[1:])
        raise


def _is_unheard(error: BaseException | None) -> bool:
    """Whether nothing was heard of the other end."""
    while error is not None:
        if isinstance(error, ConnectionError | TimeoutError):
            return True
        if isinstance(error, RetryableError) and error.outage:
            return True
        error = error.__cause__
    return False
