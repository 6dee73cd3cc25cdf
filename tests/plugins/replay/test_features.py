"""Each feature of a history is rebuilt exactly, or excused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lgx import Checkpoint
from lgx_plugins.replay import Memory, replay_thread

from .local import LocalTarget, Place
from .zoo import CASES, CUT, Case

BARRIERS = {"as the API tells": False, "with joins told": True}


def _said(record: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says of itself, with what a rebuilt one says of a loop."""
    metadata = json.loads(bytes(record.metadata))  # type: ignore[arg-type]
    source = {"loop": "update"}.get(metadata["source"], metadata["source"])
    return {
        "values": json.loads(bytes(record.values)),  # type: ignore[arg-type]
        "next": sorted(json.loads(bytes(record.next))),  # type: ignore[arg-type]
        "step": metadata["step"],
        "source": source,
    }


@pytest.mark.parametrize("barriers", BARRIERS.values(), ids=BARRIERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_history_is_rebuilt_checkpoint_by_checkpoint(case: Case, barriers: bool) -> None:
    """Values, numbers, sources and order are equal, `next` but for what is excused, and what
    is really due at the end is what was due in the source."""
    source = Place(case.build(), barriers=barriers, **case.options)
    await case.play(source)
    there = Place(case.build(), barriers=barriers, **case.options)
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    wanted = [_said(record) for record in await source.states()]
    rebuilt = [_said(record) for record in await there.states(target.thread_id)]
    if "usage_metadata" in case.excused:
        rebuilt = [_without_usage(item) for item in rebuilt]
        wanted = [_without_usage(item) for item in wanted]
    if CUT in case.excused:
        for ours, theirs in zip(wanted, rebuilt, strict=True):
            if ours["source"] == "input":
                ours["next"] = theirs["next"] = []
    assert rebuilt == wanted
    assert outcome.fidelity == "replayed"
    assert outcome.exact
    assert not [loss for loss in outcome.losses if loss.holdable]
    assert await there.due(target.thread_id) == await source.due()


def _without_usage(said: dict[str, Any]) -> dict[str, Any]:
    for message in said["values"]["messages"]:
        message["usage_metadata"] = None
        message["additional_kwargs"] = {}
    return said


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_no_server_takes_is_told_by_name(case: Case) -> None:
    """The losses that nobody can help name what they are of, and how many checkpoints."""
    source = Place(case.build(), barriers=True, **case.options)
    await case.play(source)
    target = LocalTarget(Place(case.build(), barriers=True, **case.options))

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    named = {loss.what.partition(" of ")[0] for loss in outcome.losses}
    assert named == set(case.excused)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_second_thread_of_a_graph_is_written_once(case: Case) -> None:
    """What the first thread taught of the graph, its second one begins with."""
    source = Place(case.build(), **case.options)
    await case.play(source)
    bundle = await source.export()
    there = Place(case.build(), **case.options)
    memory = Memory()
    await replay_thread(bundle, LocalTarget(there), memory.of("g"))

    outcome = await replay_thread(bundle, LocalTarget(there), memory.of("g"))

    assert outcome.exact
    assert outcome.attempts <= 2
