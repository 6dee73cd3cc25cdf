"""One thread, written into a target: what is called, what is told, what stands in the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.func import entrypoint
from langgraph.graph import START
from langgraph.types import Command, Send, StateUpdate, interrupt
from msgspec import UNSET, Raw, structs

from lgx import Checkpoint, Thread, ThreadError, raw
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
from .zoo import CASES, Messages, State, graph, says, turns

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


async def test_a_long_thread_goes_in_many_bodies() -> None:
    """However small its steps are: what is not sent yet stands in memory."""
    again = lambda s: "a" if len(s["log"]) < 450 else "__end__"  # noqa: E731
    nodes = {"a": says("a")}
    source, there = (Place(graph(State, nodes, [(START, "a")], (("a", again),))) for _ in range(2))
    await source.graph.ainvoke({"log": ["in"]}, {**source.head(), "recursion_limit": 1000})
    counts: list[int] = []

    class Counting(LocalTarget):
        async def _apply(self, supersteps: Sequence[bytes]) -> None:
            counts.append(len(supersteps))
            await super()._apply(supersteps)

    outcome = await replay_thread(await source.export(), Counting(there), Memory().of("g"))

    assert outcome.exact
    assert counts == [200, 200, 51]


async def test_large_steps_are_not_gathered() -> None:
    """Whatever a target would take at once, a few megabytes are enough."""
    nodes = {"a": lambda s: {"q": "x" * (3 << 20)}}
    source, there = (Place(graph(State, nodes, [(START, "a")])) for _ in range(2))
    await turns(4)(source)
    target = LocalTarget(there)
    target.body_bytes = 64 << 20

    with closing(await source.export()) as bundle:
        outcome = await replay_thread(bundle, target, Memory().of("g"))

    assert outcome.exact
    assert max(target.sizes) < 8 << 20


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


def _leading_beside_a_question() -> Any:
    """What finishes beside the question has named what comes next by a command."""

    def a(state: Any) -> Any:
        return Command(update={"log": ["a"]}, goto="x")

    def b(state: Any) -> Any:
        return {"log": [interrupt("b?") if "ask" in state["log"][-1] else "b"]}

    nodes = {"a": (a, {"destinations": ("x",)}), "b": b, "x": says("x")}
    return graph(State, nodes, [(START, "a"), (START, "b")])


async def test_what_gives_commands_runs_again_beside_a_question() -> None:
    """What it wrote could be stored, and where it led could not: it would lead nowhere."""
    source, there = Place(_leading_beside_a_question()), Place(_leading_beside_a_question())
    await turns(1)(source)
    await turns(1, {"log": ["ask"]})(source)
    target = LocalTarget(there)
    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    ends = [
        await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))
        for place, thread_id in ((source, THREAD), (there, target.thread_id))
    ]

    assert ends[0] == ends[1]
    assert [loss.what for loss in outcome.losses] == ["the results of finished tasks"]


async def test_where_nothing_tells_whether_commands_are_given_that_is_told() -> None:
    """The node has not run alone before, and a function or a command leads on from it."""
    source, there = Place(_leading_beside_a_question()), Place(_leading_beside_a_question())
    await turns(1, {"log": ["ask"]})(source)

    outcome = await replay_thread(await source.export(), LocalTarget(there), Memory().of("g"))

    told = [(loss.what, loss.holdable) for loss in outcome.losses]
    assert told == [("where a would lead", False)]


async def test_messages_that_finished_beside_a_question_are_applied_as_such() -> None:
    """What is stored for later is taken by the reducer as what the node had written."""

    def build() -> Any:
        def b(state: Any) -> Any:
            return {"messages": [HumanMessage(interrupt("b?"), id="b")]}

        nodes = {"a": lambda s: {"messages": [AIMessage("a", id="a")]}, "b": b}
        return graph(Messages, nodes, [(START, "a"), (START, "b")])

    source, there = Place(build()), Place(build())
    await turns(1, {"messages": [HumanMessage("hi", id="h")]})(source)
    target = LocalTarget(there)
    await replay_thread(await source.export(), target, Memory().of("g"))

    ends = [
        await place.graph.ainvoke(Command(resume="yes"), place.head(thread_id))
        for place, thread_id in ((source, THREAD), (there, target.thread_id))
    ]

    assert ends[0] == ends[1]


async def test_messages_that_overwrite_others_are_messages_there() -> None:
    """A list that bypasses the reducer would stay what it was sent as: data."""
    source, there = await _played("overwriting")
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    assert outcome.losses == ()
    async for state in there.graph.aget_state_history(there.head(target.thread_id)):
        held = state.values.get("messages", [])
        assert [m for m in held if not isinstance(m, BaseMessage)] == []


async def test_an_input_that_no_task_has_taken_is_told() -> None:
    """No history says what it was: a run that goes on there begins with nothing."""
    source, there = await _played("line")
    await source.graph.abulk_update_state(
        source.head(), [[StateUpdate({"log": ["lost"]}, "__input__")]]
    )

    outcome = await replay_thread(await source.export(), LocalTarget(there), Memory().of("g"))

    assert outcome.exact
    told = [(loss.what, loss.holdable) for loss in outcome.losses]
    assert told == [("the input of waiting tasks", False)]


class _AskingFunction:
    def compile(self, checkpointer: Any, **options: Any) -> Any:
        @entrypoint(checkpointer=checkpointer)
        async def flow(given: dict[str, int]) -> dict[str, Any]:
            return {"n": given["n"], "answer": interrupt("?")}

        return flow


async def test_a_function_that_waits_is_told() -> None:
    """What it was called with is in no history, and it would be called again."""
    source, there = Place(_AskingFunction()), Place(_AskingFunction())
    await turns(1, {"n": 1})(source)

    outcome = await replay_thread(await source.export(), LocalTarget(there), Memory().of("g"))

    assert outcome.exact
    assert [loss.what for loss in outcome.losses] == ["the input of waiting tasks"]


def _all_ask() -> Any:
    """Every task that a command makes asks."""

    def a(state: Any) -> Any:
        return Command(update={"log": ["a"]}, goto=[Send("w", {"i": i}) for i in range(2)])

    nodes = {"a": (a, {"destinations": ("w",)}), "w": lambda s: {"log": [interrupt("?")]}}
    return graph(State, nodes, [(START, "a")])


async def test_a_copy_of_tasks_with_inputs_that_nobody_tells_is_told() -> None:
    """Though the step before it is another."""
    source, there = Place(_all_ask()), Place(_all_ask())
    await turns(1)(source)
    waiting = await source.id_of(step=1)
    await source.graph.aupdate_state(source.head(), None, as_node="__end__")
    await source.graph.aupdate_state(source.at(waiting), None, as_node="__copy__")

    outcome = await replay_thread(await source.export(), LocalTarget(there), Memory().of("g"))

    assert outcome.exact
    assert "the input of waiting tasks" in [loss.what for loss in outcome.losses]


async def test_tasks_that_wait_no_longer_are_not_told() -> None:
    """Somebody has dropped them since."""
    source, there = Place(_all_ask()), Place(_all_ask())
    await turns(1)(source)
    await source.graph.aupdate_state(source.head(), None, as_node="__end__")

    outcome = await replay_thread(await source.export(), LocalTarget(there), Memory().of("g"))

    assert (outcome.exact, outcome.losses) == (True, ())


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


async def test_what_a_function_saved_is_there_in_its_next_run() -> None:
    """`previous` is what it returned the last time."""
    source, there = await _played("functions")
    target = LocalTarget(there)
    await replay_thread(await source.export(), target, Memory().of("g"))

    ends = [
        await place.graph.ainvoke({"n": 2}, place.head(thread_id))
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


@pytest.mark.parametrize("parent", [None, "1f0a"], ids=["none", "unknown"])
async def test_a_checkpoint_that_hangs_elsewhere_is_told(parent: str | None) -> None:
    """Upon nothing, or upon what is not in the history."""

    class Hanging(LocalTarget):
        async def history(self) -> AsyncIterator[Checkpoint]:
            records = [record async for record in super().history()]
            records[3] = structs.replace(records[3], parent_checkpoint_id=parent)
            for record in records:
                yield record

    source, there = await _played("line")
    bundle = await source.export()
    target = LocalTarget(there)
    await replay_thread(bundle, target, Memory().of("g"))

    outcome = await compare_thread(bundle, Hanging(there, target.thread_id))

    assert [loss.what for loss in outcome.losses] == ["parent of 1 checkpoint"]


async def test_a_file_that_does_not_say_what_was_due_is_restored() -> None:
    """Older ones hold no tasks and no next: the values arrive, and nothing else is missed."""
    source, there = await _played("line")
    thread, *states = await source.export()
    bare = [structs.replace(s, next=UNSET, tasks=UNSET) for s in states]
    target = LocalTarget(there)

    outcome = await replay_thread(
        make_bundle(make_context(), [thread, *bare]), target, Memory().of("g")
    )

    assert (outcome.fidelity, outcome.exact, outcome.losses) == ("values", True, ())


async def test_threads_of_which_only_the_ends_of_runs_were_kept_are_rebuilt() -> None:
    """Numbers that were left out are told as what no server takes."""
    source, there = Place(_line()), Place(_line())
    for number in range(3):
        await source.graph.ainvoke({"log": [number]}, source.head(), durability="exit")
    target = LocalTarget(there)

    outcome = await replay_thread(await source.export(), target, Memory().of("g"))

    states = await source.states()
    assert len(states) == 3
    assert [s.values for s in await there.states(target.thread_id)] == [s.values for s in states]
    assert outcome.exact
    assert [loss.what for loss in outcome.losses] == ["the step number"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("metadata", b'{"source":"loop","step":%d}' % (1 << 70)),
        ("metadata", b'{"source":' + b"[" * 2000 + b"]" * 2000 + b"}"),
        ("tasks", b'[{"name":"a","path":' + b"[" * 800 + b"]" * 800 + b"}]"),
        ("tasks", b'[{"name":"a","path":' + b"[" * 2000 + b"]" * 2000 + b"}]"),
        ("tasks", b'[{"name":"__end__","path":["__pregel_pull","__end__"],"result":{"log":[1]}}]'),
    ],
    ids=["number that nobody counts", "deep metadata", "deep path", "deeper path", "no node"],
)
async def test_what_no_api_gives_is_an_error_of_its_thread(field: str, text: bytes) -> None:
    """It names the checkpoint, and ends nothing else."""
    source, there = await _played("line")
    thread, *states = await source.export()
    states[4] = structs.replace(states[4], **{field: Raw(text)})
    bundle = make_bundle(make_context(), [thread, *states])

    with pytest.raises(ThreadError, match=f"the {field} of checkpoint"):
        await replay_thread(bundle, LocalTarget(there), Memory().of("g"))


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


async def test_token_counts_are_foreseen_where_there_are_any() -> None:
    """Of messages that hold some; those that a server has moved before stay where they are."""
    source, there = await _played("usage")
    plain, _ = await _played("messages")
    target = LocalTarget(there)
    bundle = await source.export()
    await replay_thread(bundle, target, Memory().of("g"))

    foreseen = [
        [loss.what for loss in foresee(bundle)]
        for bundle in (bundle, await plain.export(), await there.export(target.thread_id))
    ]

    assert foreseen == [["usage_metadata"], [], []]


async def test_without_the_graphs_drawing_what_tasks_tell_is_enough() -> None:
    """A target that cannot draw its graph gets every history in which tasks are named."""

    class Undrawn(LocalTarget):
        async def topology(self) -> Topology | None:
            return None

    for name in ("line", "commands", "sends", "messages", "reducers"):
        source, there = await _played(name)
        outcome = await replay_thread(await source.export(), Undrawn(there), Memory().of("g"))
        assert outcome.exact, name


@pytest.mark.parametrize("due", [b'["__end__"]', b'["__start__"]', b'["a","__end__"]', b'[""]'])
async def test_a_place_that_is_no_node_is_told_where_it_is_due(due: bytes) -> None:
    """Whatever a file says, a thread comes as far as it can."""
    source, there = await _played("line")
    thread, *states = await source.export()
    states[4] = structs.replace(states[4], next=Raw(due), tasks=Raw(b"[]"))
    bundle = make_bundle(make_context(), [thread, *states])

    outcome = await replay_thread(bundle, LocalTarget(there), Memory().of("g"))

    assert not outcome.exact
    assert outcome.losses
