"""Second pass over a thread: each checkpoint as the updates that make it, oldest first.

A server that applies an update does not do all that a run does: what triggered the node stays
as it was. That is seen nowhere but with joins and deferred nodes, whose trigger stays set until
they run. Their steps are staged: the updates are sent together with two that contradict each
other, so that the server stores what was written and then refuses the step; `__end__`, which
lets finished tasks be applied as a run applies them, then makes the checkpoint of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Raw

from lgx import Record
from lgx_plugins.replay.actions import Action, Branch, Goto, Superstep, Update, overwrite
from lgx_plugins.replay.joins import Joins
from lgx_plugins.replay.method import Fix, Method
from lgx_plugins.replay.nodes import candidates
from lgx_plugins.replay.outline import NONE, Outline
from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.steps import Step, Task, root_checkpoints, step_of
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
        self._joins = Joins(method.graph.topology)
        self._newest: Parent | None = None
        self._old: dict[int, Parent] = {}

    def plan(self, records: Iterable[Record]) -> Iterator[Action]:
        step: Step | None = None
        for index, record in enumerate(root_checkpoints(records)):
            step = step_of(record, index)
            parent = self._parent(index)
            made: tuple[str, ...] = ()
            for action in self._actions(step, parent):
                made = made or action.nodes
                yield action
            self._learn(step, parent)
            if step.source == "fork" and parent is not None:
                made = parent.producers
            self._newest = Parent(step, made, self._stale(step, parent))
            if index in self._outline.parents_again:
                self._old[index] = self._newest.shrunk()
        if step is not None:
            yield from self._unfinished(step)

    def _parent(self, index: int) -> Parent | None:
        parent = self._outline.parents[index]
        if parent == NONE:
            return None
        return self._newest if parent == index - 1 else self._old.get(parent)

    def _stale(self, step: Step, parent: Parent | None) -> frozenset[str]:
        """Channels that an input changed in the source, as it also applied what the tasks had
        written that it cut off. On a target the first step after it has to do so."""
        if step.source != "input" or parent is None:
            return frozenset()
        return frozenset(parent.changed(step.values)) | parent.stale

    # -- one checkpoint -----------------------------------------------------------------

    def _actions(self, step: Step, parent: Parent | None) -> Iterator[Action]:
        original = self._outline.copied.get(step.index)
        if original is not None:
            yield self._single(step.index, original, Update(COPY))
        elif step.source == "input":
            base = step.index - 1 if parent is None else parent.index
            yield self._single(step.index, base, Update(INPUT, _input(step)))
        elif parent is not None and parent.index != step.index - 1:
            yield Branch(step.index, parent.index, self._detached(step, parent))
        else:
            yield from self._appended(step, parent)

    def _single(self, index: int, base: int, update: Update) -> Action:
        if base == index - 1:
            return Superstep(index, (update,))
        return Branch(index, base, update)

    def _detached(self, step: Step, parent: Parent) -> Update:
        """One update of an old checkpoint. What its tasks wrote tells of another child."""
        fix = self._method.fixes.get(step.index, _NOTHING)
        found = candidates(step, parent, self._graph)
        node = found[min(fix.candidate, len(found) - 1)]
        return written(step, parent, [(node, ())], fix, self._method)[0]

    def _appended(self, step: Step, parent: Parent | None) -> Iterator[Action]:
        fix = self._method.fixes.get(step.index, _NOTHING)
        tasks = self._tasks(step, parent, fix)
        hidden: tuple[str, ...] = ()
        if parent is not None and step.source != "update":
            hidden = self._joins.hidden(parent)
        named = [(task.name, task.writes) for task in tasks]
        named += [(name, ()) for name in hidden]
        if not named:
            found = candidates(step, parent, self._graph)
            node = found[min(fix.candidate, len(found) - 1)]
            if node == END:
                yield Superstep(step.index, (Update(END),))
                return
            named = [(node, ())]
        updates = written(step, parent, named, fix, self._method)
        updates[-1] = self._routed(step, updates, fix)
        staged = hidden or not self._method.held.isdisjoint(name for name, _ in named)
        poison = self._poison(step, updates[-1].node) if staged and self._method.stages else ()
        if poison:
            yield Superstep(step.index, tuple(updates), poison)
            yield Superstep(step.index, (Update(END),))
        else:
            yield Superstep(step.index, tuple(updates))

    def _tasks(self, step: Step, parent: Parent | None, fix: Fix) -> list[Task]:
        """The tasks of the parent that made this checkpoint, in the order of their writes."""
        if parent is None:
            return []
        tasks = sorted(parent.tasks, key=lambda task: task.order)
        if fix.level > 1:
            return tasks[:1] if fix.candidate == 0 else []
        if step.source == "update":
            tasks = [task for task in tasks if task.result is not None]
            if 0 < fix.candidate <= len(tasks):
                tasks = [tasks[fix.candidate - 1]]
        return tasks

    def _routed(self, step: Step, updates: list[Update], fix: Fix) -> Update:
        """The last update, with the ways that no edge leads."""
        last = updates[-1]
        gotos = fix.gotos
        if not self._method.routed.isdisjoint(update.node for update in updates):
            pulled = [Goto(task.name) for task in step.tasks if not task.pushed]
            gotos = (*pulled, *(goto for goto in gotos if goto.sent or goto not in pulled))
        return Update(last.node, last.writes, gotos) if gotos else last

    def _poison(self, step: Step, node: str) -> tuple[Update, ...]:
        """Two updates that no channel takes in one step, so that the step is refused."""
        channels = sorted(step.values, key=lambda name: self._graph.reduces(name))
        if not channels:
            return ()
        poison = Update(node, ((channels[0], overwrite(_NULL)),))
        return (poison, poison)

    def _unfinished(self, step: Step) -> Iterator[Action]:
        """What finished tasks wrote beside others that wait: stored, as it was in the source."""
        done = [task for task in step.tasks if task.result is not None]
        if not done or len(done) == len(step.tasks) or not self._method.stages:
            return
        updates = [Update(task.name, task.writes) for task in done]
        poison = self._poison(step, done[-1].name)
        if poison:
            yield Superstep(step.index, tuple(updates), poison)

    # -- what is learnt -----------------------------------------------------------------

    def _learn(self, step: Step, parent: Parent | None) -> None:
        """Notes what a step of a single task shows of its channels and of what comes next."""
        if parent is None or step.source != "loop" or len(parent.tasks) != 1:
            return
        task = parent.tasks[0]
        self._graph.successors[task.name] = step.next
        for channel, value in (task.result or {}).items():
            same = step.values.get(channel) == value
            counts = self._graph.equal if same else self._graph.unequal
            counts[channel] = counts.get(channel, 0) + 1


def _input(step: Step) -> tuple[tuple[str, Raw], ...]:
    for task in step.tasks:
        if task.name == START and task.result is not None:
            return tuple(task.result.items())
    return ()
