"""One bundle on its way to a checkpointer: sorted, looked at, and loaded piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    RawCheckpoint,
    ThreadError,
    decode_line,
    encode_line,
)
from lgx_plugins.checkpointers.rows.forms import check_row, is_split
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.saver.gathering import Key
from lgx_plugins.checkpointers.saver.loading import Loader, metadata_of
from lgx_plugins.checkpointers.serde import Name
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import Scratch, ScratchDatabase

__all__ = ["Put", "PutWrites", "Thread"]

_SCHEMA = "CREATE TABLE writes (ns, id, task, idx, path, chain, PRIMARY KEY (ns, id, task, idx))"
_VERSIONS = "CREATE TABLE versions (ns, id, held, PRIMARY KEY (ns, id)) WITHOUT ROWID"
_TASKS = """
CREATE TABLE tasks AS SELECT ns, id, task, min(path) AS first FROM writes GROUP BY ns, id, task
    ORDER BY ns, id, first, task
"""
_OF_TASK = "SELECT idx, path, chain FROM writes WHERE ns = ? AND id = ? AND task = ? ORDER BY idx"

_held = msgspec.msgpack.Decoder(tuple[dict[str, str | int | float], set[str]])


class Put(Struct, frozen=True):
    """One call of `put`."""

    key: Key
    parent: str | None
    config: dict[str, Any]
    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    new_versions: dict[str, Any]


class PutWrites(Struct, frozen=True):
    """One call of `put_writes`; `numbers` are those of the writes."""

    key: Key
    config: dict[str, Any]
    writes: list[tuple[str, Any]]
    numbers: list[int]
    task_id: str
    task_path: str


class Thread:
    """`scan` it once, then ask for its calls as often as needed. Closed by its maker."""

    def __init__(self, bundle: Bundle, joiner: Joiner, loader: Loader) -> None:
        self.bundle = bundle
        self._joiner = joiner
        self._loader = loader
        self._pieces = Scratch()
        self._rows = ScratchDatabase(_SCHEMA)
        self._rows.execute(_VERSIONS)

    def scan(self) -> set[Name]:
        """The names in it that may not be imported.

        Raises:
            ThreadError: something in it has no place in a checkpointer.
        """
        refused: set[Name] = set()
        self._joiner.begin(self.bundle)
        for record in self.bundle:
            row = check_row(record, self.bundle.thread_id)
            if isinstance(row, ChannelBlob):
                self._joiner.keep(row)
                if row.type != "empty":
                    what = f"channel {row.channel!r} of namespace {row.checkpoint_ns!r}"
                    refused |= self._loader.refused(row.type, row.blob, what)
            elif isinstance(row, CheckpointWrite):
                refused |= self._loader.refused(row.type, row.blob, _write_name(row))
                self._keep(row)
            elif not is_split(row):
                refused |= self._loader.refused(row.type, row.blob, _name(row))
        return refused

    def _keep(self, row: CheckpointWrite) -> None:
        keys = (id_bytes(row.checkpoint_ns), id_bytes(row.checkpoint_id), id_bytes(row.task_id))
        kept = self._rows.execute(
            "INSERT OR IGNORE INTO writes VALUES (?, ?, ?, ?, ?, ?)",
            (*keys, row.idx, row.task_path or "", self._pieces.append(encode_line(row))),
        )
        if not kept:
            raise ThreadError(f"{_write_name(row)} came twice; nothing of the thread was written")

    def puts(self) -> Iterator[Put]:
        """One for each checkpoint, in the order of the records: parents first.

        Raises:
            ThreadError: a value cannot be loaded as it was.
        """
        self._rows.execute("DELETE FROM versions")
        for record in self.bundle:
            if not isinstance(record, RawCheckpoint):
                continue
            what = _name(record)
            whole = self._joiner.join(record) if is_split(record) else record
            checkpoint = self._loader.value(whole.type, whole.blob, what)
            if not isinstance(checkpoint, dict) or not isinstance(
                checkpoint.get("channel_values"), dict
            ):
                raise ThreadError(f"{what} is malformed: it is no checkpoint of LangGraph's")
            if checkpoint.get("id") != record.checkpoint_id:
                raise ThreadError(
                    f"{what} says that its id is {checkpoint.get('id')!r}, under which a "
                    "checkpointer would keep it"
                )
            config = {"thread_id": record.thread_id, "checkpoint_ns": record.checkpoint_ns}
            if record.parent_checkpoint_id:
                config["checkpoint_id"] = record.parent_checkpoint_id
            yield Put(
                key=(id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id)),
                parent=record.parent_checkpoint_id or None,
                config={"configurable": config},
                checkpoint=checkpoint,
                metadata=metadata_of(record, what),
                new_versions=self._new(record, checkpoint),
            )

    def _new(self, record: RawCheckpoint, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """The versions that its parent does not have. Without a parent to look at, channels
        without a value are left out: a checkpointer that keeps each version once would take
        another checkpoint's value away."""
        versions = checkpoint.get("channel_versions") or {}
        values = checkpoint["channel_values"]
        ns = id_bytes(record.checkpoint_ns)
        parent = self._rows.row(
            "SELECT held FROM versions WHERE ns = ? AND id = ?",
            (ns, id_bytes(record.parent_checkpoint_id or "")),
        )
        held = msgspec.msgpack.encode((versions, [one for one in values if one in versions]))
        own = id_bytes(record.checkpoint_id)
        self._rows.execute("INSERT OR REPLACE INTO versions VALUES (?, ?, ?)", (ns, own, held))
        if parent is None:
            return {channel: one for channel, one in versions.items() if channel in values}
        before, with_value = _held.decode(parent[0])
        return {
            channel: one
            for channel, one in versions.items()
            if before.get(channel) != one or (channel in values and channel not in with_value)
        }

    def put_writes(self) -> Iterator[PutWrites]:
        """One for each task of each checkpoint, with all that it wrote.

        Raises:
            ThreadError: a value cannot be loaded as it was.
        """
        self._rows.execute("DROP TABLE IF EXISTS tasks")
        self._rows.execute(_TASKS)
        for ns, checkpoint_id, task, path in self._tasks():
            rows = self._rows.rows(_OF_TASK, (ns, checkpoint_id, task))
            # Numbers are counted in the order in which writes come; those of special channels
            # are their own, wherever they stand.
            rows.sort(key=lambda row: (row[0] < 0, row[0]))
            writes: list[tuple[str, Any]] = []
            numbers: list[int] = []
            for idx, _, chain in rows:
                record = decode_line(self._pieces.last(chain))
                assert isinstance(record, CheckpointWrite), "nothing else was kept"
                value = self._loader.value(record.type, record.blob, _write_name(record))
                writes.append((record.channel, value))
                numbers.append(idx if idx < 0 else len(numbers))
            config = {
                "thread_id": self.bundle.thread_id,
                "checkpoint_ns": _text(ns),
                "checkpoint_id": _text(checkpoint_id),
            }
            yield PutWrites(
                key=(ns, checkpoint_id),
                config={"configurable": config},
                writes=writes,
                numbers=numbers,
                task_id=_text(task),
                task_path=path,
            )

    def _tasks(self) -> Iterator[tuple[bytes, bytes, bytes, str]]:
        after = 0
        sql = (
            "SELECT ns, id, task, first, rowid FROM tasks WHERE rowid > ? ORDER BY rowid LIMIT 200"
        )
        while rows := self._rows.rows(sql, (after,)):
            for ns, checkpoint_id, task, path, _ in rows:
                yield ns, checkpoint_id, task, path
            after = rows[-1][4]

    def close(self) -> None:
        """May be called again; the joiner is another's."""
        self._pieces.close()
        self._rows.close()


def _name(record: RawCheckpoint) -> str:
    return f"checkpoint {record.checkpoint_id!r} of namespace {record.checkpoint_ns!r}"


def _write_name(row: CheckpointWrite) -> str:
    return (
        f"write {row.idx} of task {row.task_id!r} to {row.channel!r} at checkpoint "
        f"{row.checkpoint_id!r} of namespace {row.checkpoint_ns!r}"
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
