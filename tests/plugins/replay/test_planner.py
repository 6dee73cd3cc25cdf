"""Plans, read as what a server is sent."""

from __future__ import annotations

import json
from typing import Any

from langgraph.graph import START
from langgraph.types import Command

from lgx_plugins.replay import GraphMemory
from lgx_plugins.replay.actions import Branch
from lgx_plugins.replay.method import Method
from lgx_plugins.replay.outline import outline_of
from lgx_plugins.replay.planner import plan

from .local import LocalTarget, Place
from .zoo import CASES, Messages, State, graph, says, turns


async def _planned(place: Place) -> list[Any]:
    bundle = await place.export()
    memory = GraphMemory(topology=await LocalTarget(place).topology(), drawn=True)
    actions = plan(outline_of(bundle), bundle, Method.first(memory))
    return [
        ("branch", action.parent, json.loads(action.text()))
        if isinstance(action, Branch)
        else json.loads(action.text())["updates"]
        for action in actions
    ]


def _update(node: str, values: Any) -> dict[str, Any]:
    return {"values": values, "as_node": node}


async def test_each_checkpoint_is_what_its_parents_tasks_wrote() -> None:
    """An input goes in twice: once as what came, once as what was taken of it."""
    nodes = {"a": says("a"), "b": says("b"), "c": lambda s: None}
    place = Place(graph(State, nodes, [(START, "a"), (START, "b"), ("a", "c")]))
    await turns(1)(place)

    assert await _planned(place) == [
        [_update("__input__", {"log": ["in0"]})],
        [_update("__start__", {"log": ["in0"]})],
        [_update("a", {"log": ["a"]}), _update("b", {"log": ["b"]})],
        [_update("c", {})],
    ]


async def test_several_writes_to_one_channel_go_as_a_command_that_leads_nowhere() -> None:
    """A dict has room for one write to a channel, and servers refuse commands without `goto`."""

    def twice(state: Any) -> Any:
        return Command(update=[("log", ["a1"]), ("log", ["a2"])])

    place = Place(graph(State, {"a": twice}, [(START, "a")]))
    await turns(1)(place)

    update = [["log", ["a1"]], ["log", ["a2"]]]
    assert (await _planned(place))[2] == [
        {"command": {"update": update, "goto": ["__end__"]}, "as_node": "a"}
    ]


async def test_a_join_is_staged() -> None:
    """Its writes go with two that contradict each other; then what was stored is applied."""
    case = next(case for case in CASES if case.name == "join")
    place = Place(case.build())
    await case.play(place)

    staged, applied = (await _planned(place))[3:5]

    assert staged[0] == _update("c", {"log": {"__overwrite__": ["0", "a", "b", "c"]}, "q": "yes"})
    assert staged[1] == staged[2]
    assert staged[1]["as_node"] != "c"
    assert applied == [_update("__end__", None)]


async def test_messages_go_as_they_stand_afterwards() -> None:
    """With the ids that the reducer gave, and without fields that are empty."""
    nodes = {"a": lambda s: {"messages": [("ai", "hello")]}}
    place = Place(graph(Messages, nodes, [(START, "a")]))
    await turns(1, {"messages": "hi"})(place)
    ids = [
        message.id for message in (await place.graph.aget_state(place.head())).values["messages"]
    ]

    _, asked, answered = await _planned(place)

    human = {"content": "hi", "type": "human", "id": ids[0]}
    ai = {"content": "hello", "type": "ai", "id": ids[1], "tool_calls": []}
    assert asked == [_update("__start__", {"messages": [human]})]
    assert answered == [_update("a", {"messages": [ai]})]


async def test_what_grows_from_an_old_checkpoint_is_a_branch() -> None:
    """An input upon an old checkpoint names its index; what follows goes to the newest."""
    place = Place(graph(State, {"a": says("a")}, [(START, "a")]))
    await turns(1)(place)
    old = await place.id_of(step=0)
    await place.graph.ainvoke({"log": ["there"]}, place.at(old))
    await place.graph.aupdate_state(place.at(old), {"log": ["edited"]}, as_node="a")

    assert (await _planned(place))[3:] == [
        ("branch", 1, _update("__input__", {"log": ["there"]})),
        [_update("__start__", {"log": ["there"]})],
        [_update("a", {"log": ["a"]})],
        ("branch", 1, _update("a", {"log": {"__overwrite__": ["in0", "edited"]}})),
    ]


async def test_a_copy_is_a_copy() -> None:
    """`__copy__` at the checkpoint that was copied, where a run began anew."""
    place = Place(graph(State, {"a": says("a")}, [(START, "a")]))
    await turns(1)(place)
    await place.graph.ainvoke(None, place.at(await place.id_of(step=0)))

    assert (await _planned(place))[3:] == [
        ("branch", 1, _update("__copy__", None)),
        [_update("a", {"log": ["a"]})],
    ]
