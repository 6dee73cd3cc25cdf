"""Random graphs and random histories of them keep their names, and all that these are made of."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from lgx import Checkpoint
from lgx_plugins.checkpointers.rebuilding.rows import ThreadRows
from lgx_plugins.checkpointers.rebuilding.target import GraphTarget
from lgx_plugins.replay import Memory, replay_thread

from .places import CUT, THREAD, GraphPlan, Move, Place, act, all_moves, build, graph_plans

_SHORT = settings(max_examples=25, suppress_health_check=list(HealthCheck))
_LONG = settings(max_examples=1500, suppress_health_check=list(HealthCheck))


@_SHORT
@given(graph_plans(), all_moves)
def test_names_are_kept(plan: GraphPlan, moves: list[Move]) -> None:
    """Ids, parents, times and metadata of every checkpoint; and the ids of the tasks that are
    due, which are made of them, where no input dropped any."""
    asyncio.run(_rebuild(plan, moves))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@_LONG
@given(graph_plans(), all_moves)
def test_names_are_kept_at_length(plan: GraphPlan, moves: list[Move]) -> None:
    """The same."""
    asyncio.run(_rebuild(plan, moves))


async def _rebuild(plan: GraphPlan, moves: list[Move]) -> None:
    source = Place(build(plan))
    try:
        for move in moves:
            await act(plan, source, move)
        wanted = await source.states()
    except Exception:
        assume(condition=False)
    assume(wanted)
    with closing(ThreadRows()) as rows:
        target = GraphTarget(build(plan).compile(), THREAD, rows, keep=True)

        outcome = await replay_thread(await source.export(), target, Memory().of("g"))

        assert target.kept
        if not outcome.exact:
            return
        rebuilt = [record async for record in target.history()]
    cut = any(loss.what.startswith(CUT) for loss in outcome.losses)
    assert [_named(record) for record in rebuilt] == [_named(record) for record in wanted]
    for ours, theirs in zip(wanted, rebuilt, strict=True):
        if not cut or _json(ours.metadata)["source"] not in ("input", "fork"):
            assert _tasks(theirs) == _tasks(ours)


def _named(record: Checkpoint) -> Any:
    counters = "counters_since_delta_snapshot"  # of the snapshots that were made
    metadata = {k: v for k, v in _json(record.metadata).items() if k != counters}
    return record.checkpoint_id, record.parent_checkpoint_id, record.created_at, metadata


def _tasks(record: Checkpoint) -> Any:
    return sorted((task["id"], task["name"]) for task in _json(record.tasks))


def _json(text: Any) -> Any:
    return json.loads(bytes(text))
