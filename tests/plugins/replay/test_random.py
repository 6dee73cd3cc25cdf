"""Random graphs and random histories of them are rebuilt as they were."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from lgx import Checkpoint
from lgx_plugins.replay import Memory, Outcome, replay_thread

from .local import LocalTarget, Place
from .random_graphs import GraphPlan, Move, act, all_moves, build, graph_plans, runs
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
