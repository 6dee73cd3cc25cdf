"""How a thread is replayed: what is known of its graph, and what was changed at single steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field, structs

from lgx_plugins.replay.actions import Goto
from lgx_plugins.replay.target import Topology

__all__ = [
    "BY_VALUE",
    "OVERWRITTEN",
    "RENAMED",
    "Fix",
    "Form",
    "GraphMemory",
    "Kind",
    "Memory",
    "Method",
    "Taken",
]

BY_VALUE, OVERWRITTEN, RENAMED = 2, 3, 4
"""Levels (see `GraphMemory`)."""


Taken: TypeAlias = tuple[tuple[str, bool], ...]
"""Nodes that a step is taken to be of, and whether each with what its task wrote."""

Kind: TypeAlias = tuple[tuple[Hashable, ...], ...]
"""What a difference is, apart from where it is."""


class Form(Enum):
    """In which form a channel is sent where it changes."""

    WRITTEN = "as the tasks wrote it"
    MESSAGES = "as the tasks wrote it, messages as they stand afterwards"
    EDITS = "removals, edits and additions that make the new list of messages of the old"
    REPLACED = "all messages removed, then all added"
    TAIL = "what was added to the end of a list"
    VALUE = "the value that it has afterwards"
    OVERWRITE = "the value that it has afterwards, in place of what a reducer would make"


class Fix(Struct):
    """What is done otherwise at one step, because the plain way came out different.

    Attributes:
        forms: of single channels.
        gotos: where its last update leads, besides what the graph's edges say.
        tried: what was taken for the nodes that wrote what no task tells, and were not.
        level: as in `GraphMemory.levels`, for this step alone.
        otherwise: whether it is staged where it would not be, and not where it would.
        by_edge: whether edges lead to all tasks of their own that come of it, though its
            nodes' commands make such tasks elsewhere.
    """

    forms: dict[str, Form] = field(default_factory=dict)
    gotos: tuple[Goto, ...] = ()
    tried: tuple[Taken, ...] = ()
    level: int = 0
    otherwise: bool = False
    by_edge: bool = False


class GraphMemory(Struct):
    """What was learnt of one graph: later threads begin with it.

    Attributes:
        held: nodes whose trigger stays set until they really run (joins, deferred nodes):
            their steps are staged.
        loose: nodes with edges from several others that were due before all of these had
            run: no join is among them.
        plain: edges that are known to be of no join; see `joins`.
        routed: nodes that name their successors by commands.
        sending: nodes whose commands make tasks of their own, all that come of them.
        levels: of steps that were refused more than once, by the nodes that they are of: 1,
            every channel is sent by value; 2, under one node too; 3, and overwritten; 4, under
            another node. Another thread is not written below 1 before it is refused, too.
        floor: the level of all steps.
        forms: of channels whose reducer makes something else of what was once written.
        hopeless: channels that came out different whatever was tried.
        vain: of kinds of differences how many threads one after the other kept them, whatever
            was tried.
        unstaged: how many threads one after the other could not be staged, as refused
            updates left nothing behind, or were taken.
        equal, unequal: of each channel how often what a single task wrote was the value
            afterwards, and how often not, as a reducer makes it.
        seen: nodes that were due in a history, as far as the API tells.
        successors: what came next after a step of a single node.
        topology: asked for where it is needed; `drawn`: whether it was.
        told: what was told of the graph, by the thread that told it: of channels what they held
            that is more than JSON, and of nodes that their steps are overwritten.
    """

    name: str | None = None
    held: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    plain: set[tuple[str, str]] = field(default_factory=set)
    routed: set[str] = field(default_factory=set)
    sending: set[str] = field(default_factory=set)
    levels: dict[frozenset[str], int] = field(default_factory=dict)
    floor: int = 0
    forms: dict[str, Form] = field(default_factory=dict)
    hopeless: set[str] = field(default_factory=set)
    vain: dict[Kind, int] = field(default_factory=dict)
    unstaged: int = 0
    equal: Counter[str] = field(default_factory=Counter)
    unequal: Counter[str] = field(default_factory=Counter)
    seen: set[str] = field(default_factory=set)
    successors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    topology: Topology | None = None
    drawn: bool = False
    told: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def choosing(self) -> frozenset[str]:
        """See `Topology`; none where it is not known."""
        return frozenset() if self.topology is None else self.topology.choosing

    @property
    def stages(self) -> bool:
        """Whether steps can be staged there; once is an accident."""
        return self.unstaged < 2

    def copy(self) -> GraphMemory:
        """As it is now, untouched by what is learnt later."""
        return structs.replace(
            self,
            loose=set(self.loose),
            plain=set(self.plain),
            seen=set(self.seen),
            successors=dict(self.successors),
            equal=self.equal.copy(),
            unequal=self.unequal.copy(),
        )

    def reduces(self, channel: str) -> bool:
        """Whether a reducer stands before the channel, as far as is known."""
        return self.unequal[channel] > 0


class Memory:
    """What was learnt of each graph, for the length of a run."""

    def __init__(self) -> None:
        self._graphs: dict[str | None, GraphMemory] = {}

    def of(self, graph_id: str | None) -> GraphMemory:
        return self._graphs.setdefault(graph_id, GraphMemory(graph_id))


class Method(Struct):
    """One way to write one thread: what is known of its graph, and changes at single steps.

    What it has in common with `GraphMemory` is there once the thread stands.

    Attributes:
        latest: whether the last state alone is written.
        written: how often each channel was written to, as far as it is planned.
        refused: which of the steps of some nodes was refused last.
        exhausted: at how many steps nothing is left to try for a channel.
        hopeless: channels for which nothing is tried.
        alone: steps that are sent one by one, as a body with them was refused as a whole.
        taken: of steps that may be of several nodes, those that they were sent under; which are
            likely changes while threads of the graph are read.
        told: the updates that are taken for those of tasks with results.
        staged: the steps that are staged, as far as it is planned.
        due_again: nodes whose steps should be staged and cannot be: they stay due.
        forced: the nodes of steps that are overwritten as they, or those of other threads, were
            refused.
        unled: nodes that have finished beside tasks that wait, and of which nothing tells
            whether a command of theirs leads on.
        data: channels that were sent last in a form of which no reducer makes messages.
        plain: channels with messages that no reducer makes messages of.
        by_value: whether a step was sent by value, and not by its tasks.
        guessed: whether tasks wait at the head whose input no history tells.
    """

    graph: GraphMemory
    latest: bool
    held: set[str]
    routed: set[str]
    sending: set[str]
    levels: dict[frozenset[str], int]
    floor: int
    forms: dict[str, Form]
    stages: bool
    fixes: dict[int, Fix]
    written: Counter[str] = field(default_factory=Counter)
    refused: dict[frozenset[str], int] = field(default_factory=dict)
    exhausted: Counter[str] = field(default_factory=Counter)
    hopeless: set[str] = field(default_factory=set)
    alone: set[int] = field(default_factory=set)
    taken: dict[int, Taken] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    staged: set[int] = field(default_factory=set)
    due_again: set[str] = field(default_factory=set)
    forced: set[frozenset[str]] = field(default_factory=set)
    unled: set[str] = field(default_factory=set)
    data: set[str] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    by_value: bool = False
    guessed: bool = False

    @classmethod
    def first(cls, graph: GraphMemory) -> Method:
        """The one to begin a thread with."""
        return cls(
            graph,
            False,
            set(graph.held),
            set(graph.routed),
            set(graph.sending),
            {key: min(level, BY_VALUE - 1) for key, level in graph.levels.items()},
            graph.floor,
            dict(graph.forms),
            graph.stages,
            {},
        )

    def level(self, index: int, key: frozenset[str]) -> int:
        """How the step is sent, whose nodes `key` names; see `GraphMemory.levels`."""
        fix = self.fixes.get(index)
        return max(self.levels.get(key, 0), self.floor, 0 if fix is None else fix.level)

    def fix(self, index: int) -> Fix:
        """The changes at one step, to be changed."""
        return self.fixes.setdefault(index, Fix())

    def take_others(self, index: int, most: int | None = None) -> bool:
        """Takes a step for one of other nodes than so far; False where none are left, or `most`
        were tried."""
        taken, fix = self.taken.get(index), self.fix(index)
        if taken is None or taken in fix.tried or len(fix.tried) == most:
            return False
        fix.tried = (*fix.tried, taken)
        return True

    def copy(self) -> Method:
        """As it stands, untouched by later changes."""
        return Method(
            self.graph,
            self.latest,
            set(self.held),
            set(self.routed),
            set(self.sending),
            dict(self.levels),
            self.floor,
            dict(self.forms),
            self.stages,
            {
                index: structs.replace(fix, forms=dict(fix.forms))
                for index, fix in self.fixes.items()
            },
            refused=dict(self.refused),
            alone=set(self.alone),
        )

    def remember(self) -> None:
        """Lets later threads of the graph begin with what was learnt."""
        self.graph.held |= self.held
        self.graph.routed |= self.routed
        self.graph.sending |= self.sending
        for key, level in self.levels.items():
            self.graph.levels[key] = max(level, self.graph.levels.get(key, 0))
        self.graph.floor = max(self.graph.floor, self.floor)
        if not self.stages:
            self.graph.unstaged += 1
        elif self.staged:
            self.graph.unstaged = 0
        self.graph.hopeless |= {
            name for name, n in self.exhausted.items() if n > 1 and n >= self.written[name]
        }
        counts = Counter(item for fix in self.fixes.values() for item in fix.forms.items())
        for (channel, form), count in counts.most_common():
            # Once is an accident; half of the times is how the graph there is.
            if count > 1 and 2 * count >= self.written[channel]:
                self.graph.forms.setdefault(channel, form)
