"""Names of tables: a schema and a prefix that may hold anything, quoted."""

from __future__ import annotations

from lgx import UsageError

__all__ = ["Names", "quoted"]

_MOST_BYTES = 63
"""PostgreSQL cuts longer names off without a word, and two of ours could become one."""

_LONGEST = "checkpoints_by_checkpoint"


def quoted(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'


class Names:
    """Tables, views and indexes of one schema under one prefix."""

    def __init__(self, schema: str, prefix: str) -> None:
        """
        Raises:
            UsageError: PostgreSQL can have no such schema, or no table with that prefix.
        """
        _check("schema", schema, _MOST_BYTES)
        _check("table-prefix", prefix, _MOST_BYTES - len(_LONGEST))
        if not schema:
            raise UsageError("schema '' is no name; leave the option out for the schema public")
        if schema.startswith("pg_"):
            raise UsageError(
                f"schema {schema!r} is reserved by PostgreSQL; choose one that does not begin "
                "with pg_"
            )
        self.schema = schema
        self.prefix = prefix

    def plain(self, name: str) -> str:
        """As it stands in the catalog, without the schema."""
        return self.prefix + name

    def bare(self, name: str) -> str:
        """As it stands in SQL where a schema may not: the name of a new index or constraint."""
        return quoted(self.prefix + name)

    def __call__(self, name: str) -> str:
        """As it stands in SQL."""
        return f"{quoted(self.schema)}.{quoted(self.prefix + name)}"

    def __str__(self) -> str:
        """For messages: `'public.langgraph_*'`."""
        return repr(f"{self.schema}.{self.prefix}*")


def _check(option: str, text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = -1
    if size < 0 or "\0" in text:
        raise UsageError(f"{option} {text!r} holds a character that no name can; drop it")
    if size > most:
        raise UsageError(
            f"{option} {text!r} has {size} bytes, and PostgreSQL's names leave it {most}; "
            "shorten it"
        )
