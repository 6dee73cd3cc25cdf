"""Second pass over a thread: each checkpoint as the updates that make it, oldest first.

A server that applies an update does not do all that a run does: what triggered the node stays
as it was. That is seen nowhere but with joins and deferred nodes, whose trigger stays set until
they run. Their steps are staged: the updates are sent together with two that contradict each
other, so that the server stores what was written and then refuses the step; `__end__`, which
lets finished tasks be applied as a run applies them, then makes the checkpoint of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Raw, structs

from lgx import Checkpoint, Record
from lgx_plugins.replay.actions import (
    Action,
    Branch,
    Goto,
    Superstep,
    Update,
    Writes,
    overwrites,
    sendable,
)
from lgx_plugins.replay.joins import Arrived, Joins
from lgx_plugins.replay.learning import learn
from lgx_plugins.replay.messages import count_messages, messages_of
from lgx_plugins.replay.method import BY_VALUE, RENAMED, Fix, Method, Taken
from lgx_plugins.replay.nodes import Named, candidates, variants
from lgx_plugins.replay.outline import NONE, Outline
from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.poison import poison
from lgx_plugins.replay.steps import Step, Values, root_checkpoints, step_of
from lgx_plugins.replay.unfinished import unfinished
from lgx_plugins.replay.writing import written

__all__ = ["plan"]

COPY, END, INPUT, START = "__copy__", "__end__", "__input__", "__start__"

_NULL = Raw(b"null")
_NOTHING = Fix()


def plan(outline: Outline, records: Iterable[Record], method: Method) -> Iterator[Action]:
    """The actions that rebuild the root checkpoints among a thread's records, in order.

    What is seen on the way of the graph is noted in `method.graph`.
    """
    return _Planner(outline, method).plan(records)


class _Planner:
    def __init__(self, outline: Outline, method: Method) -> None:
        self._outline = outline
        self._method = method
        self._graph = method.graph
        self._joins = Joins(method.graph.topology, method.graph.plain)
        self._newest: Parent | None = None
        self._old: dict[int, Parent] = {}
        self._channels: Values = {}  # all that were seen, with nothing as their value
        self._blind = frozenset[str]()  # see Parent.blind; of the checkpoint that is made

    def plan(self, records: Iterable[Record]) -> Iterator[Action]:
        step: Step | None = None
        for index, record in enumerate(root_checkpoints(records)):
            step = self._step_of(record, index)
            parent = self._parent(index)
            made: tuple[str, ...] = ()
            self._blind = frozenset()
            for action in self._actions(step, parent):
                made = made or action.nodes
                yield action
            learn(step, parent, self._method)
            self._note_channels(step)
            self._newest = self._grown(step, parent, made)
            if index in self._outline.kept:
                self._old[index] = self._newest.shrunk()
        if step is not None and self._newest is not None:
            yield from self._unfinished(step, self._newest)
            self._method.plain = {name for name in step.values if self._plain(step, name)}
            waiting = {task.name for task in step.tasks if task.result is None}
            self._method.guessed = not waiting.isdisjoint(self._newest.blind)

    def _step_of(self, record: Checkpoint, index: int) -> Step:
        step = step_of(record, index)
        if step.source == "fork" and index not in self._outline.copied:
            return structs.replace(step, source="update")  # no copy of anything
        return step

    def _note_channels(self, step: Step) -> None:
        for task in step.tasks:
            self._channels |= dict.fromkeys(task.result or (), _NULL)
        self._channels |= dict.fromkeys(step.values, _NULL)

    def _grown(self, step: Step, parent: Parent | None, made: tuple[str, ...]) -> Parent:
        """A checkpoint that has been made, as the parent of others."""
        original = self._outline.copied.get(step.index)
        if original is not None:
            parent = self._known(original)
        arrived: Arrived = {} if parent is None else parent.arrived
        due = () if parent is None else (*parent.pulled, *parent.hidden)
        dropped: tuple[str, ...] = ()
        blind = self._blind
        if original is not None and parent is not None:
            made, dropped, blind = parent.producers, parent.dropped, parent.blind
        elif step.source == "input":
            # What was due has been dropped; on a target it is still there after an input.
            dropped = () if parent is None else (*parent.next, *parent.hidden)
            arrived = self._joins.after(arrived, due, ())
            made = ()
        else:
            if step.source == "loop":
                self._learn_edges(step, arrived, made)
            gone = () if step.source == "update" and END not in made else due
            arrived = self._joins.after(arrived, gone, made)
        for task in step.tasks:
            alone = task.name in self._joins and not self._joins.complete(arrived, task.name)
            known = any((node, task.name) in self._graph.plain for node in made)
            if alone and not task.pushed and not known:
                self._graph.loose.add(task.name)
        return Parent.of(
            step,
            producers=tuple(node for node in made if node != END),
            stale=self._stale(step, parent),
            arrived=arrived,
            hidden=self._joins.hidden(arrived, step.next),
            dropped=dropped,
            left=tuple(node for node in dropped if self._stays(node)),
            blind=blind,
        )

    def _learn_edges(self, step: Step, arrived: Arrived, made: tuple[str, ...]) -> None:
        """Notes which edges are of no join: what they lead to is due at once."""
        if not self._graph.choosing.isdisjoint(made):
            return  # which may lead there as well
        for task in step.tasks:
            source = None if task.pushed else self._joins.led(arrived, task.name, made)
            if source is not None:
                self._graph.plain.add((source, task.name))

    def _parent(self, index: int) -> Parent | None:
        return self._known(self._outline.parents[index])

    def _known(self, index: int) -> Parent | None:
        if self._newest is not None and self._newest.index == index:
            return self._newest
        return self._old.get(index)

    def _stale(self, step: Step, parent: Parent | None) -> frozenset[str]:
        """Channels that an input changed in the source, as it also applied what the tasks had
        written that it cut off. On a target the first step after it has to do so."""
        if parent is not None and step.source == "fork":
            return parent.stale
        if step.source != "input" or parent is None:
            return frozenset()
        return frozenset(parent.changed(step.values)) | parent.stale

    # -- one checkpoint -----------------------------------------------------------------

    def _actions(self, step: Step, parent: Parent | None) -> Iterator[Action]:
        original = self._outline.copied.get(step.index)
        if original is not None:
            yield self._single(step.index, original, Update(COPY))
        elif step.source == "input":
            if step.index == 0 and self._outline.based:
                yield from self._base(step)
            base = step.index - 1 if parent is None else parent.index
            taken = _input(step)
            if taken is None:
                self._blind = frozenset(task.name for task in step.tasks)
            yield self._single(step.index, base, Update(INPUT, taken or ()))
        elif parent is not None and parent.index != step.index - 1:
            yield self._detached(step, parent)
        else:
            yield from self._appended(step, parent)

    def _base(self, step: Step) -> Iterator[Action]:
        """What the first input came upon, and what is not in the history: its own values."""
        ended = structs.replace(step, index=NONE, source="update", next=(), tasks=())
        yield from self._appended(ended, None)

    def _single(self, index: int, base: int, update: Update) -> Action:
        if base == index - 1:
            return Superstep(index, (update,))
        return Branch(index, base, update)

    def _detached(self, step: Step, parent: Parent) -> Branch:
        """One update of an old checkpoint. What its tasks wrote tells of another child."""
        fix = self._method.fixes.get(step.index, _NOTHING)
        key = frozenset(task.name for task in parent.tasks)
        level = self._method.level(step.index, key)
        node = self._candidate(step, parent, fix, level)
        update = Update(END)
        if node != END:
            update = written(step, parent, [(node, ())], fix, level, self._method)[0]
        return Branch(step.index, parent.index, update, key)

    def _appended(self, step: Step, parent: Parent | None) -> Iterator[Action]:
        fix = self._method.fixes.get(step.index, _NOTHING)
        found = variants(step, parent, self._graph)
        named = self._take(step.index, found, fix)
        key = frozenset(name for name, _ in found[0])
        level = self._method.level(step.index, key)
        if step.source == "update" and any(writes for _, writes in named):
            self._method.told.add(step.index)
        if level >= RENAMED:
            named = ((self._candidate(step, parent, fix, level, key), ()),)
        elif level >= BY_VALUE:
            named = ((named[0][0], ()),)
        untold = step.source == "loop" and (parent is None or not parent.told)
        self._method.by_value |= level >= BY_VALUE or untold
        run = parent if step.source != "update" else None
        hidden, left = (run.hidden, run.left) if run is not None else ((), ())
        if named == ((END, ()),):
            yield Superstep(step.index, (Update(END),), (), key)
            return
        ended = named[-1][0] == END
        named = named[:-1] if ended else named
        updates = written(step, parent, named, fix, level, self._method)
        writes = [value for update in updates for _, value in update.writes or ()]
        if key and 0 < level < RENAMED and any(map(overwrites, writes)):
            self._method.forced.add(key)
        updates[-1:] = self._routed(step, updates, fix)
        names = [name for name, _ in named]
        staged = ended or (run is not None and self._stages(run, names))
        staged = staged != fix.otherwise
        due = set(names).union(hidden, () if parent is None else (*parent.next, *parent.dropped))
        bitter = self._poison(step, due) if staged else ()
        if staged and not bitter:
            drawn = self._graph.topology is not None
            joins = [name for name in names if name in self._joins or not drawn]
            self._method.due_again.update(hidden or left or joins)
        if bitter:
            self._method.staged.add(step.index)
            yield Superstep(step.index, tuple(updates), bitter, key)
            yield Superstep(step.index, (Update(END),), (), key)
        else:
            yield Superstep(step.index, tuple(updates), (), key)

    def _candidate(
        self,
        step: Step,
        parent: Parent | None,
        fix: Fix,
        level: int,
        own: frozenset[str] = frozenset(),
    ) -> str:
        """The node to send under what no task tells of, or under another name than the task's.

        Args:
            own: the names under which it was refused, where these are known.
        """
        names = candidates(step, parent, self._graph)
        others = [node for node in names if node not in own]
        after = level - RENAMED + (not own)
        found: list[Named] = [((node, ()),) for node in others or names]
        [(node, _)] = self._take(step.index, found, fix, after=max(after, 0))
        return node

    def _take(self, index: int, found: Sequence[Named], fix: Fix, *, after: int = 0) -> Named:
        """The likeliest that was not tried, or one after it; the last where all were."""
        left = [named for named in found if _taken(named) not in fix.tried]
        named = left[min(after, len(left) - 1)] if left else found[-1]
        if len(found) > 1:
            self._method.taken[index] = _taken(named)
        return named

    def _stages(self, parent: Parent, names: Sequence[str]) -> bool:
        """Whether a run's step is of nodes whose triggers stay set after an update."""
        if parent.hidden or parent.left or not self._method.held.isdisjoint(names):
            return True
        unseen = names[0] in self._joins or names[0] not in self._graph.seen
        if parent.told and not parent.tasks and unseen:
            return True
        return any(self._joined(parent, name) for name in names)

    def _stays(self, node: str) -> bool:
        """Whether a node that was due stays so until it really runs."""
        return node in self._method.held or self._waits(node)

    def _joined(self, parent: Parent, node: str) -> bool:
        """Whether a node that is due may have waited for all that have run before it."""
        return self._joins.complete(parent.arrived, node) and self._waits(node)

    def _waits(self, node: str) -> bool:
        """Whether a node may be a join: to stage its steps is of no harm where it is none."""
        loose = node in self._graph.loose and not self._joins.is_unclear(node)
        return node in self._joins and not loose

    def _routed(self, step: Step, updates: list[Update], fix: Fix) -> Iterator[Update]:
        """The last update, with the ways that no edge leads. Servers take commands that lead to
        nodes, or to tasks of their own, and none that lead to both."""
        last = updates[-1]
        nodes = {update.node for update in updates}
        gotos = list(fix.gotos)
        if not nodes.isdisjoint(self._method.routed):
            pulled = [Goto(task.name) for task in step.tasks if not task.pushed]
            gotos += [goto for goto in pulled if goto not in gotos]
        sends = nodes <= self._method.sending and not fix.by_edge
        if sends and not any(goto.sent for goto in gotos):
            gotos += [Goto(task.name, sent=True) for task in step.tasks if task.pushed]
        self._blind = frozenset(goto.node for goto in gotos if goto.sent)
        named = tuple(goto for goto in gotos if not goto.sent)
        sent = tuple(goto for goto in gotos if goto.sent)
        yield Update(last.node, last.writes, named or sent)
        if named and sent:
            yield Update(last.node, None, sent)

    def _unfinished(self, step: Step, newest: Parent) -> Iterator[Action]:
        """What finished tasks wrote beside others that wait: stored, as it was in the source."""
        updates = unfinished(step, self._method)
        bitter = self._poison(step, {*step.next, *newest.hidden})
        if updates and bitter:
            yield Superstep(step.index, tuple(updates), bitter)

    def _poison(self, step: Step, names: Collection[str]) -> tuple[Update, ...]:
        if not self._method.stages:
            return ()
        return poison(self._channels | step.values, self._graph, names)

    def _plain(self, step: Step, channel: str) -> bool:
        """Whether messages in a channel were sent as what they are not made of again."""
        value = step.values[channel]
        if not count_messages(value):
            return False
        return messages_of(value) is None or channel in self._method.data


def _taken(named: Named) -> Taken:
    return tuple((node, bool(writes)) for node, writes in named)


def _input(step: Step) -> Writes | None:
    """What a run began with; None where no history tells: what no task has taken yet, and what
    a function is called with. Or where servers do not take it."""
    for task in step.tasks:
        if task.name == START and task.result is not None:
            writes = tuple(task.result.items())
            return writes if all(sendable(*write) for write in writes) else None
    return None
