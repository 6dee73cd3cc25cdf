"""What makes records of rows, whichever way the server is asked for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from msgspec import Raw

from lgx import Loss, Record, ThreadError, split_object
from lgx_plugins.postgres.streaming import Cells, UsualRows
from lgx_plugins.tables import CHECKPOINTS, Table

__all__ = ["BARE", "NO_TIME", "Decoder", "Items", "loss_of", "other_fields"]

Items: TypeAlias = list[Record | Loss | None]
"""What was found of a thread: records, or why one cannot be read; None where only its row is
there."""

BARE = b"null"
"""What `extra` holds where the row of a thread stands for one without a record of its own."""

NO_TIME = "holds a time beyond the years 1 to 9999"


class Decoder(ABC):
    """Makes records of the rows of one table.

    Attributes:
        columns: SQL for the cells of a row, to be selected first.
        skips: bytes before each cell's content; see `CopyStream`.
        usual: takes rows of these columns and one more, the key of 8 bytes of whose they are.
    """

    columns: str
    skips: tuple[int, ...]
    usual: UsualRows | None = None

    @abstractmethod
    def thread(self, cells: Cells) -> tuple[str, Items]:
        """Of a row of the threads' table: whose it is, and the one item that it makes."""

    @abstractmethod
    def items(self, rows: Sequence[Cells], thread_id: str, *, marked: bool) -> Items:
        """One item for each row of that thread, whatever the rows say of whose they are.

        Args:
            rows: at least one.
            marked: whether any of them may hold a mark.
        """


def other_fields(table: Table, text: Raw) -> dict[str, Raw]:
    """The fields without a column, from the text of column `extra`.

    Raises:
        ThreadError: it is no object, or has a field that there is a column for.
    """
    assert table.record is not None
    fields = split_object(text)
    known = {"kind", *table.record.__struct_fields__} - {"extra"}
    if not known.isdisjoint(fields):
        name = min(known.intersection(fields))
        raise ThreadError(f"column 'extra' holds {name!r}, which has a place of its own")
    return fields


def loss_of(
    table: Table, cells: Mapping[str, str | None], thread_id: str | None, error: ThreadError
) -> Loss:
    """Names a row that cannot be read by its key, as far as `cells` have it."""
    what = [table.record.kind if table.record else "record"]
    keys = {name: repr(cells[name]) for name in table.key if name in cells}
    if table is CHECKPOINTS:
        what += [repr(cells.get("checkpoint_id")), "of namespace", repr(cells.get("checkpoint_ns"))]
    else:
        what += keys.values()
    return Loss(
        what=" ".join(what),
        why=str(error),
        thread_id=thread_id,
        checkpoints=int(table is CHECKPOINTS),
    )
