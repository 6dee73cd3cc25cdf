"""Shapes: the lists of names that records have, each kept once and known by a number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

__all__ = ["Shapes"]

_KEPT = 10_000  # lists of names that stay in memory


class Shapes:
    """Kept in a table of the ledger's database."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._numbers: dict[tuple[str, tuple[str, ...]], int] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        database.execute(
            "CREATE TABLE shape "
            "(number INTEGER PRIMARY KEY, kind TEXT, names BLOB, UNIQUE (kind, names))"
        )

    def forget(self) -> None:
        """The numbers that were given in a transaction which was rolled back are given again."""
        self._numbers.clear()
        self._names.clear()

    def number(self, kind: str, names: tuple[str, ...]) -> int:
        number = self._numbers.get((kind, names))
        if number is None:
            if len(self._numbers) >= _KEPT:
                self._numbers.clear()
            values = (kind, msgspec.json.encode(names))
            self._database.execute(
                "INSERT OR IGNORE INTO shape (kind, names) VALUES (?, ?)", values
            )
            ((number,),) = self._database.execute(
                "SELECT number FROM shape WHERE kind = ? AND names = ?", values
            )
            assert isinstance(number, int)
            self._numbers[kind, names] = number
        return number

    def names(self, number: int) -> tuple[str, ...]:
        names = self._names.get(number)
        if names is None:
            if len(self._names) >= _KEPT:
                self._names.clear()
            ((text,),) = self._database.execute(
                "SELECT names FROM shape WHERE number = ?", (number,)
            )
            names = self._names[number] = tuple(msgspec.json.decode(text))
        return names

    def __iter__(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each with the kind of the records that have it; the threads' own are `thread`."""
        for kind, names in self._database.execute("SELECT kind, names FROM shape"):
            yield kind, tuple(msgspec.json.decode(names))
