"""Names of tables: a prefix that may hold anything, quoted."""

from __future__ import annotations

from collections.abc import Container

from lgx import UsageError

__all__ = ["Names", "quoted"]


def quoted(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'


class Names:
    """Tables, views and indexes under one prefix."""

    def __init__(self, prefix: str) -> None:
        """
        Raises:
            UsageError: SQLite can have no table with that prefix.
        """
        if "\0" in prefix or not _encodable(prefix):
            raise UsageError(
                f"table-prefix {prefix!r} holds a character that no table name can; drop it"
            )
        if prefix.lower().startswith("sqlite_"):
            raise UsageError(
                f"table-prefix {prefix!r} is reserved by SQLite; choose one without sqlite_"
            )
        self.prefix = prefix

    def plain(self, name: str) -> str:
        """As it stands in the list of tables."""
        return self.prefix + name

    def among(self, name: str, tables: Container[bytes]) -> bool:
        """Whether such a table is one of these, named in lower case as SQLite compares them."""
        return self.plain(name).encode().lower() in tables

    def __call__(self, name: str) -> str:
        """As it stands in SQL."""
        return quoted(self.prefix + name)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
