"""Graphs and histories as data: drawn by hypothesis, built and run here.

What a node does depends on its plan and on the state alone, so that a run of the same graph
does the same everywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.channels import AnyValue, EphemeralValue, Topic, UntrackedValue
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from .local import Place

__all__ = [
    "GraphPlan",
    "Move",
    "NodePlan",
    "act",
    "all_moves",
    "build",
    "graph_plans",
    "runs",
    "value_of",
]


def _append(left: list[Any] | None, right: list[Any]) -> list[Any]:
    return [*(left or []), *right, "+"]


def _latest(left: Any, right: Any) -> Any:
    return right


def _merged(left: dict[str, Any] | None, right: dict[str, Any]) -> dict[str, Any]:
    return {**(left or {}), **right}


CHANNELS: dict[str, Any] = {
    "last": Any,
    "total": Annotated[int, operator.add],
    "log": Annotated[list[Any], operator.add],
    "marked": Annotated[list[Any], _append],
    "latest": Annotated[Any, _latest],
    "merged": Annotated[dict[str, Any], _merged],
    "messages": Annotated[list[Any], add_messages],
    "gathered": Annotated[list[Any], Topic(str, accumulate=True)],
    "topic": Annotated[list[Any], Topic(str)],
    "brief": Annotated[Any, EphemeralValue(Any, guard=False)],
    "any": Annotated[Any, AnyValue(Any)],
    "untracked": Annotated[Any, UntrackedValue(Any, guard=False)],
}
ALONE = frozenset({"last"})  # takes one write in a step


@dataclass(frozen=True)
class NodePlan:
    """What one node does.

    Attributes:
        writes: channels that it writes to.
        goes: where a command of it leads; `sends`: how many tasks of `sink` it makes.
        chooses: nodes of which a function chooses one or none by the state.
        asks: whether it interrupts; `silent`: whether it returns None.
        waits: whether it is deferred.
    """

    writes: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()
    sends: int = 0
    sent_by_edge: bool = False
    chooses: tuple[str, ...] = ()
    asks: bool = False
    silent: bool = False
    waits: bool = False
    twice: bool = False


@dataclass(frozen=True)
class GraphPlan:
    channels: tuple[str, ...]
    nodes: tuple[NodePlan, ...]
    starts: tuple[int, ...]
    edges: tuple[tuple[int, int], ...]
    joins: tuple[tuple[tuple[int, ...], int], ...] = ()
    barriers: bool = False
    seen: list[str] = field(default_factory=list, compare=False)


def _name(number: int) -> str:
    return f"n{number}"


def _value(channel: str, who: str, state: dict[str, Any]) -> Any:
    count = len(state.get("log") or ()) + (state.get("total") or 0)
    if channel == "total":
        return 1
    if channel in ("log", "marked"):
        return [who]
    if channel == "merged":
        return {who: count, "k": who}
    if channel in ("gathered", "topic"):
        return f"{who}{count}"
    if channel == "messages":
        held = state.get("messages") or []
        mine = int(who[1:]) if who[1:].isdigit() else len(held)  # no two tasks touch the same
        if mine < len(held) and count % 3 == 2:
            return [RemoveMessage(id=held[mine].id), AIMessage(f"{who} {count}")]
        if mine < len(held) and count % 4 == 3:
            return [HumanMessage(f"edited by {who}", id=held[mine].id)]
        return [AIMessage(f"{who} {count}"), ("user", "and?")][: 1 + count % 2]
    return [who, count] if count % 2 else {"by": who}


def value_of(plan: GraphPlan, state: dict[str, Any]) -> dict[str, Any]:
    """An input that follows from the state alone."""
    return {plan.channels[0]: _value(plan.channels[0], "in7", state)}


def build(plan: GraphPlan) -> Any:
    schema = TypedDict("State", {name: CHANNELS[name] for name in plan.channels}, total=False)  # type: ignore[misc]
    graph: Any = StateGraph(schema)
    for number, node in enumerate(plan.nodes):
        graph.add_node(
            _name(number),
            _body(number, node),
            defer=node.waits,
            destinations=tuple(node.goes) or None,
        )
        if node.chooses:
            graph.add_conditional_edges(_name(number), _chooser(node), [*node.chooses, END])
        if node.sent_by_edge:
            last = _name(len(plan.nodes) - 1)
            graph.add_conditional_edges(_name(number), _sender(last, node.sends), [last])
    for number in plan.starts:
        graph.add_edge(START, _name(number))
    for left, right in plan.edges:
        graph.add_edge(_name(left), _name(right) if right < len(plan.nodes) else END)
    for left_many, right in plan.joins:
        graph.add_edge([_name(left) for left in left_many], _name(right))
    return graph


def _body(number: int, node: NodePlan) -> Callable[[Any], Any]:
    who = _name(number)

    def body(state: dict[str, Any]) -> Any:
        who_here = f"{who}.{state['sent']}" if "sent" in state else who
        if node.asks:
            interrupt(f"{who}?")
        if node.silent:
            return None
        update: Any = {channel: _value(channel, who_here, state) for channel in node.writes}
        if node.twice:
            again = [(c, v) for c, v in update.items() if c not in ALONE and c != "messages"]
            update = [*update.items(), *again]
        gotos: list[Any] = list(node.goes)
        if node.sends and not node.sent_by_edge:
            target = node.goes[0] if node.goes else who
            if target != who:
                gotos = [Send(target, {"sent": i}) for i in range(node.sends)]
        if gotos or node.twice:
            return Command(update=update, goto=gotos)
        return update

    return body


def _chooser(node: NodePlan) -> Callable[[Any], Any]:
    def choose(state: dict[str, Any]) -> Any:
        count = len(state.get("log") or ()) + len(state.get("marked") or ())
        return [node.chooses[count % len(node.chooses)]] if count < 12 else END

    return choose


def _sender(target: str, count: int) -> Callable[[Any], Any]:
    return lambda state: [Send(target, {"sent": i}) for i in range(count)]


@st.composite
def graph_plans(draw: st.DrawFn, *, plain: bool = False) -> GraphPlan:
    """`plain`: without deferred nodes, and without channels that gather what no task tells."""
    names = sorted(CHANNELS.keys() - ({"gathered"} if plain else set()))
    channels = draw(st.lists(st.sampled_from(names), min_size=1, max_size=5, unique=True))
    if not {"total", "log", "messages"} & set(channels):
        channels.append("log")  # a state that is never empty
    size = draw(st.integers(1, 5))
    nodes = []
    edges = []
    for number in range(size):
        later = [_name(other) for other in range(number + 1, size)]
        kind = draw(st.sampled_from(["plain", "plain", "command", "choice", "sends", "silent"]))
        writes = tuple(draw(st.lists(st.sampled_from(channels), max_size=3, unique=True)))
        goes: tuple[str, ...] = ()
        chooses: tuple[str, ...] = ()
        sends, by_edge = 0, False
        if later and kind == "command":
            goes = tuple(
                draw(st.lists(st.sampled_from(later), min_size=1, max_size=2, unique=True))
            )
            sends = draw(st.sampled_from([0, 0, 2, 3]))
        elif later and kind == "choice":
            chooses = tuple(
                draw(st.lists(st.sampled_from(later), min_size=1, max_size=3, unique=True))
            )
        elif later and kind == "sends":
            sends, by_edge = draw(st.integers(1, 3)), True
        nodes.append(
            NodePlan(
                writes=writes,
                goes=goes,
                sends=sends,
                sent_by_edge=by_edge,
                chooses=chooses,
                asks=draw(st.sampled_from([False, False, False, True])),
                silent=kind == "silent",
                waits=number > 0 and not plain and draw(st.sampled_from([False] * 5 + [True])),
                twice=kind == "command" and draw(st.booleans()),
            )
        )
        targets = draw(st.lists(st.integers(number + 1, size), max_size=2, unique=True))
        edges += [(number, target) for target in targets]
    joins = []
    if size >= 3 and draw(st.booleans()):
        right = draw(st.integers(2, size - 1))
        name = _name(right)
        joined = not any(name in n.goes + n.chooses or n.sent_by_edge for n in nodes)
        left = draw(st.lists(st.integers(0, right - 1), min_size=2, max_size=3, unique=True))
        if joined:
            joins.append((tuple(left), right))
        # With an edge besides, nothing tells whether the join is there at all.
        edges = [edge for edge in edges if edge[1] != right]
    waiting = {right for _, right in joins}  # nor with one from the beginning
    free = [number for number in range(size) if number not in waiting]
    starts = draw(st.lists(st.sampled_from(free), min_size=1, max_size=2, unique=True))
    # Two tasks of one step may not both write to a channel that takes one write.
    if "last" in channels:
        writer = draw(st.integers(0, size - 1))
        nodes = [
            n
            if i == writer
            else NodePlan(**{**vars(n), "writes": tuple(c for c in n.writes if c not in ALONE)})
            for i, n in enumerate(nodes)
        ]
    return GraphPlan(
        channels=tuple(channels),
        nodes=tuple(nodes),
        starts=tuple(starts),
        edges=tuple(dict.fromkeys(edges)),
        joins=tuple(joins),
        barriers=draw(st.booleans()),
    )


RUNS = (
    "input",
    "input",
    "input",
    "resume",
    "resume",
    "go on",
    "old input",
    "travel",
    "copy",
    "pause",
)
UPDATES = ("update", "update as", "clear", "old update", "bulk")

Move: TypeAlias = tuple[str, int]
"""What is done, and a number that says where and with what."""


def _moves(kinds: tuple[str, ...]) -> st.SearchStrategy[list[Move]]:
    return st.lists(st.tuples(st.sampled_from(kinds), st.integers(0, 50)), min_size=1, max_size=7)


runs = _moves(RUNS)
all_moves = _moves(RUNS + UPDATES)


async def act(plan: GraphPlan, place: Place, move: Move) -> None:
    """Does one thing to a thread; what the graph refuses to do is left."""
    kind, number = move
    states = await place.states()
    old = states[number % len(states)].checkpoint_id if states else None
    head = place.head()
    past = place.at(old) if old else head
    config = {**head, "recursion_limit": 12}
    past_run = {**past, "recursion_limit": 12}
    graph: Any = place.graph
    channel = plan.channels[number % len(plan.channels)]
    node = _name(number % len(plan.nodes))
    state = (await graph.aget_state(head)).values if states else {}
    values = {channel: _value(channel, f"in{number}", dict(state))}
    try:
        if kind == "input":
            await graph.ainvoke(values, config)
        elif kind == "pause":
            await graph.ainvoke(values, config, interrupt_before=[node])
        elif not states:
            return
        elif kind == "resume":
            waiting = (await graph.aget_state(head)).interrupts
            answer: Any = {item.id: "yes" for item in waiting[: 1 + number % 2]} or "yes"
            await graph.ainvoke(Command(resume=answer), config)
        elif kind == "go on":
            await graph.ainvoke(None, config)
        elif kind == "update":
            await graph.aupdate_state(head, values)
        elif kind == "update as":
            await graph.aupdate_state(head, values, as_node=node)
        elif kind == "clear":
            await graph.aupdate_state(head, None, as_node=END)
        elif kind == "old input":
            await graph.ainvoke(values, past_run)
        elif kind == "travel":
            await graph.ainvoke(None, past_run)
        elif kind == "old update":
            await graph.aupdate_state(past, values, as_node=node if number % 2 else None)
        elif kind == "copy":
            await graph.aupdate_state(past, None, as_node="__copy__")
        elif kind == "bulk":
            from langgraph.types import StateUpdate

            other = plan.channels[(number + 1) % len(plan.channels)]
            if channel in ALONE or other in ALONE:
                return
            updates = [
                StateUpdate(values, node),
                StateUpdate({other: _value(other, "b", {})}, node),
            ]
            await graph.abulk_update_state(head, [updates])
    except Exception as error:
        plan.seen.append(f"{kind}: {type(error).__name__}: {error}")
