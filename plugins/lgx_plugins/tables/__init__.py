"""The tables that database plugins keep records in, whatever the database.

    langgraph_threads      one row a thread: its record, its mark, when it was exported
    langgraph_checkpoints  one row a checkpoint
    langgraph_runs         one row a run of a thread
    langgraph_records      records of threads of every other kind, whole
    langgraph_assistants, langgraph_crons, langgraph_store_items

Which columns hold a record is data (`columns`), and so is how values become cells
(`cells`); SQL, types and indexes are the database plugin's own. The columns of the
first two are a superset of those that an older export tool created in PostgreSQL.
"""

from __future__ import annotations

from lgx_plugins.tables.cells import (
    Cell,
    contradicts,
    from_cells,
    is_bare,
    json_cell,
    text_cell,
    to_bare_cells,
    to_cells,
)
from lgx_plugins.tables.columns import (
    ASSISTANTS,
    CHECKPOINTS,
    CRONS,
    EXTRA_TABLES,
    MARK_COLUMNS,
    RECORDS,
    RUNS,
    STORE_ITEMS,
    TABLES,
    THREADS,
    Column,
    Table,
)
from lgx_plugins.tables.partial import not_whole
from lgx_plugins.tables.room import room_of
from lgx_plugins.tables.sizes import size_words

__all__ = [
    "ASSISTANTS",
    "CHECKPOINTS",
    "CRONS",
    "EXTRA_TABLES",
    "MARK_COLUMNS",
    "RECORDS",
    "RUNS",
    "STORE_ITEMS",
    "TABLES",
    "THREADS",
    "Cell",
    "Column",
    "Table",
    "contradicts",
    "from_cells",
    "is_bare",
    "json_cell",
    "not_whole",
    "room_of",
    "size_words",
    "text_cell",
    "to_bare_cells",
    "to_cells",
]
