"""What a state is declared to hold is what the copy holds, where JSON tells enough."""

from __future__ import annotations

import json
import operator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any
from uuid import UUID

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import START, StateGraph
from pydantic import BaseModel
from typing_extensions import TypedDict

from .places import THREAD, Place


class Trip(BaseModel):
    city: str
    days: int = 1


@dataclass
class Price:
    amount: float
    notes: list[str]


class Declared(TypedDict, total=False):
    trip: Trip
    trips: Annotated[list[Trip], operator.add]
    price: Price | None
    sources: Annotated[list[Document], operator.add]
    said: list[AnyMessage]
    key: UUID
    data: bytes
    plain: dict[str, Any]


VALUES: dict[str, Any] = {
    "trip": Trip(city="Oslo"),
    "trips": [Trip(city="Bergen", days=2)],
    "price": Price(2.5, ["a"]),
    "sources": [Document("a page", metadata={"at": 1})],
    "said": [AIMessage("hello", id="m")],
    "key": UUID(int=5),
    "plain": {"city": "Oslo", "days": 1},
}


def _builder() -> Any:
    made = StateGraph(Declared)
    made.add_node("a", lambda state: VALUES)
    made.add_node("b", lambda state: {"trips": [Trip(city="Bodø")], "data": b"\xff"})
    made.add_edge(START, "a")
    made.add_edge("a", "b")
    return made


async def test_objects_are_objects_again(
    app: ModuleType, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """Models, dataclasses, documents, messages and ids, alone and in lists. What JSON does not
    tell stays as it is told; what looks like an object and is declared as data stays data."""
    source = Place(_builder())
    await source.graph.ainvoke({}, source.head())
    app.declared = _builder().compile()  # type: ignore[attr-defined]

    report = await bring(await write((source, [THREAD])), named("declared"))

    assert (report.losses, report.exit_code) == ([], 0)
    async with copy() as saver:
        there = await _builder().compile(checkpointer=saver).aget_state(source.head())
    wanted = (await source.graph.aget_state(source.head())).values
    assert wanted.pop("data") == b"\xff"
    assert there.values.pop("data") == "/w=="
    assert there.values == wanted
    assert there.values["trips"] == [Trip(city="Bergen", days=2), Trip(city="Bodø")]


def _merge(old: list[Any], new: list[Any]) -> list[Any]:
    return [*old, *({**item, "seen": True} for item in new)]


async def test_what_is_declared_wrongly_stays_as_it_was(
    app: ModuleType, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """A reducer that takes data, whatever its annotation says, is given data."""
    schema: Any = TypedDict("schema", {"trips": Annotated[list[Trip], _merge]})

    def builder() -> Any:
        made = StateGraph(schema)
        made.add_node("a", lambda state: {"trips": [{"city": "Oslo", "days": 1}]})
        made.add_edge(START, "a")
        return made

    source = Place(builder())
    await source.graph.ainvoke({"trips": []}, source.head())
    app.wrong = builder().compile()  # type: ignore[attr-defined]

    report = await bring(await write((source, [THREAD])), named("wrong"))

    assert (report.losses, report.fidelity, report.exit_code) == ([], {"replayed": 1}, 0)
    async with copy() as saver:
        there = await builder().compile(checkpointer=saver).aget_state(source.head())
    assert there.values == {"trips": [{"city": "Oslo", "days": 1, "seen": True}]}


class Labelled(TypedDict, total=False):
    labels: Annotated[set[str], operator.or_]
    own: frozenset[str]
    groups: dict[str, set[int]]
    order: list[str]


def _labelling() -> Any:
    made = StateGraph(Labelled)
    made.add_node("a", lambda state: {"labels": {"x", "y"}, "own": frozenset("abcdef")})
    made.add_node("b", lambda state: {"labels": set("pqrstuv"), "groups": {"g": {9, 1, 5, 33}}})
    made.add_node("c", lambda state: {"labels": {"last"}, "order": ["z", "a", "m"]})
    for before, after in ((START, "a"), ("a", "b"), ("b", "c")):
        made.add_edge(before, after)
    return made


async def test_sets_are_sets_again(
    app: ModuleType, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """Whatever order their members have in JSON: another program has another. What was a list
    keeps its own; a reducer that joins sets goes on."""
    source = Place(_labelling())
    await source.graph.ainvoke({"labels": {"given"}}, source.head())
    app.labelling = _labelling().compile()  # type: ignore[attr-defined]
    exported = await write((source, [THREAD]))
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    for values in (line["values"] for line in lines if line.get("values")):
        for name in {"labels", "own"} & values.keys():
            values[name].sort()
        for members in values.get("groups", {}).values():
            members.sort(reverse=True)
    exported.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    report = await bring(exported, named("labelling"))

    assert (report.losses, report.fidelity, report.exit_code) == ([], {"replayed": 1}, 0)
    async with copy() as saver:
        graph = _labelling().compile(checkpointer=saver)
        there = [state.values async for state in graph.aget_state_history(source.head())]
        wanted = [state.values async for state in source.graph.aget_state_history(source.head())]
        assert there == wanted
        assert {type(there[0][name]) for name in ("labels", "own", "order")} == {
            set,
            frozenset,
            list,
        }
        again = await graph.ainvoke({"labels": {"more"}}, source.head())
    assert "more" in again["labels"]
