"""Graphs of every sort, run on any checkpointer, and what it holds of them afterwards.

    run(saver)                      fills it: subgraphs, forks, interrupts, failures, Send, deltas,
                                    values of every type, ids with every awkward character
    before = held(saver)
    differences(before, held(copy)) must be empty
    resume(copy) == resume(saver)   what was interrupted goes on

All of it is synchronous: call it by `asyncio.to_thread` for an async saver.
"""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel

__all__ = [
    "AWKWARD",
    "Held",
    "Saver",
    "differences",
    "held",
    "put_checkpoint",
    "resume",
    "run",
]

Saver = BaseCheckpointSaver[Any]

Held = dict[tuple[str, str, str], CheckpointTuple]
"""Checkpoints by thread, namespace and id."""

AWKWARD = (
    "a/b//c",
    "../../etc/passwd",
    ".",
    "a\nb\r\t",
    "🎈-Zoë-日本",
    "x" * 300,
    "x" * 299 + "y",
    " padded ",
    "case",
    "CASE",
    "caf\u00e9",
    "cafe\u0301",
    "'; DROP TABLE checkpoints; --\"`$(x)%s{0}",
    "a%2Fb",
    "%_*?[a]",
    "a|b:c",
    "\\x41",
    "\x01\x7f\x80\u2028\ufeff\uffff",
)
"""Thread ids and namespaces that any of the databases can hold (NUL is not among them)."""


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


class Order(BaseModel):
    item: str
    price: Decimal
    when: datetime
    tags: set[str] = set()


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    turns: Annotated[int, operator.add]


class Values(TypedDict, total=False):
    n: int
    text: str
    nothing: None
    yes: bool
    half: float
    raw: bytes
    labels: set[str]
    frozen: frozenset[int]
    price: Decimal
    when: datetime
    day: date
    span: timedelta
    key: uuid.UUID
    path: Path
    array: Any
    order: Order
    point: Point
    colour: Colour
    pair: Any
    by_number: dict[int, str]
    nested: Any
    large: int


class Asked(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]
    n: int


class Spread(TypedDict, total=False):
    done: Annotated[list[str], operator.add]
    jobs: list[str]
    job: str


def _append(state: list[str], writes: Any) -> list[str]:
    return [*state, *(line for write in writes for line in write)]


class Log(TypedDict, total=False):
    log: Annotated[list[str], DeltaChannel(_append, list[str], snapshot_frequency=3)]
    n: int


def _reply(state: Chat) -> dict[str, Any]:
    text = state["messages"][-1].content
    return {"messages": [AIMessage(content=f"you said {text} 🎈")], "turns": 1}


def _fill(state: Values) -> dict[str, Any]:
    n = state["n"]
    return {
        "n": n + 1,
        "text": "Zoë 🎈 \u2028 " + "x" * n,
        "nothing": None,
        "yes": True,
        "half": 0.5,
        "raw": b"\x00\xff" * 40,
        "labels": {"a", "b", "c"},
        "frozen": frozenset({1, 2}),
        "price": Decimal("1.50"),
        "when": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "day": date(2026, 1, 2),
        "span": timedelta(days=1, microseconds=5),
        "key": uuid.UUID(int=7),
        "path": Path("a/b"),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "order": Order(item="tea", price=Decimal("2.25"), when=datetime(2026, 1, 1, tzinfo=UTC)),
        "point": Point(1, 2.5),
        "colour": Colour.RED,
        "pair": ("a", 1),
        "by_number": {1: "one", 2: "two"},
        "nested": {"list": [1, {"deep": [b"x", None, 1.5]}], "empty": {}},
        "large": 2**53 + 1,
    }


def _ask(state: Asked) -> dict[str, Any]:
    first = interrupt({"question": "who?", "n": state.get("n", 0)})
    second = interrupt("how many?")
    return {"answers": [f"{first}:{second}"]}


def _chat(saver: Saver) -> Any:
    graph = StateGraph(Chat)
    graph.add_node("reply", _reply)
    graph.add_edge(START, "reply")
    return graph.compile(checkpointer=saver)


def _values(saver: Saver) -> Any:
    graph = StateGraph(Values)
    graph.add_node("fill", _fill)
    graph.add_edge(START, "fill")
    return graph.compile(checkpointer=saver)


def _asking(saver: Saver | None) -> Any:
    graph = StateGraph(Asked)
    graph.add_node("before", lambda _: {"n": 1})
    graph.add_node("ask", _ask)
    graph.add_edge(START, "before")
    graph.add_edge("before", "ask")
    return graph.compile(checkpointer=saver)


def _nested(saver: Saver) -> Any:
    middle = StateGraph(Asked)
    middle.add_node("inner", _asking(None))
    middle.add_edge(START, "inner")
    outer = StateGraph(Asked)
    outer.add_node("begin", lambda _: {"answers": ["begun"]})
    outer.add_node("child", middle.compile())
    outer.add_edge(START, "begin")
    outer.add_edge("begin", "child")
    return outer.compile(checkpointer=saver)


def _spreading(saver: Saver) -> Any:
    def work(state: Spread) -> dict[str, Any]:
        if state["job"] == "ask":
            return {"done": [interrupt("go on?")]}
        return {"done": [state["job"]]}

    graph = StateGraph(Spread)
    graph.add_node("work", work)
    graph.add_conditional_edges(
        START, lambda state: [Send("work", {"job": job}) for job in state["jobs"]], ["work"]
    )
    return graph.compile(checkpointer=saver)


def _failing(saver: Saver) -> Any:
    def fail(state: Asked) -> dict[str, Any]:
        raise ValueError("out of tea")

    graph = StateGraph(Asked)
    graph.add_node("fail", fail)
    graph.add_node("other", lambda _: {"n": 2})
    graph.add_edge(START, "fail")
    graph.add_edge(START, "other")
    return graph.compile(checkpointer=saver)


def _logging(saver: Saver) -> Any:
    graph = StateGraph(Log)
    graph.add_node("one", lambda state: {"log": [f"line {state['n']}"]})
    graph.add_node("two", lambda state: {"log": [f"and {state['n']}"], "n": state["n"] + 1})
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile(checkpointer=saver)


def _config(thread_id: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id}, "metadata": {"user": "Zoë", "n": 1}}


def run(saver: Saver, *, prefix: str = "") -> None:
    """Runs every graph, each on a thread of its own, whose ids begin with `prefix`."""
    chat = _chat(saver)
    for turn in range(3):
        message = HumanMessage(content=f"hello {turn}", id=f"m{turn}")
        chat.invoke({"messages": [message], "turns": 0}, _config(f"{prefix}chat"))
    for n in range(2):
        _values(saver).invoke({"n": n}, _config(f"{prefix}values"))
    _asking(saver).invoke({"answers": ["first"]}, _config(f"{prefix}interrupted"))
    for answer in (None, "Zoë", 3):
        given: Any = {"answers": []} if answer is None else Command(resume=answer)
        _asking(saver).invoke(given, _config(f"{prefix}answered"))
    _nested(saver).invoke({"answers": []}, _config(f"{prefix}nested"))
    for answer in (None, "Zoë", 3):
        given = {"answers": []} if answer is None else Command(resume=answer)
        _nested(saver).invoke(given, _config(f"{prefix}nested and answered"))
    _spreading(saver).invoke({"jobs": ["a", "ask", "b"]}, _config(f"{prefix}spread"))
    with suppress(ValueError):
        _failing(saver).invoke({"answers": []}, _config(f"{prefix}failed"))
    for n in range(4):
        _logging(saver).invoke({"log": [f"input {n}"], "n": n}, _config(f"{prefix}delta"))
    _fork(saver, f"{prefix}forked")
    for at, name in enumerate(AWKWARD):
        put_checkpoint(saver, prefix + name, AWKWARD[at - 1])


def _fork(saver: Saver, thread_id: str) -> None:
    graph = _chat(saver)
    for turn in range(2):
        message = HumanMessage(content=f"turn {turn}", id=f"t{turn}")
        graph.invoke({"messages": [message], "turns": 0}, _config(thread_id))
    history = list(graph.get_state_history(_config(thread_id)))
    other = HumanMessage(content="otherwise", id="other")
    config = graph.update_state(history[-2].config, {"messages": [other]}, as_node=START)
    graph.invoke(None, config)
    graph.update_state(history[1].config, {"turns": 5}, as_node="reply")


def put_checkpoint(saver: Saver, thread_id: str, namespace: str = "") -> str:
    """One checkpoint with one write, put by hand; its id."""
    checkpoint = empty_checkpoint()
    version = saver.get_next_version(None, None)
    checkpoint["channel_values"] = {"name": thread_id, "in": [namespace]}
    checkpoint["channel_versions"] = {"name": version, "in": version}
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace}}
    saved = saver.put(
        config,
        checkpoint,
        {"source": "input", "step": -1, "parents": {}},
        dict(checkpoint["channel_versions"]),
    )
    saver.put_writes(saved, [("name", thread_id), ("in", b"\x00")], namespace or "task", "~path")
    return checkpoint["id"]


def resume(saver: Saver, *, prefix: str = "") -> dict[str, Any]:
    """Goes on with every thread that can go on; the states that they end in, by thread."""
    answers: Iterable[tuple[str, Callable[[Saver], Any], list[Any]]] = (
        ("chat", _chat, [{"messages": [HumanMessage(content="more", id="more")], "turns": 0}]),
        ("interrupted", _asking, [Command(resume="Ada"), Command(resume=1)]),
        ("nested", _nested, [Command(resume="Ada"), Command(resume=1)]),
        ("spread", _spreading, [Command(resume="yes")]),
        ("delta", _logging, [{"log": ["input again"], "n": 9}]),
        ("forked", _chat, [{"messages": [HumanMessage(content="more", id="more")], "turns": 0}]),
    )
    ends: dict[str, Any] = {}
    for name, build, inputs in answers:
        graph, config = build(saver), _config(prefix + name)
        for given in inputs:
            graph.invoke(given, config)
        state = graph.get_state(config)
        values = dict(state.values)
        if "messages" in values:  # a reply gets an id at random
            values["messages"] = [(m.type, m.content) for m in values["messages"]]
        ends[name] = (values, state.next, state.metadata["step"])
    return ends


def held(saver: Saver) -> Held:
    """Everything in it, by thread, namespace and id."""
    found: Held = {}
    for item in saver.list(None):
        place = item.config["configurable"]
        found[place["thread_id"], place["checkpoint_ns"], place["checkpoint_id"]] = item
    return found


def differences(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[str]:
    """Where two of what `held` gives differ, types included; nothing where they are equal."""
    found: list[str] = []
    _compare("", dict(before), dict(after), found)
    return found


def _compare(where: str, one: Any, other: Any, found: list[str]) -> None:
    if type(one) is not type(other):
        found.append(f"{where}: {type(one).__name__} became {type(other).__name__}")
    elif isinstance(one, dict):
        if one.keys() != other.keys():
            found.append(f"{where}: keys {one.keys() ^ other.keys()}")
        for key in one.keys() & other.keys():
            _compare(f"{where}.{key}", one[key], other[key], found)
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            found.append(f"{where}: {len(one)} items became {len(other)}")
        for at, (left, right) in enumerate(zip(one, other, strict=False)):
            _compare(f"{where}[{at}]", left, right, found)
    elif isinstance(one, np.ndarray):
        if one.dtype != other.dtype or not np.array_equal(one, other):
            found.append(f"{where}: {one!r} became {other!r}")
    elif isinstance(one, _DeltaSnapshot):
        _compare(f"{where}.snapshot", one.value, other.value, found)
    elif is_dataclass(one) and not isinstance(one, type):
        for field in fields(one):
            _compare(
                f"{where}.{field.name}", getattr(one, field.name), getattr(other, field.name), found
            )
    elif one != other:
        found.append(f"{where}: {one!r} became {other!r}")
