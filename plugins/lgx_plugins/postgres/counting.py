"""That as many rows were written or removed as were to be: a trigger or a rule may say no
without a word."""

from __future__ import annotations

from lgx import ThreadError

__all__ = ["all_of"]


def all_of(wanted: int, status: str, table: str) -> None:
    """
    Args:
        status: what the server says that it did: `DELETE 3`.

    Raises:
        ThreadError: it did something else.
    """
    done = int(status.rpartition(" ")[2])
    if done != wanted:
        raise ThreadError(
            f"{wanted} rows of {table} were to be written, moved or removed, and {done} were: "
            "others added a trigger or a rule to it; remove that, or write under another "
            "--sink-table-prefix"
        )
