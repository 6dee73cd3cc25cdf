"""One thread, written into a target: what is called, what is told, what stands in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.graph import START
from langgraph.types import Command, interrupt

from lgx import Thread, ThreadError, raw
from lgx.testing import make_bundle, make_context
from lgx_plugins.replay import (
    Memory,
    RefusedError,
    Topology,
    compare_thread,
    foresee,
    replay_thread,
)

from .local import THREAD, LocalTarget, Place
from .zoo import CASES, State, graph, says, turns

LINE = [(START, "a"), ("a", "b"), ("b", "c")]


def _line() -> Any:
    return graph(State, {"a": says("a"), "b": says("b"), "c": says("c")}, LINE)


def _case(name: str) -> Any:
    return next(case for case in CASES if case.name == name)


async def _played(name: str) -> tuple[Place, Place]:
    case = _case(name)
    source = Place(case.build(), **case.options)
    await case.play(source)
    return source, Place(case.build(), **case.options)


async def test_a_thread_is_written_read_back_and_left_where_it_is_right() -> None:
    """The plain case costs one body, one reading and nothing else."""
    source, there = await _played("line")
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert target.calls == ["topology", "create", "history"]
    assert (outcome.fidelity, outcome.exact, outcome.losses) == ("replayed", True, ())
    assert (outcome.checkpoints, outcome.attempts, outcome.inserted) == (15, 1, ())
    assert outcome.head == (await there.states(target.thread_id))[0].checkpoint_id


async def test_without_verification_nothing_is_read_back() -> None:
    """The outcome does not say more than is known."""
    source, there = await _played("line")
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"), verify=False)

    assert target.calls == ["topology", "create", "head"]
    assert not outcome.exact
    assert outcome.head == (await there.states(target.thread_id))[0].checkpoint_id


async def test_a_thread_without_checkpoints_is_made_empty() -> None:
    """It is created, and holds nothing."""
    there = Place(_line())
    target = LocalTarget(there)
    bundle = make_bundle(make_context(), [Thread(thread_id=THREAD, metadata=raw({}))])

    outcome = await replay_thread(bundle, target, Memory().of("g"))

    assert target.calls == ["create", "history"]
    assert (outcome.exact, outcome.head, outcome.checkpoints) == (True, None, 0)


async def test_bodies_stay_below_the_bound() -> None:
    """A long thread is created with its first steps and continued with the others."""
    source, there = await _played("line")
    target = LocalTarget(there)
    target.body_bytes = 150

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.exact
    assert target.calls[:2] == ["topology", "create"]
    assert target.calls.count("go_on") > 3
    assert max(target.sizes) <= 150


async def test_no_node_runs() -> None:
    """Replay sends what nodes wrote, and lets none of them write again."""
    ran: list[str] = []

    def build() -> Any:
        def note(name: str) -> Any:
            def body(state: Any) -> Any:
                ran.append(name)
                return {"log": [name]}

            return body

        nodes = {name: note(name) for name in ("a", "b", "c")}
        return graph(State, nodes, [(START, "a"), (START, "b"), (["a", "b"], "c")])

    source = Place(build())
    await turns(3)(source)
    ran.clear()

    outcome = await replay_thread(
        await source.export(), LocalTarget(Place(build())), Memory().of("g")
    )

    assert outcome.exact
    assert ran == []


@pytest.mark.parametrize(
    "name", ["join that waits", "finished beside a question", "sends by edge that ask", "subgraph"]
)
async def test_a_waiting_thread_goes_on_as_it_would_have(name: str) -> None:
    """Resumed in both places, a thread ends in the same state, and so does its next run."""
    source, there = await _played(name)
    target = LocalTarget(there)
    await replay_thread(await source.export(), target, Memory().of("g"))

    ends = []
    for place, thread_id in ((source, THREAD), (there, target.thread_id)):
        await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))
        await place.graph.ainvoke({"log": ["next"]}, place.head(thread_id))
        ends.append(await place.graph.ainvoke(Command(resume="again"), place.head(thread_id)))

    assert ends[0] == ends[1]


async def test_what_finished_beside_a_question_does_not_run_again() -> None:
    """Its results are stored on the target, as they were in the source."""
    ran: list[str] = []

    def build() -> Any:
        def a(state: Any) -> Any:
            ran.append("a")
            return {"log": ["a"]}

        def b(state: Any) -> Any:
            return {"log": [interrupt("b?")]}

        return graph(State, {"a": a, "b": b}, [(START, "a"), (START, "b")])

    source, there = Place(build()), Place(build())
    await turns(1)(source)
    target = LocalTarget(there)
    await replay_thread(await source.export(), target, Memory().of("g"))
    ran.clear()

    state = await there.graph.ainvoke(Command(resume="yes"), there.head(target.thread_id))

    assert state["log"] == ["in0", "a", "yes"]
    assert ran == []


async def test_a_join_has_run_once_it_was_rebuilt() -> None:
    """The next run of the copy does not run it once more, though an update leaves it due."""
    source, there = await _played("two joins at once")
    target = LocalTarget(there)
    await replay_thread(await source.export(), target, Memory().of("g"))

    ends = [
        await place.graph.ainvoke({"log": ["next"]}, place.head(thread_id))
        for place, thread_id in ((source, THREAD), (there, target.thread_id))
    ]

    assert ends[0] == ends[1]


async def test_where_refusals_leave_nothing_behind_it_is_told() -> None:
    """A target that stores nothing of what it refuses gets the states, and the report names
    the nodes that run again."""

    class Forgetful(LocalTarget):
        async def go_on(self, supersteps: Sequence[bytes]) -> None:
            updates = json.loads(supersteps[-1])["updates"]
            if len(updates) > 2 and updates[-1] == updates[-2]:
                raise RefusedError("all or nothing")
            await super().go_on(supersteps)

    source, there = await _played("two joins at once")

    outcome = await replay_thread(await source.export(), Forgetful(there), Memory().of("g"))

    lost = [loss.what for loss in outcome.losses if not loss.holdable]
    assert lost == ["that j1, j2 had run"]


async def test_a_step_that_should_be_refused_and_is_not_is_no_success() -> None:
    """Where a target takes the step that is meant to be refused, the thread is written anew
    without such steps."""

    class Lenient(LocalTarget):
        async def go_on(self, supersteps: Sequence[bytes]) -> None:
            steps = [json.loads(step) for step in supersteps]
            for step in steps:
                if len(step["updates"]) > 2:
                    del step["updates"][-2:]
            await super().go_on([json.dumps(step).encode() for step in steps])

    source, there = await _played("two joins at once")
    target = Lenient(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.checkpoints == len(await source.states())
    assert [loss.what for loss in outcome.losses] == ["that j1, j2 had run"]


async def test_other_errors_pass_through() -> None:
    """What is no refusal is for the caller; nothing is tried again here."""

    class Broken(LocalTarget):
        async def create(self, supersteps: Sequence[bytes]) -> None:
            self.calls.append("create")
            raise ThreadError("the connection was lost")

    source, there = await _played("line")
    target = Broken(there)

    with pytest.raises(ThreadError, match="the connection was lost"):
        await replay_thread(await source.export(), target, Memory().of("g"))
    assert target.calls == ["topology", "create"]


async def test_a_thread_that_is_refused_in_every_way_is_an_error() -> None:
    """The last refusal is raised, and says why."""

    class Closed(LocalTarget):
        async def create(self, supersteps: Sequence[bytes]) -> None:
            raise RefusedError("closed on Sundays")

    source, there = await _played("line")

    with pytest.raises(RefusedError, match="closed on Sundays"):
        await replay_thread(await source.export(), Closed(there), Memory().of("g"))


async def test_a_thread_that_stands_there_is_compared() -> None:
    """An equal one is exact; one that somebody went on with is not, and it is told why."""
    source, there = await _played("line")
    target = LocalTarget(there)
    bundle = await source.export()
    await replay_thread(bundle, target, Memory().of("g"))

    assert (await compare_thread(bundle, target)).exact

    await there.graph.aupdate_state(there.head(target.thread_id), {"x": 9}, as_node="a")
    outcome = await compare_thread(bundle, target)
    assert not outcome.exact
    assert [loss.what for loss in outcome.losses] == ["1 checkpoint"]


async def test_a_state_that_differs_is_told_by_its_channel() -> None:
    """Each channel is named with the number of checkpoints in which it differs."""
    source, there = await _played("line")
    await turns(3, {"log": ["other"], "x": 4})(there)

    outcome = await compare_thread(await source.export(), LocalTarget(there, THREAD))

    assert [loss.what for loss in outcome.losses] == [
        "channel 'log' of 14 checkpoints",
        "channel 'x' of 14 checkpoints",
    ]


async def test_what_will_be_lost_is_foreseen() -> None:
    """Checkpoints of subgraphs are counted before anything is written."""
    case = _case("subgraph")
    source = Place(case.build())
    await case.play(source)
    states = await source.states()
    inner = await source.namespaces()
    thread = Thread(thread_id=THREAD, metadata=raw({}))
    bundle = make_bundle(make_context(), [thread, *reversed(states), *inner])

    losses = list(foresee(bundle))

    assert [(loss.what, loss.checkpoints, loss.holdable) for loss in losses] == [
        (f"{len(inner)} checkpoints of subgraphs", len(inner), False)
    ]


async def test_without_the_graphs_drawing_what_tasks_tell_is_enough() -> None:
    """A target that cannot draw its graph gets every history in which tasks are named."""

    class Undrawn(LocalTarget):
        async def topology(self) -> Topology | None:
            return None

    for name in ("line", "commands", "sends", "messages", "reducers"):
        source, there = await _played(name)
        outcome = await replay_thread(await source.export(), Undrawn(there), Memory().of("g"))
        assert outcome.exact, name
