"""What the data in a checkpointer's tables would make LangGraph import."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from lgx import Context, Secret
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.postgres.tables import BLOBS, CHECKPOINTS, WRITES, Tables
from lgx_plugins.checkpointers.postgres.versions import KEYS
from lgx_plugins.checkpointers.rows.imports import HARMLESS_TYPES, Imports
from lgx_plugins.postgres.paging import Paging
from lgx_plugins.postgres.snapshot import Moment
from lgx_plugins.postgres.streaming import Cells

__all__ = ["imports_of"]

_METADATA = "p.metadata::text"


async def imports_of(
    moment: Moment, tables: Tables, place: str, key: Secret | None, context: Context
) -> Imports:
    """Looks into all values that can name something, of all threads; nothing is loaded. `key`: of
    encrypted ones."""
    found = Imports(key)
    pages = Paging(moment, place).pages
    for table in (BLOBS, WRITES):
        async with aclosing(
            pages(_values(tables, table), (0, 0), context, what=f"values of {table!r}")
        ) as rows:
            async for page in rows:
                await run_blocking(_look_into, page.rows, found)
    async with aclosing(pages(_metadata(tables), (0,), context, what="metadata")) as rows:
        async for page in rows:
            for (text,) in page.rows:
                found.add_metadata(text or b"")
    return found


def _values(tables: Tables, table: str) -> str:
    type_ = tables.text(table, "type", "p")
    harmless = ", ".join(f"'{one}'" for one in HARMLESS_TYPES)
    where = f"{type_} IS NULL OR {type_} NOT IN ({harmless})"
    # Sorted as they lie, and only then fetched from where large ones are kept.
    return f"SELECT {type_}, p.blob FROM ({_rows(tables, table, where)} OFFSET 0) AS p"


def _metadata(tables: Tables) -> str:
    """Of the checkpoints whose metadata may hold what older savers make objects of; its key may
    be spelled with escapes where the column is no JSONB."""
    where = f"""{_METADATA} LIKE '%"lc"%' OR strpos({_METADATA}, chr(92) || 'u00') > 0"""
    return f"SELECT {_METADATA} FROM ({_rows(tables, CHECKPOINTS, where)} OFFSET 0) AS p"


def _rows(tables: Tables, table: str, where: str) -> str:
    keys = ("thread_id", *(key for key in KEYS[table] if tables.has(table, key)))
    order = ", ".join(f'p."{key}"' for key in keys)
    return f"SELECT p.* FROM {tables.names(table)} AS p WHERE {where} ORDER BY {order}"


def _look_into(rows: Sequence[Cells], found: Imports) -> None:
    for type_, value in rows:
        found.add(None if type_ is None else type_.decode("utf-8", "replace"), value)
