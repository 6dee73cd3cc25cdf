"""The values of DeltaChannels: of most checkpoints only what was written to them is kept.

They are put together from the nearest value that an ancestor has and the writes since. In which
way, only the graph knows. The way that suggests itself is tried where the thread keeps whole
values: where it gives another, none is given out; where there is nothing to try it on, it is
used, and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lgx import Loss, RawCheckpoint
from lgx_plugins.checkpointers.serde import TAG
from lgx_plugins.checkpointers.serde.text import encode_tree, parse
from lgx_plugins.checkpointers.state.folding import MISSING, folded
from lgx_plugins.checkpointers.state.graphs import Graphs, without_ids
from lgx_plugins.checkpointers.state.rendering import Opener
from lgx_plugins.checkpointers.state.rows import Rows
from lgx_plugins.checkpointers.state.stored import Stored
from lgx_plugins.ids import id_bytes
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Deltas"]

_SCHEMA = "CREATE TABLE deltas (ns, id, channel, value, PRIMARY KEY (ns, id, channel))"
_FIND = "SELECT value FROM deltas WHERE ns = ? AND id = ? AND channel = ?"
_KEEP = "INSERT OR REPLACE INTO deltas VALUES (?, ?, ?, ?)"

_SEVERAL = (
    "it is a DeltaChannel, of which checkpoints keep what was written and not the value; it was "
    "put together by adding writes to lists, objects or messages, and only the graph knows "
    "whether it does the same"
)
_REFUTED = (
    "it is a DeltaChannel, of which checkpoints keep what was written and not the value, and "
    "adding writes up does not give the values that are kept; left out: only the graph can "
    "put it together"
)


class Deltas:
    """Of one thread. `add` each checkpoint, parents first; then ask. Closed by its maker."""

    def __init__(self, graphs: Graphs, rows: Rows, opener: Opener) -> None:
        self._graphs = graphs
        self._rows = rows
        self._opener = opener
        self._database = ScratchDatabase(_SCHEMA)
        self._proven: set[tuple[str, str]] = set()
        self._refuted: set[tuple[str, str]] = set()
        self._told: Counter[tuple[str, str]] = Counter()

    def add(self, record: RawCheckpoint, stored: Stored) -> None:
        """Works out the values at a checkpoint.

        Raises:
            ThreadError: a value or a write cannot be read.
        """
        writes: dict[str, list[Any]] | None = None
        for channel in sorted(self._graphs.of(record.checkpoint_ns).deltas):
            kept = stored.values.get(channel)
            if kept is None and channel not in stored.versions:
                continue
            if writes is None:
                writes = self._written(record)
            built = self._built(record, channel, writes)
            if kept is None:
                value = built
            else:
                value = self._snapshot(self._opener.tree(kept, f"channel {channel!r}"))
                self._judge(record, channel, built, value)
            if value is not MISSING:
                place = (id_bytes(record.checkpoint_ns), id_bytes(record.checkpoint_id))
                self._database.execute(_KEEP, (*place, id_bytes(channel), encode_tree(value)))

    def _built(self, record: RawCheckpoint, channel: str, writes: dict[str, list[Any]]) -> Any:
        parent = record.parent_checkpoint_id
        base = None if parent is None else self._value(record.checkpoint_ns, parent, channel)
        new = writes.get(channel, [])
        if base is None and not new:
            return MISSING
        return folded(MISSING if base is None else parse(base), new)

    def _judge(self, record: RawCheckpoint, channel: str, built: Any, value: Any) -> None:
        """Compares what adding up gives with what is kept."""
        if built is MISSING:
            return
        key = (without_ids(record.checkpoint_ns), channel)
        (self._proven if built == value else self._refuted).add(key)

    def _written(self, record: RawCheckpoint) -> dict[str, list[Any]]:
        """What was written to each channel at the parent."""
        parent = record.parent_checkpoint_id
        found: dict[str, list[Any]] = {}
        if parent is None:
            return found
        deltas = self._graphs.of(record.checkpoint_ns).deltas
        for write in self._rows.writes(record.checkpoint_ns, parent):
            if write.channel in deltas:
                tree = self._opener.tree(write.typed, f"a write to channel {write.channel!r}")
                found.setdefault(write.channel, []).append(tree)
        return found

    def _snapshot(self, tree: Any) -> Any:
        if type(tree) is dict and tree.get(TAG) == "delta_snapshot":
            return tree["value"]
        return tree

    def _value(self, namespace: str, checkpoint_id: str, channel: str) -> bytes | None:
        key = (id_bytes(namespace), id_bytes(checkpoint_id), id_bytes(channel))
        row = self._database.row(_FIND, key)
        return None if row is None else row[0]

    def values(
        self, record: RawCheckpoint, stored: Stored, *, told: bool
    ) -> Iterator[tuple[str, bytes]]:
        """The values that the checkpoint does not keep, in neutral form.

        Args:
            told: whether `losses` is to tell of those that are not known for sure.
        """
        namespace = without_ids(record.checkpoint_ns)
        for channel in sorted(self._graphs.of(record.checkpoint_ns).deltas):
            if channel in stored.values or channel not in stored.versions:
                continue
            key = (namespace, channel)
            value = None
            if key not in self._refuted:
                value = self._value(record.checkpoint_ns, record.checkpoint_id, channel)
            if told and (value is None or key not in self._proven):
                self._told[key] += 1
            if value is not None:
                yield channel, value

    def losses(self, thread_id: str) -> Iterator[Loss]:
        """What is told of the values that were given out, or were not."""
        for (namespace, channel), count in self._told.items():
            of = f" of namespace {namespace!r}" if namespace else ""
            times = "1 checkpoint" if count == 1 else f"{count} checkpoints"
            yield Loss(
                what=f"channel {channel!r}{of} at {times}",
                why=_REFUTED if (namespace, channel) in self._refuted else _SEVERAL,
                thread_id=thread_id,
                holdable=False,
            )

    def close(self) -> None:
        """May be called again."""
        self._database.close()
