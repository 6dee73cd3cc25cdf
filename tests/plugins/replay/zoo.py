"""Graphs and histories, one of each feature that a history can hold."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import AnyValue, EphemeralValue, Topic, UntrackedValue
from langgraph.channels.delta import DeltaChannel
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import CachePolicy, Command, Overwrite, Send, StateUpdate, interrupt
from typing_extensions import TypedDict

from .local import Place

__all__ = ["CASES", "CUT", "Case", "State", "graph", "says", "turns"]

Builder = Callable[[], Any]
Scenario = Callable[[Place], Awaitable[None]]


@dataclass(frozen=True)
class Case:
    """A graph, what is done with a thread of it, and what no server can be given of that."""

    name: str
    build: Builder
    play: Scenario
    excused: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


class State(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    x: int
    q: str


class Messages(TypedDict):
    messages: Annotated[list[Any], add_messages]


def graph(
    schema: Any,
    nodes: dict[str, Any],
    edges: list[tuple[Any, str]],
    choices: tuple[tuple[str, Any], ...] = (),
) -> StateGraph[Any, Any, Any, Any]:
    """A graph of nodes (functions, or functions with options), edges (joins where the left is a
    list), and functions that choose."""
    made: StateGraph[Any, Any, Any, Any] = StateGraph(schema)
    for name, node in nodes.items():
        body, options = node if isinstance(node, tuple) else (node, {})
        made.add_node(name, body, **options)
    for left, right in edges:
        made.add_edge(left, right)
    for name, choose in choices:
        made.add_conditional_edges(name, choose)
    return made


def says(*words: Any) -> Callable[[Any], Any]:
    return lambda state: {"log": list(words)}


def asks(*questions: str) -> Callable[[Any], Any]:
    return lambda state: {"log": [interrupt(question) for question in questions]}


def turns(count: int, value: Any = None) -> Scenario:
    async def play(place: Place) -> None:
        for number in range(count):
            given = {"log": [f"in{number}"]} if value is None else value
            await place.graph.ainvoke(given, place.head())

    return play


def _line() -> Any:
    nodes = {
        "a": lambda s: {"log": ["a"], "x": s.get("x", 0) + 1},
        "b": says("b"),
        "n": lambda s: None,
    }
    return graph(State, nodes, [(START, "a"), ("a", "b"), ("b", "n")])


def _joined() -> Any:
    nodes = {
        "a": lambda s: {"log": ["a"], "x": s.get("x", 0) + 1},
        "b": says("b"),
        "c": lambda s: {"log": ["c"], "q": interrupt("q?")},
        "d": says("d"),
    }
    edges = [(START, "a"), (START, "b"), (["a", "b"], "c"), ("c", "d")]
    return graph(State, nodes, edges)


def _rejoined() -> Any:
    """The join runs beside one that it has waited for, and writes where that does."""

    class Shared(TypedDict, total=False):
        any: Annotated[Any, AnyValue(Any)]
        log: Annotated[list[Any], operator.add]

    def writes(name: str) -> Any:
        return lambda s: {"any": name}

    nodes = {"a": lambda s: {}, "b": writes("b"), "c": writes("c")}
    edges = [(START, "a"), (START, "b"), ("a", "b"), (["a", "b"], "c")]
    return graph(Shared, nodes, edges)


async def _asked_twice(place: Place) -> None:
    for number in range(2):
        await place.graph.ainvoke({"log": [str(number)], "x": 5}, place.head())
        await place.graph.ainvoke(Command(resume="yes"), place.head())


async def _asked_and_left(place: Place) -> None:
    await _asked_twice(place)
    await place.graph.ainvoke({"log": ["again"]}, place.head())


async def _travelled(place: Place) -> None:
    await _asked_twice(place)
    old = await place.id_of(step=0)
    await place.graph.ainvoke(None, place.at(old))
    await place.graph.ainvoke(Command(resume="elsewhere"), place.head())
    await place.graph.ainvoke({"log": ["branch"]}, place.at(old))


async def _updated(place: Place) -> None:
    await _travelled(place)
    old = await place.id_of(step=0)
    await place.graph.aupdate_state(place.head(), None, as_node=END)
    await place.graph.aupdate_state(place.at(old), {"x": 77}, as_node="b")
    await place.graph.aupdate_state(place.at(old), None, as_node="__copy__")
    await place.graph.aupdate_state(place.at(old), {"x": 79})
    await place.graph.ainvoke(None, place.head())


def _commanded() -> Any:
    def a(state: Any) -> Any:
        return Command(update={"log": ["a"]}, goto="b" if len(state["log"]) % 2 else ["b", "c"])

    def b(state: Any) -> Any:
        sent = [Send("w", {"i": i}) for i in range(3)]
        return Command(update=[("log", ["b1"]), ("log", ["b2"])], goto=sent)

    nodes = {
        "a": (a, {"destinations": ("b", "c")}),
        "b": (b, {"destinations": ("w",)}),
        "c": says("c"),
        "w": lambda s: {"log": [s["i"]]},
    }
    return graph(State, nodes, [(START, "a"), ("w", "c")])


def _fanned_out() -> Any:
    nodes = {"a": says("a"), "w": lambda s: {"log": [s["i"]]}, "c": says("c")}
    sends = lambda s: [Send("w", {"i": i}) for i in range(4)]  # noqa: E731
    return graph(State, nodes, [(START, "a"), ("w", "c")], (("a", sends),))


def _asking() -> Any:
    nodes = {"a": says("a"), "c": asks("?", "??"), "e": says("e")}
    return graph(State, nodes, [(START, "a"), ("a", "c"), ("c", "e")])


async def _answered_by_input(place: Place) -> None:
    await place.graph.ainvoke({"log": ["1"]}, place.head())
    await place.graph.ainvoke({"log": ["2"]}, place.head())
    await place.graph.ainvoke(Command(resume="r"), place.head())


def _half() -> Any:
    nodes = {"a": says("a"), "c": asks("?"), "e": says("e")}
    return graph(State, nodes, [(START, "a"), (START, "c"), ("c", "e")])


def _deferred() -> Any:
    nodes = {"a": says("a"), "b": says("b"), "b2": says("b2"), "z": (says("z"), {"defer": True})}
    return graph(State, nodes, [(START, "a"), (START, "b"), ("b", "b2"), ("a", "z"), ("b2", "z")])


def _deferred_join() -> Any:
    nodes = {"a": says("a"), "b": says("b"), "v": says("v"), "j": (says("j"), {"defer": True})}
    return graph(State, nodes, [(START, "a"), (START, "b"), ("a", "v"), (["a", "b"], "j")])


def _looped_join() -> Any:
    nodes = {
        "a": says("a"),
        "b": says("b"),
        "b2": says("b2"),
        "j": lambda s: {"log": ["j"], "x": s.get("x", 0) + 1},
        "k": says("k"),
    }
    edges = [(START, "a"), (START, "b"), ("b", "b2"), (["a", "b2"], "j")]
    again = lambda s: ["a", "b"] if s["x"] < 2 else ["k"]  # noqa: E731
    return graph(State, nodes, edges, (("j", again),))


async def _looped(place: Place) -> None:
    for word in ("i", "j"):
        await place.graph.ainvoke({"log": [word], "x": 0}, place.head())
    await place.graph.ainvoke({"log": ["k"], "x": 0}, place.head(), interrupt_before=["j"])
    await place.graph.ainvoke({"log": ["over"], "x": 0}, place.head())


def _two_joins() -> Any:
    nodes = {name: says(name) for name in ("a", "b", "v", "j1", "j2")}
    edges = [(START, "a"), (START, "b"), ("a", "v"), (["a", "b"], "j1"), (["a", "b"], "j2")]
    return graph(State, nodes, edges)


def _joined_sends() -> Any:
    nodes = {"a": says("a"), "w": lambda s: {"log": [s["i"]]}, "b": says("b"), "j": says("j")}
    sends = lambda s: [Send("w", {"i": i}) for i in range(3)]  # noqa: E731
    return graph(State, nodes, [(START, "a"), (START, "b"), (["w", "b"], "j")], (("a", sends),))


def _talking() -> Any:
    def call(state: Any) -> Any:
        calls = [{"name": "t", "args": {"x": 1}, "id": "c1"}]
        return {
            "messages": [
                AIMessage("hi", tool_calls=calls),
                ToolMessage("res", tool_call_id="c1", artifact={"z": 1}),
            ]
        }

    def edit(state: Any) -> Any:
        first, *_, last = state["messages"]
        return {
            "messages": [
                RemoveMessage(id=first.id),
                SystemMessage("edited", id=last.id),
                HumanMessage(
                    [{"type": "text", "text": "x"}], name="bob", additional_kwargs={"k": 1}
                ),
            ]
        }

    def chunks(state: Any) -> Any:
        return {
            "messages": [AIMessageChunk(content="chunk"), FunctionMessage(content="f", name="q")]
        }

    def shorten(state: Any) -> Any:
        kept = state["messages"][-2:]
        return {"messages": [RemoveMessage(id="__remove_all__"), *kept, HumanMessage("new")]}

    nodes: dict[str, Any] = {
        "call": call,
        "edit": edit,
        "dict": lambda s: {"messages": {"role": "user", "content": "plain"}},
        "pair": lambda s: {"messages": ("ai", "pair")},
        "text": lambda s: {"messages": "text"},
        "chunks": chunks,
        "shorten": shorten,
    }
    names = [START, *nodes]
    return graph(Messages, nodes, list(pairwise(names)))


async def _talked(place: Place) -> None:
    await place.graph.ainvoke({"messages": [("user", "hello")]}, place.head())
    await place.graph.ainvoke({"messages": [{"role": "user", "content": "again"}]}, place.head())
    state = await place.graph.aget_state(place.head())
    first = state.values["messages"][0]
    await place.graph.aupdate_state(place.head(), {"messages": [HumanMessage("x", id=first.id)]})
    old = await place.id_of(step=4)
    state = await place.graph.aget_state(place.at(old))
    edited = HumanMessage("edited there", id=state.values["messages"][0].id)
    await place.graph.aupdate_state(place.at(old), {"messages": [edited]})
    await place.graph.ainvoke(None, place.head())


def _counting() -> Any:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    nodes = {"a": lambda s: {"messages": [AIMessage("u", usage_metadata=usage)]}}
    return graph(Messages, nodes, [(START, "a")])


def _reduced() -> Any:
    class Reduced(TypedDict):
        x: int
        s: Annotated[set[Any], operator.or_]
        d: Annotated[dict[str, Any], operator.or_]
        top: Annotated[list[Any], lambda a, b: (a or [])[-2:] + b]
        most: Annotated[int, lambda a, b: max(a, b)]

    nodes = {
        "a": lambda s: {"s": {1, 2}, "d": {"a": len(s.get("d", {}))}, "top": [s["most"]]},
        "b": lambda s: {"s": {3}, "d": {"b": 1}, "most": len(s["top"]), "top": ["b"]},
    }
    return graph(Reduced, nodes, [(START, "a"), ("a", "b")])


def _channels() -> Any:
    class Channels(TypedDict, total=False):
        x: int
        topic: Annotated[list[Any], Topic(str)]
        gathered: Annotated[list[Any], Topic(str, accumulate=True)]
        brief: Annotated[str, EphemeralValue(str)]
        untracked: Annotated[str, UntrackedValue(str)]
        any: Annotated[str, AnyValue(str)]

    nodes = {
        "a": lambda s: {
            "topic": ["t1", "t2"],
            "gathered": "one",
            "brief": "e",
            "untracked": "u",
            "any": "v",
        },
        "b": lambda s: {"gathered": ["two"]},
        "c": lambda s: {"any": "z"},
    }
    return graph(Channels, nodes, [(START, "a"), ("a", "b"), ("b", "c")])


def _folded(held: list[Any], writes: Any) -> list[Any]:
    return [*held, *(item for write in writes for item in write)]


def _delta() -> Any:
    class Delta(TypedDict):
        x: int
        log: Annotated[list[Any], DeltaChannel(_folded, snapshot_frequency=3)]

    nodes = {
        "a": lambda s: {"log": ["a", len(s["log"])]},
        "b": says("b"),
        "c": says("c"),
        "j": says("j"),
    }
    edges = [(START, "a"), ("a", "b"), ("a", "c"), (["b", "c"], "j")]
    return graph(Delta, nodes, edges)


def _sending_in_two_ways() -> Any:
    """By a command first, and later by an edge; what is done depends on the state."""

    def b(state: Any) -> Any:
        if len(state["log"]) > 1:
            return {"log": ["b"]}
        return Command(update={"log": ["b"]}, goto=[Send("w", {"i": i}) for i in range(2)])

    def sends(state: Any) -> Any:
        return [Send("w", {"i": i}) for i in range(3)] if len(state["log"]) > 4 else []

    nodes = {"b": (b, {"destinations": ("w",)}), "w": lambda s: {"log": [s["i"]]}}
    return graph(State, nodes, [(START, "b")], (("b", sends),))


def _overwriting() -> Any:
    """Messages, and other lists, that are put in place of all that were there."""

    class Both(TypedDict, total=False):
        messages: Annotated[list[Any], add_messages]
        log: Annotated[list[Any], operator.add]

    def b(state: Any) -> Any:
        kept = [HumanMessage("sum", id="s"), AIMessage("b", id="b")]
        return {"messages": Overwrite(kept), "log": Overwrite(["over"])}

    nodes = {
        "a": lambda s: {"messages": [AIMessage("a")], "log": ["a"]},
        "b": b,
        "c": lambda s: {"messages": Overwrite([]), "log": ["c"]},
    }
    return graph(Both, nodes, [(START, "a"), ("a", "b"), ("b", "c")])


def _parted() -> Any:
    """A node that answers with several updates and a command that leads to a node and a task."""

    def a(state: Any) -> Any:
        goto = [Send("b", {"log": ["sent"], "x": 5}), "c"]
        return [{"log": ["x"]}, {"log": ["y"]}, Command(update={"log": ["z"]}, goto=goto)]

    def c(state: Any) -> Any:
        return {"log": Overwrite(["reset"])} if state.get("x") == 1 else {"log": ["c"]}

    nodes = {
        "a": (a, {"destinations": ("b", "c")}),
        "b": lambda s: {"log": [f"b{s.get('x')}{len(s['log'])}"]},
        "c": c,
        "d": lambda s: Command(update=[("log", ["p"]), ("log", ["q"]), ("x", 4)]),
    }
    return graph(State, nodes, [(START, "a"), ("c", "d")])


async def _parted_turns(place: Place) -> None:
    await place.graph.ainvoke({"log": ["s"]}, place.head())
    await place.graph.ainvoke({"x": 1, "log": ["t"]}, place.head())
    await place.graph.ainvoke({"x": 2}, place.head())


def _root() -> Any:
    nodes = {"a": lambda s: ["a"], "b": lambda s: ["b", len(s)]}
    return graph(Annotated[list[Any], operator.add], nodes, [(START, "a"), ("a", "b")])


def _failing() -> Any:
    count = {"b": 0}

    def b(state: Any) -> Any:
        count["b"] += 1
        if count["b"] % 2:
            raise ValueError("boom")
        return {"log": ["b"]}

    nodes = {"a": says("a"), "b": b, "p": says("p")}
    return graph(State, nodes, [(START, "a"), ("a", "b"), ("a", "p")])


async def _failed(place: Place) -> None:
    for number in range(3):
        try:
            await place.graph.ainvoke({"log": [number]}, place.head())
        except ValueError:
            if number == 0:
                await place.graph.ainvoke(None, place.head())


def _run_by_command() -> Any:
    def c(state: Any) -> Any:
        return {"log": [interrupt("q")] if "ask" in state["log"] else ["c"]}

    nodes = {"a": says("a"), "b": lambda s: {"log": [f"b{len(s['log'])}"]}, "c": c}
    return graph(State, nodes, [(START, "a"), ("a", "b"), ("b", "c")])


async def _commands(place: Place) -> None:
    await place.graph.ainvoke({"log": ["i"]}, place.head())
    runs: list[Any] = [
        Command(update={"log": ["by command"], "x": 4}, goto="a"),
        Command(update={"log": ["sent"]}, goto=[Send("b", {"log": ["s"]})]),
        {"log": ["ask"]},
        Command(resume="r", update={"log": ["u"]}),
        Command(goto="b"),
    ]
    for run in runs:
        await place.graph.ainvoke(run, place.head())


async def _edited_between(place: Place) -> None:
    await place.graph.ainvoke({"log": ["i"]}, place.head())
    await place.graph.aupdate_state(place.head(), {"log": ["edited"], "x": 1})
    await place.graph.ainvoke(None, place.head())
    await place.graph.ainvoke({"log": ["j"]}, place.head())
    await place.graph.aupdate_state(place.head(), {"log": ["as b"]}, as_node="b")
    await place.graph.ainvoke(None, place.head())
    for number, node in enumerate(("a", "n", "__start__")):
        await place.graph.aupdate_state(place.head(), {"x": number}, as_node=node)


def _parallel() -> Any:
    nodes = {"a": says("a"), "b": says("b"), "c": says("c")}
    return graph(State, nodes, [(START, "a"), (START, "b"), ("a", "c"), ("b", "c")])


async def _bulk(place: Place) -> None:
    await place.graph.ainvoke({"log": ["i"]}, place.head())
    steps = [
        [StateUpdate({"log": ["u1"]}, "a"), StateUpdate({"log": ["u2"]}, "b")],
        [StateUpdate({"log": ["v1"], "x": 3}, "b"), StateUpdate({"log": ["v2"]}, "b")],
    ]
    await place.graph.abulk_update_state(place.head(), steps)
    old = await place.id_of(step=1)
    both: Any = [[{"log": ["cc"]}, "a"], [{"log": ["cd"]}, "b"]]
    await place.graph.aupdate_state(place.at(old), both, as_node="__copy__")
    await place.graph.aupdate_state(place.at(old), {"log": ["plain"]}, as_node="c")
    await place.graph.ainvoke(None, place.head())


def _nested() -> Any:
    inner = graph(State, {"s1": says("s1"), "s2": asks("sub")}, [(START, "s1"), ("s1", "s2")])
    nodes = {"a": says("a"), "sub": inner.compile(), "z": says("z")}
    return graph(State, nodes, [(START, "a"), ("a", "sub"), ("sub", "z")])


def _parent_command() -> Any:
    up = lambda s: Command(graph=Command.PARENT, update={"log": ["up"]}, goto="z")  # noqa: E731
    inner = graph(State, {"s1": up}, [(START, "s1")])
    nodes = {"a": says("a"), "sub": (inner.compile(), {"destinations": ("z",)}), "z": says("z")}
    return graph(State, nodes, [(START, "a"), ("a", "sub")])


def _cached() -> Any:
    policy = CachePolicy(key_func=lambda *_: b"k")
    nodes = {"a": (says("a"), {"cache_policy": policy}), "b": says("b")}
    return graph(State, nodes, [(START, "a"), (START, "b")])


def _many_questions() -> Any:
    nodes = {"a": asks("a"), "b": asks("b", "b2"), "d": says("d"), "c": says("c")}
    return graph(State, nodes, [(START, "a"), (START, "b"), (START, "d"), ("a", "c"), ("b", "c")])


async def _answered_one_by_one(place: Place) -> None:
    for _ in range(2):
        await place.graph.ainvoke({"log": ["i"]}, place.head())
        for count in (1, 2):
            waiting = (await place.graph.aget_state(place.head())).interrupts
            answers = {item.id: "yes" for item in waiting[:count]}
            await place.graph.ainvoke(Command(resume=answers), place.head())


def _asking_sends(by_edge: bool) -> Builder:
    def w(state: Any) -> Any:
        return {"log": [interrupt(state["i"]) if state["i"] == 2 else state["i"]]}

    sends: Any = lambda s: [Send("w", {"i": i}) for i in range(3)]  # noqa: E731

    def build() -> Any:
        if by_edge:
            nodes: dict[str, Any] = {"a": says("a"), "w": w, "c": says("c")}
            return graph(State, nodes, [(START, "a"), ("w", "c")], (("a", sends),))
        command: Any = lambda s: Command(update={"log": ["a"]}, goto=sends(s))  # noqa: E731
        nodes = {"a": (command, {"destinations": ("w",)}), "w": w, "c": says("c")}
        return graph(State, nodes, [(START, "a"), ("w", "c")])

    return build


def _plain_messages() -> Any:
    class Plain(TypedDict, total=False):
        kept: list[Any]
        added: Annotated[list[Any], operator.add]
        x: int

    nodes = {
        "a": lambda s: {"kept": [AIMessage("a", id="1")], "added": [AIMessage("q", id="2")]},
        "b": lambda s: {
            "kept": [*s["kept"], HumanMessage("b", id="3")],
            "added": [HumanMessage("no id")],
        },
    }
    return graph(Plain, nodes, [(START, "a"), ("a", "b")])


def _sets_x(value: Any) -> Callable[[Any], Any]:
    return lambda state: {"x": value}


def _tricky() -> Any:
    class Tricky(TypedDict, total=False):
        x: Any
        log: Annotated[list[Any], operator.add]

    values: dict[str, Any] = {
        "writes": {"$writes": [1, 2]},
        "no writes": {"$writes": 5},
        "writes and more": {"$writes": [1], "more": 2},
        "remove": {"type": "remove", "id": "1", "content": ""},
        "text": "é\u2028\x00 💥",
        "numbers": [["user", "hi"], 1e300, float("nan"), 2**53, -0.0],
        "null": None,
        "bytes": b"bytes",
        "deep": [[[[{}]]]],
    }
    nodes: dict[str, Any] = {name: _sets_x(value) for name, value in values.items()}
    nodes["odd"] = lambda s: {"log": [None, {"__overwrite__": 1}]}
    nodes["nothing"] = lambda s: {}
    names = [START, *nodes]
    return graph(Tricky, nodes, list(pairwise(names)))


class _Functional:
    """A graph made of functions."""

    def compile(self, checkpointer: Any, **options: Any) -> Any:
        @task
        async def double(number: int) -> int:
            return number * 2

        @entrypoint(checkpointer=checkpointer)
        async def flow(given: dict[str, int], *, previous: Any = None) -> dict[str, Any]:
            return {"a": await double(given["n"]), "before": previous}

        return flow


CUT = "what an input dropped"
FORK = "what copies hang from"
SENT = "the input"
PLAIN = "messages"
STEPS = "steps"

CASES = (
    Case("line", _line, turns(3)),
    Case("join", _joined, _asked_twice),
    Case("join that waits", _joined, _asked_and_left),
    Case("time travel", _joined, _travelled, (CUT, FORK)),
    Case("updates and copies", _joined, _updated, (CUT, FORK)),
    Case("commands", _commanded, turns(3)),
    Case("sends", _fanned_out, turns(3)),
    Case("input upon a question", _asking, _answered_by_input, (CUT,)),
    Case("finished beside a question", _half, turns(1)),
    Case("input upon half a step", _half, _answered_by_input, (CUT,)),
    Case("deferred", _deferred, turns(3)),
    Case("deferred join", _deferred_join, turns(3)),
    Case("join in a loop", _looped_join, _looped, (CUT,)),
    Case("join beside what it waited for", _rejoined, turns(1, {"any": "in"})),
    Case("two joins at once", _two_joins, turns(3)),
    Case("join of sends", _joined_sends, turns(3)),
    Case("messages", _talking, _talked),
    Case("usage", _counting, turns(2, {"messages": "hi"}), ("usage_metadata",)),
    Case("reducers", _reduced, turns(3, {"x": 1}), (STEPS,)),
    Case("channels", _channels, turns(3, {"x": 1})),
    Case("delta", _delta, turns(3, {"x": 1})),
    Case("root", _root, turns(3, ["in"])),
    Case("errors", _failing, _failed, (CUT,)),
    Case("runs by command", _run_by_command, _commands),
    Case("edits between", _line, _edited_between, options={"interrupt_before": ["b"]}),
    Case("bulk updates", _parallel, _bulk),
    Case("subgraph", _nested, _asked_twice),
    Case("command to the parent", _parent_command, turns(2)),
    Case("cache", _cached, turns(3), options={"cache": InMemoryCache()}),
    Case("several questions", _many_questions, _answered_one_by_one, (CUT,)),
    Case("sends by edge that ask", _asking_sends(True), turns(1)),
    Case("sends by command that ask", _asking_sends(False), turns(1), (SENT,)),
    Case("messages without reducer", _plain_messages, turns(3, {"x": 1}), (PLAIN,)),
    Case("several updates and a command", _parted, _parted_turns),
    Case("sends in two ways", _sending_in_two_ways, turns(3)),
    Case("overwriting", _overwriting, turns(2, {"messages": "hi", "log": ["in"]})),
    Case("tricky values", _tricky, turns(2, {"log": ["in"]})),
    Case("functions", _Functional, turns(3, {"n": 1})),
)
