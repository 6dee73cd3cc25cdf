"""What tables have room for: all records where lgx made them, else what their columns take."""

from __future__ import annotations

from collections.abc import Callable

from lgx import Coverage
from lgx_plugins.tables.columns import CHECKPOINTS, RECORDS, TABLES, Table

__all__ = ["room_of"]


def room_of(has: Callable[[str, str], bool]) -> Coverage:
    """Of another program's tables.

    Args:
        has: whether there is such a table with such a column.
    """
    kinds: set[str] = set()
    fields: dict[str, frozenset[str]] = {}
    for table in TABLES:
        if table is RECORDS or table.record is None:
            continue
        if not has(table.name, "thread_id" if table is CHECKPOINTS else table.key[-1]):
            continue
        kinds.add(table.record.kind)
        held = _fields(table, has)
        if "extra" not in held:
            fields[table.record.kind] = held
    return Coverage(
        kinds=frozenset(kinds),
        namespaces=has(CHECKPOINTS.name, "checkpoint_ns"),
        fields=fields,
    )


def _fields(table: Table, has: Callable[[str, str], bool]) -> frozenset[str]:
    return frozenset(column.name for column in table.columns if has(table.name, column.name))
