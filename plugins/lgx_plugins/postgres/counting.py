"""That as many rows were written or removed as were to be: a trigger or a rule may say no
without a word."""

from __future__ import annotations

from lgx import ThreadError

__all__ = ["all_of", "none_left"]

_WHY = (
    "others added a trigger or a rule to it; remove that, or write under another "
    "--sink-table-prefix"
)


def all_of(wanted: int, status: str, table: str) -> None:
    """
    Args:
        status: what the server says that it did: `DELETE 3`.

    Raises:
        ThreadError: it did something else.
    """
    done = _count(status)
    if done != wanted:
        raise ThreadError(
            f"{wanted} rows of {table} were to be written, moved or removed, and {done} were: "
            f"{_WHY}"
        )


def none_left(status: str, table: str) -> None:
    """
    Args:
        status: of a query for rows that are not as they should be by now: `SELECT 0`.

    Raises:
        ThreadError: there are some.
    """
    if left := _count(status):
        raise ThreadError(f"{left} rows of {table} did not become what they were to be: {_WHY}")


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
