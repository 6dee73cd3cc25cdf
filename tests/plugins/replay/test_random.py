"""Random graphs and random histories of them are rebuilt as they were."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from langgraph.types import Command

from lgx import Checkpoint
from lgx_plugins.replay import Memory, Outcome, replay_thread

from .local import THREAD, LocalTarget, Place
from .random_graphs import GraphPlan, Move, act, all_moves, build, graph_plans, runs, value_of
from .zoo import CUT

_SHORT = settings(max_examples=40, suppress_health_check=list(HealthCheck))
_LONG = settings(max_examples=3000, suppress_health_check=list(HealthCheck))


@_SHORT
@given(graph_plans(plain=True), runs)
def test_what_runs_have_made_is_rebuilt(plan: GraphPlan, moves: list[Move]) -> None:
    """Runs, answers to questions, runs from old checkpoints, copies: nothing differs but what
    is excused by name."""
    asyncio.run(_rebuild(plan, moves, exactly=True))


@_SHORT
@given(graph_plans(), all_moves)
def test_nothing_differs_in_silence(plan: GraphPlan, moves: list[Move]) -> None:
    """Users' updates too, as any node and of any checkpoint: no history tells under which node
    they were made, so that some lead elsewhere. What differs is told."""
    asyncio.run(_rebuild(plan, moves, exactly=False))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_LONG
@given(graph_plans(plain=True), runs)
def test_what_many_runs_have_made_is_rebuilt(plan: GraphPlan, moves: list[Move]) -> None:
    """The first of these, at length."""
    asyncio.run(_rebuild(plan, moves, exactly=True))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_LONG
@given(graph_plans(), all_moves)
def test_nothing_differs_in_silence_at_length(plan: GraphPlan, moves: list[Move]) -> None:
    """The second, at length."""
    asyncio.run(_rebuild(plan, moves, exactly=False))


@_SHORT
@given(graph_plans(plain=True), runs)
def test_what_was_rebuilt_goes_on_as_its_source(plan: GraphPlan, moves: list[Move]) -> None:
    """Run without an input, answered, and given another: both come to the same state."""
    asyncio.run(_go_on(plan, moves))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_LONG
@given(graph_plans(), all_moves)
def test_what_was_rebuilt_goes_on_at_length(plan: GraphPlan, moves: list[Move]) -> None:
    """The same, of users' updates too."""
    asyncio.run(_go_on(plan, moves))


async def _go_on(plan: GraphPlan, moves: list[Move]) -> None:
    assume("untracked" not in plan.channels)  # no history has what these hold
    source, there = (Place(build(plan), barriers=plan.barriers) for _ in range(2))
    try:
        for move in moves:
            await act(plan, source, move)
        wanted = await source.states()
    except Exception:
        assume(condition=False)
    assume(wanted)
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assume(outcome.exact and not outcome.losses)
    ends = [await _ends(plan, *pair) for pair in ((source, THREAD), (there, target.thread_id))]
    assert ends[0] == ends[1]


async def _ends(plan: GraphPlan, place: Place, thread_id: str) -> list[Any]:
    """What a thread comes to, run after run; questions are asked anew before each answer."""
    head = {**place.head(thread_id), "recursion_limit": 14}
    ends: list[Any] = []
    for kind in ("nothing", "answers", "nothing", "input", "nothing", "answers"):
        state = await place.graph.aget_state(place.head(thread_id))
        given: Any = None
        if kind == "answers":
            answers = {question.id: "yes" for question in state.interrupts}
            given = Command(resume=answers or "yes")
        elif kind == "input":
            given = value_of(plan, dict(state.values))
        try:
            await place.graph.ainvoke(given, head)
        except Exception as error:
            ends.append(type(error).__name__)
        state = await place.graph.aget_state(place.head(thread_id))
        ends.append((_without_ids(state.values), sorted(state.next)))
    return ends


def _without_ids(values: dict[str, Any]) -> dict[str, Any]:
    """Those of new messages are anybody's guess."""
    if "messages" not in values:
        return values
    said = [(message.type, message.content) for message in values["messages"]]
    return {**values, "messages": said}


async def _rebuild(plan: GraphPlan, moves: list[Move], *, exactly: bool) -> None:
    source = Place(build(plan), barriers=plan.barriers)
    try:
        for move in moves:
            await act(plan, source, move)
        wanted, due = await source.states(), await source.due()
    except Exception:
        assume(condition=False)
    assume(wanted)
    there = Place(build(plan), barriers=plan.barriers)
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.exact is not any(loss.holdable for loss in outcome.losses)
    if exactly:
        assert outcome.exact
    if not outcome.exact:
        return
    rebuilt = await there.states(target.thread_id)
    assert [_said(record, outcome) for record in rebuilt] == [
        _said(record, outcome) for record in wanted
    ]
    if exactly and not _drops(wanted[0], outcome):
        assert [name for name, _ in await there.due(target.thread_id)] == [name for name, _ in due]


def _said(record: Checkpoint, outcome: Outcome) -> Any:
    """What a checkpoint says of itself, with what a rebuilt one says of a loop."""
    metadata = _json(record.metadata)
    source = {"loop": "update"}.get(metadata["source"], metadata["source"])
    if _drops(record, outcome):
        return metadata["step"], source
    return metadata["step"], source, _json(record.values), sorted(_json(record.next))


def _drops(record: Checkpoint, outcome: Outcome) -> bool:
    """Whether it is an input, or its copy, of a thread some of whose inputs are excused."""
    excused = any(loss.what.startswith(CUT) for loss in outcome.losses)
    return excused and _json(record.metadata)["source"] in ("input", "fork")


def _json(text: Any) -> Any:
    return json.loads(bytes(text))
