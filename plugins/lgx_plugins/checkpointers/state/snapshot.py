"""The states of one thread, made of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lgx import Checkpoint, Loss, RawCheckpoint, Thread, ThreadError
from lgx_plugins.checkpointers.state import tasks
from lgx_plugins.checkpointers.state.deltas import Deltas
from lgx_plugins.checkpointers.state.graphs import Graph, Graphs, hidden
from lgx_plugins.checkpointers.state.heads import thread_of
from lgx_plugins.checkpointers.state.rendering import Opener, shown, tree_of
from lgx_plugins.checkpointers.state.rows import Rows
from lgx_plugins.checkpointers.state.sharing import is_snapshot
from lgx_plugins.checkpointers.state.stored import SENDS, Stored, named, read
from lgx_plugins.checkpointers.state.writes import NOBODY, Made, Write, entry, made_by

__all__ = ["States"]

_NOT_ALONE = frozenset({"__resume__", "__interrupt__", "__error__", "__scheduled__"})


class States:
    """Of a thread whose rows have all come. Closed by its maker, which keeps the rows."""

    def __init__(self, rows: Rows, opener: Opener) -> None:
        self._rows = rows
        self._opener = opener
        self._graphs = Graphs()
        self._deltas: Deltas | None = None
        self._unapplied: dict[str, int] = {}
        self._unknown = 0
        self._first: str | None = None
        self._closing = ExitStack()

    def records(self) -> Iterator[Thread | Checkpoint]:
        """The thread, then its checkpoints in the order of the rows. Called once.

        Raises:
            ThreadError: something of it cannot be read; the message says what.
        """
        self._learn()
        latest = self._rows.latest("")
        yield self._thread(latest)
        for record in self._rows.checkpoints():
            yield self._state(record, read(record, self._rows.values, self._opener))

    def _learn(self) -> None:
        """Looks at all checkpoints once before any state is made."""
        for record in self._rows.checkpoints():
            stored = read(record, self._rows.values, self._opener)
            graph = self._graphs.of(record.checkpoint_ns)
            graph.learn(stored)
            graph.deltas.update(
                channel
                for channel, typed in stored.values.items()
                if is_snapshot(typed, self._opener, f"channel {channel!r}")
            )
            if self._first is None and not record.checkpoint_ns:
                self._first = stored.ts
        for namespace, path in self._rows.paths():
            if self._graphs.has(namespace):
                self._graphs.of(namespace).learn_path(path)
        self._graphs.settle()
        if self._graphs.any_deltas:
            self._deltas = self._closing.enter_context(closing(self._deltas_of()))

    def _deltas_of(self) -> Deltas:
        deltas = Deltas(self._graphs, self._rows, self._opener)
        try:
            for record in self._rows.checkpoints():
                deltas.add(record, read(record, self._rows.values, self._opener))
        except BaseException:
            deltas.close()
            raise
        return deltas

    def _thread(self, latest: str | None) -> Thread:
        """Its own record: of the newest checkpoint of the root namespace."""
        if latest is None:
            return Thread(thread_id=self._rows.thread_id)
        record = self._rows.checkpoint("", latest)
        stored = read(record, self._rows.values, self._opener)
        state = self._state(record, stored, told=False)
        return thread_of(state, stored, self._first)

    # -- one state ---------------------------------------------------------------------

    def _state(self, record: RawCheckpoint, stored: Stored, *, told: bool = True) -> Checkpoint:
        what = named(record)
        graph = self._graphs.of(record.checkpoint_ns)
        writes = self._rows.writes(record.checkpoint_ns, record.checkpoint_id)
        if stored.sends_apart and record.parent_checkpoint_id:
            before = self._rows.writes(record.checkpoint_ns, record.parent_checkpoint_id)
            if SENDS not in stored.values:
                stored.sends = [write.typed for write in before if write.channel == SENDS]
        due = tasks.due(
            record.checkpoint_ns,
            record.checkpoint_id,
            stored,
            graph,
            self._opener,
            {write.task_id: write.path or "" for write in writes},
        )
        made = made_by(writes, self._opener, what)
        entries = [
            entry(
                task,
                made.get(task.id),
                graph,
                self._subgraph(record, task),
                self._opener,
                what,
            )
            for task in due
        ]
        asked = [
            question for task in due if task.id in made for question in made[task.id].interrupts
        ]
        if told:
            self._count_unapplied(writes)
            self._unknown += bool(due) and _by_strangers(stored, writes, made, due)
        return Checkpoint(
            thread_id=record.thread_id,
            checkpoint_ns=record.checkpoint_ns,
            checkpoint_id=record.checkpoint_id,
            parent_checkpoint_id=record.parent_checkpoint_id,
            created_at=stored.ts,
            values=self._values(record, stored, graph, what, told),
            next=Raw(tree_of([task.name for task in due], what)),
            tasks=Raw(b"[%s]" % b",".join(entries)),
            metadata=_metadata(stored, what),
            interrupts=Raw(b"[%s]" % b",".join(asked)),
            extra=_places(record, stored),
        )

    def _values(
        self, record: RawCheckpoint, stored: Stored, graph: Graph, what: str, told: bool
    ) -> Raw:
        single = graph.single
        found = {
            channel: self._opener.shown(typed, f"channel {channel!r} of {what}")
            for channel, typed in stored.values.items()
            if (channel == single if single is not None else not graph.hides(channel))
        }
        if self._deltas is not None:
            for channel, neutral in self._deltas.values(record, stored, told=told):
                found[channel] = shown(neutral, f"channel {channel!r} of {what}")
        if single is not None:
            return Raw(found.get(single, b"null"))
        members = (b"%s:%s" % (tree_of(name, what), value) for name, value in found.items())
        return Raw(b"{%s}" % b",".join(members))

    def _subgraph(self, record: RawCheckpoint, task: tasks.Task) -> bytes:
        """Where a task's subgraph keeps its checkpoints, if there are any of it."""
        outer = f"{record.checkpoint_ns}|" if record.checkpoint_ns else ""
        if not self._graphs.has(f"{outer}{task.name}"):
            return b"null"
        place = {
            "thread_id": record.thread_id,
            "checkpoint_ns": f"{outer}{task.name}:{task.id}",
        }
        return tree_of(place, "a task")

    def _count_unapplied(self, writes: list[Write]) -> None:
        """Updates from outside, which LangGraph applies when it reads: by the graph's way."""
        for write in writes:
            channel = write.channel
            if write.task_id == NOBODY and channel not in _NOT_ALONE and not hidden(channel):
                self._unapplied[channel] = self._unapplied.get(channel, 0) + 1

    def losses(self) -> Iterator[Loss]:
        """What is known of the thread and is in none of its states; asked after `records`."""
        thread_id = self._rows.thread_id
        if self._deltas is not None:
            yield from self._deltas.losses(thread_id)
        for channel, count in self._unapplied.items():
            times = "1 update" if count == 1 else f"{count} updates"
            yield Loss(
                what=f"{times} of channel {channel!r} that came with a command",
                why="they are kept apart from the checkpoint's values, and only the graph knows "
                "how they are put in; the values before them are given",
                thread_id=thread_id,
                holdable=False,
            )
        if self._unknown:
            times = "1 checkpoint" if self._unknown == 1 else f"{self._unknown} checkpoints"
            yield Loss(
                what=f"results and questions of tasks at {times}",
                why="their ids are made in another way than LangGraph for Python does, so that "
                "nobody can tell which node wrote what; copy the thread with --fidelity raw to "
                "keep them",
                thread_id=thread_id,
                holdable=False,
            )
        if orphans := self._rows.orphans:
            yield Loss(
                what=f"{'1 write' if orphans == 1 else f'{orphans} writes'} at absent checkpoints",
                why="a state is a checkpoint; copy the thread with --fidelity raw to keep them",
                thread_id=thread_id,
                holdable=False,
            )

    def close(self) -> None:
        """May be called again."""
        self._closing.close()


def _by_strangers(
    stored: Stored, writes: list[Write], made: Mapping[str, Made], due: list[tasks.Task]
) -> bool:
    """Whether tasks wrote something, and not one of them is known, as in what LangGraph for
    JavaScript has written: its versions are numbers, and it keeps no paths."""
    if any(task.id in made for task in due) or any(write.path for write in writes):
        return False
    return bool(made) and all(type(version) is int for version in stored.versions.values())


def _metadata(stored: Stored, what: str) -> Any:
    if stored.metadata is None:
        return UNSET
    try:
        return Raw(msgspec.json.encode(msgspec.json.decode(stored.metadata, type=dict[str, Raw])))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ThreadError(f"the metadata of {what} is no JSON object") from None


def _places(record: RawCheckpoint, stored: Stored) -> Any:
    """Of a subgraph: which checkpoints of the graphs around it belong to it."""
    parents = stored.facts.get("parents")
    if not isinstance(parents, dict) or not parents:
        return UNSET
    found = {}
    for name, key in (
        ("checkpoint", record.checkpoint_id),
        ("parent_checkpoint", record.parent_checkpoint_id),
    ):
        if key is None:
            found[name] = Raw(b"null")
            continue
        place = {
            "checkpoint_id": key,
            "thread_id": record.thread_id,
            "checkpoint_ns": record.checkpoint_ns,
            "checkpoint_map": {**parents, record.checkpoint_ns: key},
        }
        found[name] = Raw(tree_of(place, "a checkpoint"))
    return found
