"""The rows of one thread while it is rebuilt: what a checkpointer keeps, on disk past a little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Raw, Struct

from lgx import ChannelBlob, CheckpointWrite, RawCheckpoint, Record
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Cell", "Held", "ThreadRows", "Write"]

Cell: TypeAlias = tuple[str, bytes]
"""A type and the bytes that it is of, as LangGraph's serializer gives them."""

_CHECKPOINTS = """
CREATE TABLE checkpoints (ns, id, parent, document, metadata, PRIMARY KEY (ns, id)) WITHOUT ROWID
"""
_BLOBS = "CREATE TABLE blobs (ns, channel, version, type, blob, PRIMARY KEY (ns, channel, version))"
_WRITES = """
CREATE TABLE writes (ns, id, task, idx, path, channel, type, blob, PRIMARY KEY (ns, id, task, idx))
"""
_VALUES = (
    "SELECT b.channel, b.type, b.blob FROM json_each(?) AS v JOIN blobs AS b "
    "ON b.ns = ? AND b.channel = v.key AND b.version = v.value"
)


class Write(Struct, frozen=True):
    """One write of a task."""

    task_id: str
    idx: int
    path: str
    channel: str
    cell: Cell


class Held(Struct, frozen=True):
    """One checkpoint, without the values of its channels."""

    id: str
    parent: str | None
    document: bytes
    metadata: bytes


class ThreadRows:
    """Of one thread. Closed by its maker."""

    def __init__(self) -> None:
        self._database = ScratchDatabase(_CHECKPOINTS)
        self._database.execute(_BLOBS)
        self._database.execute(_WRITES)

    def clear(self) -> None:
        for table in ("checkpoints", "blobs", "writes"):
            self._database.execute(f"DELETE FROM {table}")

    def close(self) -> None:
        """May be called again."""
        self._database.close()

    # -- writing -------------------------------------------------------------------------

    def put(self, ns: str, held: Held, values: Mapping[str, tuple[str, Cell]]) -> None:
        """`values`: versions and values of channels, by channel."""
        with self._database.together():
            for channel, (version, (kind, blob)) in values.items():
                self._database.execute(
                    "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)",
                    (ns, channel, version, kind, blob),
                )
            self._database.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                (ns, held.id, held.parent, held.document, held.metadata),
            )

    def put_writes(self, ns: str, checkpoint_id: str, writes: Sequence[Write]) -> None:
        """Those under a number below zero replace what stood there, others do not."""
        for one in writes:
            how = "REPLACE" if one.idx < 0 else "IGNORE"
            self._database.execute(
                f"INSERT OR {how} INTO writes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (ns, checkpoint_id, one.task_id, one.idx, one.path, one.channel, *one.cell),
            )

    # -- reading -------------------------------------------------------------------------

    def get(self, ns: str, checkpoint_id: str | None) -> Held | None:
        """The checkpoint of that id; without one, the newest."""
        which, values = ("AND id = ?", (ns, checkpoint_id)) if checkpoint_id else ("", (ns,))
        row = self._database.row(
            "SELECT id, parent, document, metadata FROM checkpoints "
            f"WHERE ns = ? {which} ORDER BY id DESC LIMIT 1",
            values,
        )
        return None if row is None else Held(*row)

    def ids(self, ns: str) -> list[str]:
        """Of all checkpoints, newest first."""
        sql = "SELECT id FROM checkpoints WHERE ns = ? ORDER BY id DESC"
        return [one for (one,) in self._database.rows(sql, (ns,))]

    def values(self, ns: str, versions: bytes) -> Iterator[tuple[str, Cell]]:
        """The values of channels in these versions, a JSON object, as far as they have any."""
        for channel, kind, blob in self._database.rows(_VALUES, (versions.decode(), ns)):
            yield channel, (kind, blob)

    def writes(self, ns: str, checkpoint_id: str) -> Iterator[Write]:
        """All writes at a checkpoint, in the order in which they are applied."""
        for task, idx, path, channel, kind, blob in self._database.rows(
            "SELECT task, idx, path, channel, type, blob FROM writes WHERE ns = ? AND id = ? "
            "ORDER BY path, task, idx",
            (ns, checkpoint_id),
        ):
            yield Write(task, idx, path, channel, (kind, blob))

    # -- as records ----------------------------------------------------------------------

    def records(self, thread_id: str) -> Iterator[Record]:
        """All rows, in the order in which a source of a checkpointer gives them."""
        for rowid_sql, make in (
            ("SELECT ns, id FROM checkpoints ORDER BY ns, id", self._checkpoint),
            ("SELECT rowid FROM blobs ORDER BY ns, channel, version", self._blob),
            ("SELECT rowid FROM writes ORDER BY ns, id, path, task, idx", self._write),
        ):
            for key in self._database.rows(rowid_sql):
                yield make(thread_id, key)

    def _checkpoint(self, thread_id: str, key: tuple[str, str]) -> Record:
        held = self.get(*key)
        assert held is not None, "its key was just read"
        return RawCheckpoint(
            thread_id=thread_id,
            checkpoint_ns=key[0],
            checkpoint_id=held.id,
            parent_checkpoint_id=held.parent,
            document=Raw(held.document),
            metadata=Raw(held.metadata),
        )

    def _blob(self, thread_id: str, key: tuple[int]) -> Record:
        row = self._database.row(
            "SELECT ns, channel, version, type, blob FROM blobs WHERE rowid = ?", key
        )
        assert row is not None, "its key was just read"
        ns, channel, version, kind, blob = row
        return ChannelBlob(
            thread_id=thread_id,
            checkpoint_ns=ns,
            channel=channel,
            version=version,
            type=kind,
            blob=blob,
        )

    def _write(self, thread_id: str, key: tuple[int]) -> Record:
        row = self._database.row(
            "SELECT ns, id, task, idx, path, channel, type, blob FROM writes WHERE rowid = ?", key
        )
        assert row is not None, "its key was just read"
        ns, checkpoint_id, task, idx, path, channel, kind, blob = row
        return CheckpointWrite(
            thread_id=thread_id,
            checkpoint_ns=ns,
            checkpoint_id=checkpoint_id,
            task_id=task,
            idx=idx,
            channel=channel,
            type=kind,
            blob=blob,
            task_path=path,
        )
