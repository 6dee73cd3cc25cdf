"""The rows of one thread, kept on disk until all have come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from lgx import ChannelBlob, CheckpointWrite, RawCheckpoint, Record
from lgx_plugins.checkpointers.rows import redisform
from lgx_plugins.checkpointers.rows.values import Values
from lgx_plugins.checkpointers.state.writes import Write
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Rows"]

_CHECKPOINTS = (
    "CREATE TABLE checkpoints (n INTEGER PRIMARY KEY, ns, id, parent, type, blob, document, "
    "metadata, metadata_blob, UNIQUE (ns, id))"
)
_WRITES = (
    "CREATE TABLE writes (ns, id, path, task, idx INTEGER, channel, type, blob, "
    "UNIQUE (ns, id, path, task, idx))"
)
_KEEP = "INSERT OR IGNORE INTO checkpoints VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
_WRITE = "INSERT OR IGNORE INTO writes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "ns, id, parent, type, blob, document, metadata, metadata_blob"
_OF = (
    "SELECT task, path, channel, type, blob FROM writes WHERE ns = ? AND id = ? "
    "ORDER BY path, task, idx"
)
_PATHS = "SELECT DISTINCT ns, path FROM writes WHERE path >= ? AND path < ?"
_PULLED = ("~__pregel_pull, ", "~__pregel_pull,!")  # all that begin with the first lie between
_ORPHANS = (
    "SELECT count(*) FROM writes WHERE NOT EXISTS "
    "(SELECT 1 FROM checkpoints AS c WHERE c.ns = writes.ns AND c.id = writes.id)"
)


class Rows:
    """Taken in whatever order; given back checkpoint by checkpoint. Closed by its maker."""

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self.values = Values()
        self.count = 0
        self._database = ScratchDatabase(_CHECKPOINTS)
        self._database.execute(_WRITES)

    def keep(self, record: Record) -> None:
        """Takes a row; what is none is passed over.

        Raises:
            ThreadError: a document of Redis that says nothing.
        """
        if isinstance(record, RawCheckpoint | CheckpointWrite):
            record = redisform.plain(record)
        if isinstance(record, RawCheckpoint):
            self.count += self._database.execute(
                _KEEP,
                (
                    *(id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id)),
                    _bytes(record.parent_checkpoint_id),
                    *(_bytes(record.type), record.blob),
                    None if isinstance(record.document, UnsetType) else bytes(record.document),
                    None if isinstance(record.metadata, UnsetType) else bytes(record.metadata),
                    record.metadata_blob,
                ),
            )
        elif isinstance(record, CheckpointWrite):
            self._database.execute(
                _WRITE,
                (
                    *(id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id)),
                    *(id_bytes(record.task_path or ""), id_bytes(record.task_id), record.idx),
                    *(id_bytes(record.channel), _bytes(record.type), record.blob),
                ),
            )
        elif isinstance(record, ChannelBlob):
            self.values.keep(record)

    def checkpoints(self) -> Iterator[RawCheckpoint]:
        """In the order in which they came."""
        for number in range(1, self.count + 1):
            yield self._record("n = ?", (number,))

    def checkpoint(self, namespace: str, checkpoint_id: str) -> RawCheckpoint:
        """One that is there."""
        return self._record("ns = ? AND id = ?", (id_bytes(namespace), id_bytes(checkpoint_id)))

    def _record(self, where: str, values: Sequence[Any]) -> RawCheckpoint:
        row = self._database.row(f"SELECT {_COLUMNS} FROM checkpoints WHERE {where}", values)
        assert row is not None, "only those that came are asked for"
        ns, key, parent, type_, blob, document, metadata, metadata_blob = row
        return RawCheckpoint(
            thread_id=self.thread_id,
            checkpoint_ns=_text(ns),
            checkpoint_id=_text(key),
            parent_checkpoint_id=None if parent is None else _text(parent),
            type=None if type_ is None else _text(type_),
            blob=blob,
            document=UNSET if document is None else Raw(document),
            metadata=UNSET if metadata is None else Raw(metadata),
            metadata_blob=metadata_blob,
        )

    def writes(self, namespace: str, checkpoint_id: str) -> list[Write]:
        """Those at one checkpoint, in the order in which LangGraph reads them."""
        place = (id_bytes(namespace), id_bytes(checkpoint_id))
        return [
            Write(
                _text(task),
                _text(path),
                _text(channel),
                (None if type_ is None else _text(type_), blob),
            )
            for task, path, channel, type_, blob in self._database.rows(_OF, place)
        ]

    def latest(self, namespace: str) -> str | None:
        """The id of the newest checkpoint of a namespace: the highest."""
        sql = "SELECT max(id) FROM checkpoints WHERE ns = ?"
        row = self._database.row(sql, (id_bytes(namespace),))
        return None if row is None or row[0] is None else _text(row[0])

    def paths(self) -> Iterator[tuple[str, str]]:
        """Namespaces, and the paths of nodes that wrote something in them."""
        rows = self._database.rows(_PATHS, [id_bytes(bound) for bound in _PULLED])
        for ns, path in rows:
            yield _text(ns), _text(path)

    @property
    def orphans(self) -> int:
        """How many writes are at checkpoints that did not come."""
        row = self._database.row(_ORPHANS)
        return 0 if row is None else int(row[0])

    def close(self) -> None:
        """May be called again."""
        self.values.clear()
        self._database.close()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else id_bytes(text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
