"""The columns that hold records, each named as the record's field is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from lgx import Assistant, Checkpoint, Cron, Record, Run, StoreItem, Thread

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
    "Column",
    "Table",
]


class Column(Struct, frozen=True):
    """A column and what its cells are.

    `time` is ISO 8601 text as it came; `json` the text of one JSON value, where an absent
    field is SQL's NULL and the value null the text `null`; `flag` is 0 or 1.
    """

    name: str
    type: Literal["text", "json", "time", "integer", "flag"] = "text"


class Table(Struct, frozen=True, kw_only=True):
    """A table, without prefix, and the columns that hold its record.

    Attributes:
        record: the kind of record that a row is; None where rows hold whole records.
        key: the columns that tell the rows of one source (or of one thread) apart.
        derived: further columns that `to_cells` fills from the record and that
            reading it back does not need.
    """

    name: str
    record: type[Record] | None
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    derived: tuple[Column, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns that `to_cells` fills, in its order."""
        return tuple(column.name for column in (*self.columns, *self.derived))


# Bulk stands last: rows are read from the front, and a scan of what is small stays quick.
THREADS = Table(
    name="threads",
    record=Thread,
    columns=(
        Column("thread_id"),
        Column("status"),
        Column("created_at", "time"),
        Column("updated_at", "time"),
        Column("metadata", "json"),
        Column("config", "json"),
        Column("interrupts", "json"),
        Column("values", "json"),
        Column("extra", "json"),
    ),
    key=("thread_id",),
)

MARK_COLUMNS = (
    Column("source_version"),
    Column("fingerprint"),
    Column("checkpoints", "integer"),
)
"""Of the threads' table: `lgx.Mark`, field by field; NULL in a thread that is not whole."""

CHECKPOINTS = Table(
    name="checkpoints",
    record=Checkpoint,
    columns=(
        Column("thread_id"),
        Column("checkpoint_ns"),
        Column("checkpoint_id"),
        Column("parent_checkpoint_id"),
        Column("created_at", "time"),
        Column("next", "json"),
        Column("metadata", "json"),
        Column("interrupts", "json"),
        Column("tasks", "json"),
        Column("values", "json"),
        Column("extra", "json"),
    ),
    key=("checkpoint_ns", "checkpoint_id"),
    derived=(Column("checkpoint_data", "json"),),
)

RUNS = Table(
    name="runs",
    record=Run,
    columns=(
        Column("thread_id"),
        Column("run_id"),
        Column("created_at", "time"),
        Column("status"),
        Column("extra", "json"),
    ),
    key=("run_id",),
)

RECORDS = Table(
    name="records",
    record=None,
    columns=(Column("thread_id"), Column("kind"), Column("body", "json")),
    key=(),
)
"""Any other record as its line has it; `thread_id` is NULL for those of no thread."""

ASSISTANTS = Table(
    name="assistants",
    record=Assistant,
    columns=(
        Column("assistant_id"),
        Column("version", "integer"),
        Column("latest", "flag"),
        Column("graph_id"),
        Column("extra", "json"),
    ),
    key=("assistant_id", "version"),
)

CRONS = Table(
    name="crons",
    record=Cron,
    columns=(Column("cron_id"), Column("extra", "json")),
    key=("cron_id",),
)

STORE_ITEMS = Table(
    name="store_items",
    record=StoreItem,
    columns=(
        Column("namespace", "json"),
        Column("key"),
        Column("created_at", "time"),
        Column("updated_at", "time"),
        Column("value", "json"),
        Column("extra", "json"),
    ),
    key=("namespace", "key"),
)

EXTRA_TABLES = {"assistant": ASSISTANTS, "cron": CRONS, "store_item": STORE_ITEMS}
"""The table of each kind that belongs to a deployment."""

TABLES = (THREADS, CHECKPOINTS, RUNS, RECORDS, *EXTRA_TABLES.values())
