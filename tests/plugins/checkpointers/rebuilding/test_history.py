"""What a history becomes: the same one, under the same names, which goes on as it would have."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from langgraph.types import Command

from lgx import Checkpoint

from .places import CASES, CUT, FORK, THREAD, Case, Place

LATER = "answers to earlier questions"
KEPT = {FORK, "usage_metadata"}
"""What servers change, and a graph of one's own does not."""


def _said(record: Checkpoint) -> dict[str, Any]:
    """All that a checkpoint says of itself."""
    tasks = json.loads(bytes(record.tasks))  # type: ignore[arg-type]
    return {
        "id": record.checkpoint_id,
        "parent": record.parent_checkpoint_id,
        "at": record.created_at,
        "metadata": json.loads(bytes(record.metadata)),  # type: ignore[arg-type]
        "values": json.loads(bytes(record.values)),  # type: ignore[arg-type]
        "next": json.loads(bytes(record.next)),  # type: ignore[arg-type]
        "tasks": [
            {key: task[key] for key in ("id", "name", "path", "interrupts", "error")}
            for task in tasks
        ],
    }


def _shown(said: dict[str, Any], told: set[str]) -> dict[str, Any]:
    """Without what is told to be another."""
    counters = "counters_since_delta_snapshot"
    said["metadata"].pop(counters, None)  # of the snapshots that were made
    if CUT in told and said["metadata"]["source"] in ("input", "fork"):
        said |= {"next": [], "tasks": []}
    return said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_history_keeps_its_names_times_and_all(
    case: Case, write: Any, bring_with: Any, copy: Any
) -> None:
    """Ids, parents, times, metadata, values, what is next, tasks with their questions and
    errors: as they were, but for what is told by name."""
    source = Place(case.build(), **case.options)
    await case.play(source)

    report = await bring_with(case, await write((source, [THREAD])))

    told = {loss.what.partition(" of ")[0] for loss in report.losses}
    assert told - {LATER} <= set(case.excused) - KEPT
    assert not [loss for loss in report.losses if loss.holdable]
    assert report.fidelity == {"replayed": 1}
    there = Place(case.build(), **case.options)
    wanted = [_shown(_said(record), told) for record in await source.states()]
    async with copy(json=True) as saver:
        there.view = case.build().compile(checkpointer=saver, **case.options)
        rebuilt = [_shown(_said(record), told) for record in await there.states()]
    if LATER in told:  # of the newest checkpoint, which is the first here
        for ours, theirs in zip(wanted[0]["tasks"], rebuilt[0]["tasks"], strict=True):
            assert theirs["interrupts"] in ([], ours["interrupts"])
            ours["interrupts"] = theirs["interrupts"]
    assert rebuilt == wanted


@pytest.mark.parametrize("size", [1, 2])
async def test_a_waiting_thread_is_answered_where_it_has_come(
    app: ModuleType, size: int, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """With the id that its question has at the source, or by the answer alone. Both end alike,
    and what the copy runs is what the source runs."""
    source = Place(app.built())
    await source.graph.ainvoke({"messages": "tea", "log": [], "size": size}, source.head())
    exported = await write((source, [THREAD]))
    app.RAN.clear()

    report = await bring(exported, named("graph"))

    assert app.RAN == []
    assert (report.losses, report.failures, report.exit_code) == ([], [], 0)
    async with copy() as saver:
        graph = app.built().compile(checkpointer=saver)
        asked = (await graph.aget_state(source.head())).interrupts
        assert asked == (await source.graph.aget_state(source.head())).interrupts
        ends = []
        for one in (source.graph, graph):
            app.RAN.clear()
            await one.ainvoke(Command(resume={asked[0].id: "yes"}), source.head())
            if size == 2:
                await one.ainvoke(Command(resume="indeed"), source.head())
            ends.append(((await one.aget_state(source.head())).values, [*app.RAN]))
    assert ends[0] == ends[1]
    assert ends[0][1] == ["ask", *["ask"] * (size - 1), "close"]


async def test_a_later_question_is_not_put_as_the_first(
    app: ModuleType, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """The answer to the first one is told nowhere: the next run asks it again, and so it is
    told."""
    source = Place(app.built())
    await source.graph.ainvoke({"messages": "tea", "log": [], "size": 2}, source.head())
    await source.graph.ainvoke(Command(resume="yes"), source.head())

    report = await bring(await write((source, [THREAD])), named("graph"))

    assert [(loss.what, loss.holdable) for loss in report.losses] == [
        ("answers to earlier questions of ask", False)
    ]
    async with copy() as saver:
        graph = app.built().compile(checkpointer=saver)
        assert (await graph.aget_state(source.head())).interrupts == ()
        found = await graph.ainvoke(None, source.head())
        assert [one.value for one in found["__interrupt__"]] == [{"question": "first?"}]


async def test_messages_are_messages_with_all_that_they_hold(
    app: ModuleType, write: Any, bring: Any, copy: Any, named: Any
) -> None:
    """What a model counted stays where it was, and nothing of a message is plain data."""
    source = Place(app.built(asks=False))
    await source.graph.ainvoke({"messages": "tea", "log": []}, source.head())

    report = await bring(await write((source, [THREAD])), named("short"))

    assert report.exit_code == 0
    async with copy() as saver:
        tip = await saver.aget_tuple(source.head())
    wanted: Any = await source.saver.aget_tuple(source.head())
    assert tip.checkpoint["channel_values"]["messages"][-1].usage_metadata["total_tokens"] == 8
    assert tip.checkpoint["channel_values"] == wanted.checkpoint["channel_values"]
    assert tip.checkpoint["id"] == wanted.checkpoint["id"]
