"""Random graphs and random histories of them are rebuilt as they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from lgx import Checkpoint
from lgx_plugins.replay import Memory, Outcome, replay_thread

from .local import LocalTarget, Place
from .random_graphs import GraphPlan, act, build, graph_plans, moves
from .zoo import CUT

_TOUCHED = ("update", "update as", "bulk", "old update", "clear")
_SHORT = settings(max_examples=60, suppress_health_check=list(HealthCheck))
_LONG = settings(max_examples=4000, suppress_health_check=list(HealthCheck))


@_SHORT
@given(graph_plans(), moves)
def test_random_histories_are_rebuilt(plan: GraphPlan, done: list[tuple[str, int]]) -> None:
    """Whatever is done with a thread, its copy has the same states, numbers and sources in the
    same order, and the same nodes are due, but for what is excused by name."""
    asyncio.run(_rebuild(plan, done))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_LONG
@given(graph_plans(), moves)
def test_many_random_histories_are_rebuilt(plan: GraphPlan, done: list[tuple[str, int]]) -> None:
    """The same, at length."""
    asyncio.run(_rebuild(plan, done))


async def _rebuild(plan: GraphPlan, done: list[tuple[str, int]]) -> None:
    source = Place(build(plan), barriers=plan.barriers)
    try:
        for move in done:
            await act(plan, source, move)
        wanted = await source.states()
    except Exception:
        assume(condition=False)
    assume(wanted)
    there = Place(build(plan), barriers=plan.barriers)
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    rebuilt = await there.states(target.thread_id)
    assert not [loss for loss in outcome.losses if loss.holdable]
    assert outcome.exact
    assert [_numbered(record) for record in rebuilt] == [_numbered(record) for record in wanted]
    _compare_states(wanted, rebuilt, outcome)
    if plan.barriers or not {kind for kind, _ in done}.intersection(_TOUCHED):
        # Where joins are hidden, nothing tells what an update did to them.
        assert _due(rebuilt[0], outcome) == _due(wanted[0], outcome)
        if not _dropping(wanted[0], outcome):
            assert [name for name, _ in await there.due(target.thread_id)] == [
                name for name, _ in await source.due()
            ]


def _numbered(record: Checkpoint) -> tuple[int, str]:
    metadata = _json(record.metadata)
    return metadata["step"], {"loop": "update"}.get(metadata["source"], metadata["source"])


def _compare_states(
    wanted: Sequence[Checkpoint], rebuilt: Sequence[Checkpoint], outcome: Outcome
) -> None:
    for ours, theirs in zip(wanted, rebuilt, strict=True):
        if not _dropping(ours, outcome):
            assert _json(theirs.values) == _json(ours.values)
            assert sorted(_json(theirs.next)) == sorted(_json(ours.next))


def _due(record: Checkpoint, outcome: Outcome) -> list[str]:
    return [] if _dropping(record, outcome) else sorted(_json(record.next))


def _dropping(record: Checkpoint, outcome: Outcome) -> bool:
    """Whether it is an input, or its copy, of a thread some of whose inputs are excused."""
    excused = any(loss.what.startswith(CUT) for loss in outcome.losses)
    return excused and _json(record.metadata)["source"] in ("input", "fork")


def _json(text: Any) -> Any:
    return json.loads(bytes(text))
