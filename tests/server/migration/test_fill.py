"""The source holds what the tests of migration take for granted: no promise is kept by absence."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from .extras import Extras, extras
from .fill import LONG, STRANGE, Filled
from .requests import Server, State


@dataclass
class Held:
    """One thread of the source: as it is, and its root history, oldest first."""

    thread: dict[str, Any]
    history: list[State]

    def tasks(self, name: str | None = None) -> Iterator[dict[str, Any]]:
        for state in self.history:
            yield from (t for t in state["tasks"] if name in (None, t["name"]))

    def parents(self) -> list[int | None]:
        """The index of each checkpoint's parent."""
        places = {state["checkpoint_id"]: n for n, state in enumerate(self.history)}
        return [places.get(state["parent_checkpoint_id"]) for state in self.history]

    def sources(self) -> list[str]:
        return [state["metadata"]["source"] for state in self.history]


@pytest.fixture(scope="session")
def held(source: Filled) -> dict[str, Held]:
    """All threads of the source whose history it can give, by name."""

    async def ask() -> dict[str, Held]:
        async with Server(source.url) as server:

            async def one(name: str, thread_id: str) -> tuple[str, Held]:
                thread = await server.get(f"/threads/{thread_id}")
                return name, Held(thread, (await server.history(thread_id))[::-1])

            reached = {n: i for n, i in source.threads.items() if not n.startswith("lost-")}
            reached.pop("bare-nothing")
            return dict(await asyncio.gather(*(one(n, i) for n, i in reached.items())))

    return asyncio.run(ask())


def messages(value: Any) -> Iterator[dict[str, Any]]:
    """All messages in a JSON value."""
    if isinstance(value, dict):
        if "type" in value and "additional_kwargs" in value:
            yield value
        for inner in value.values():
            yield from messages(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from messages(inner)


def forks(thread: Held) -> list[int]:
    """The checkpoints that do not follow the one before them."""
    return [n for n, parent in enumerate(thread.parents()) if parent != (n - 1 if n else None)]


def line(thread: Held, at: int) -> list[int]:
    """What a checkpoint was made of, and what that was, back to the first."""
    parent = thread.parents()[at]
    return [] if parent is None else [parent, *line(thread, parent)]


def test_the_threads_are_in_every_state(held: dict[str, Held]) -> None:
    assert {n: h.thread["status"] for n, h in held.items() if h.thread["status"] != "idle"} == {
        **dict.fromkeys(
            ("relay-one", "relay-two", "relay-beside", "relay-series", "relay-gate"), "interrupted"
        ),
        **dict.fromkeys(("relay-inside", "relay-half-resumed", "relay-forked"), "interrupted"),
        **dict.fromkeys(("chat-forked", "chat-by-hand", "chat-rewritten"), "interrupted"),
        **dict.fromkeys(("weave-forked-parallel", "relay-original"), "interrupted"),
        **dict.fromkeys(("loop-paused", "exit-relay", "relay-asked-again"), "interrupted"),
        **dict.fromkeys(("relay-fail", "loop-exhausted"), "error"),
        "loop-busy": "busy",
    }
    assert held["relay-copy"].thread["status"] == "idle"
    assert held["relay-copy"].history[-1]["next"] == ["ask_left"]  # which no server can be given
    empty = {name for name, thread in held.items() if not thread.history}
    assert empty == {"bare-graph", "bare-gone", "bare-strange", "bare-ttl", "loop-cron"}


def test_some_histories_are_out_of_reach(source: Filled) -> None:
    """Those threads have values, and nothing else can be had of them."""
    with httpx.Client(base_url=source.url) as client:
        for name, status in {"lost-graph": 404, "lost-dates": 400}.items():
            path = f"/threads/{source.threads[name]}"
            assert client.post(f"{path}/history", json={"limit": 9}).status_code == status
            assert client.get(path).json()["values"]


def test_one_thread_is_longer_than_a_page_can_be(held: dict[str, Held]) -> None:
    assert len(held["loop-long"].history) == LONG + 2 > 1000


def test_messages_are_of_every_kind(held: dict[str, Held]) -> None:
    found = [m for h in held.values() for s in h.history for m in messages(s["values"])]
    assert {m["type"] for m in found} == {"system", "human", "ai", "tool"}
    of_ai = [m for m in found if m["type"] == "ai"]
    for field in ("usage_metadata", "invalid_tool_calls", "tool_calls"):
        assert {bool(m[field]) for m in of_ai} == {True, False}, field
    tools = [m for m in found if m["type"] == "tool"]
    assert {m["status"] for m in tools} == {"success", "error"}
    assert {m["artifact"] is None for m in tools} == {True, False}
    assert any(isinstance(m["content"], list) for m in found)


def test_messages_are_removed_edited_and_given_ids(held: dict[str, Held]) -> None:
    results = [
        m for name in held for task in held[name].tasks() for m in messages(task["result"] or {})
    ]
    assert any(m["type"] == "remove" for m in results)
    assert any(m["type"] == "remove" and m["id"] == "__remove_all__" for m in results)
    asked = [t["result"]["messages"] for t in held["chat-plain"].tasks("ask_model")]
    assert [type(m) for m in asked] == [dict]  # one message rather than a list of them
    (remembered,) = held["chat-plain"].tasks("remember")
    shapes = {type(m) for m in remembered["result"]["messages"]}
    assert shapes == {list, dict}
    assert all("id" not in m for m in remembered["result"]["messages"])
    before, after = [state["values"]["messages"] for state in held["chat-plain"].history[5:7]]
    assert after[-2]["id"] == before[-1]["id"]
    assert after[-2]["content"] == f"{before[-1]['content']}, mended"


def test_messages_are_in_channels_of_other_names_and_kinds(held: dict[str, Held]) -> None:
    """Where no reducer gives them ids, they have none."""
    final = held["chat-letters"].history[-1]["values"]
    assert [m["id"] is None for m in final["thoughts"]] == [False, False]
    assert [m["id"] for m in final["archive"]] == [None, "kept"] * 2
    assert final["newest"]["usage_metadata"] is None


def test_a_graph_goes_round_its_reducers_and_has_graphs_within_graphs(
    source: Filled, held: dict[str, Held]
) -> None:
    """A value that looks like the server's marker is nobody's but the user's."""
    (task,) = held["stacked-plain"].tasks("replace")
    assert task["result"] == {
        "log": {"value": ["anew"], "type": "__overwrite__"},
        "table": {"__overwrite__": "a key of ours"},
    }
    assert held["stacked-plain"].history[-1]["values"]["table"] == task["result"]["table"]
    stored = httpx.get(f"{source.url}/threads/{source.threads['stacked-plain']}/storage").json()
    assert stored["checkpoints"]["count"] == 4 + 3 * 3


def test_some_tasks_have_no_result_and_some_steps_change_nothing(held: dict[str, Held]) -> None:
    """A task that gave nothing has an empty result; one that did not finish has none."""
    assert [t["result"] for t in held["chat-plain"].tasks("rest")] == [{}]
    pieces = [t["result"] for t in held["weave-plain"].tasks("piece")]
    assert pieces == [{"pieces": [{"n": 0}]}, {}, {"pieces": [{"n": 2}]}]
    waiting = held["relay-one"].history[-1]["tasks"]
    assert [t["result"] for t in waiting] == [None]
    assert any(
        state["values"] == following["values"]
        for state, following in zip(
            held["chat-plain"].history, held["chat-plain"].history[1:], strict=False
        )
    )


def test_branches_meet_in_a_join_which_the_server_misreports(held: dict[str, Held]) -> None:
    parallel, join, after = held["weave-plain"].history[2:5]
    assert parallel["next"] == ["left", "right", "silent"]
    assert (join["next"], join["tasks"]) == ([], [])
    assert after["values"]["log"][-1] == "gather"
    assert after["metadata"]["source"] == "loop"


def test_a_node_is_run_several_times_in_one_step(held: dict[str, Held]) -> None:
    assert ["piece"] * 5 + ["extra"] in [s["next"] for s in held["weave-twice"].history]
    assert ["worker"] * 3 in [s["next"] for s in held["relay-sends"].history]


def test_commands_go_where_no_result_says(held: dict[str, Held]) -> None:
    for name, result in {
        "relay-plain": {"log": ["route"], "last": "plain"},
        "relay-bare": {},
    }.items():
        thread = held[name]
        assert [task["result"] for task in thread.tasks("route")] == [result]
        assert [s["next"] for s in thread.history[2:4]] == [["pause"], ["closing"]]
    climbed = held["relay-climb"].history
    assert [s["next"] for s in climbed[2:4]] == [["climber"], ["pause"]]
    jumped = held["relay-jumped"]
    assert jumped.sources()[5:] == ["loop", "loop"]  # a run that began without an input
    assert jumped.history[4]["tasks"] == []


def test_one_task_writes_a_channel_several_times(held: dict[str, Held]) -> None:
    (result,) = [task["result"] for task in held["weave-plain"].tasks("twice")]
    assert result["log"] == {"$writes": [["twice"], ["and again"]]}
    (result,) = [task["result"] for task in held["relay-parts"].tasks("route")]
    assert result == {"log": {"$writes": [["route"], ["parted"]]}}
    assert sorted(held["relay-parts"].history[2]["next"]) == ["pause", "worker"]


def test_channels_are_of_every_kind(held: dict[str, Held]) -> None:
    history = held["weave-plain"].history
    assert [s["values"].get("flash") for s in history].count("here for one step") == 1
    assert all("untracked" not in s["values"] for s in history)
    assert "untracked" not in next(held["weave-plain"].tasks("plant"))["result"]
    assert held["weave-few"].thread["values"]["untracked"] == "never kept"
    final = history[-1]["values"]
    assert final["secret"] == "between us"  # of a schema that only two nodes know
    assert final["table"] == {"b": {"deep": [1, 2]}, "left": True, "right": 1.5}
    assert final["best"] == 9
    assert final["last"] is None
    assert final["odd"]["decimal"] == "1.50"
    assert isinstance(held["root-plain"].history[-1]["values"], list)
    assert held["functional-plain"].history[-1]["values"] == {"said": 14}
    assert held["typed-plain"].history[-1]["values"]["mood"] == "bad"


def test_interrupts_wait_alone_together_beside_others_and_inside(held: dict[str, Held]) -> None:
    def waiting(name: str) -> list[int]:
        return [len(task["interrupts"]) for task in held[name].history[-1]["tasks"]]

    assert waiting("relay-one") == waiting("relay-series") == waiting("relay-inside") == [1]
    assert waiting("relay-two") == [1, 1]
    assert waiting("relay-gate") == [0]
    (asked, quiet) = held["relay-beside"].history[-1]["tasks"]
    assert (asked["result"], quiet["result"]) == (None, {"log": ["quiet"]})
    half = held["relay-half-resumed"].history[-1]["tasks"]
    assert [task["result"] is None for task in half] == [False, True]
    for way in ("one", "two", "series", "inside", "beside"):
        assert held[f"relay-resumed-{way}"].thread["status"] == "idle"
    abandoned = held["relay-abandoned"]
    assert abandoned.history[2]["tasks"][0]["interrupts"]
    assert abandoned.sources()[3] == "input"
    for name in ("relay-fail", "relay-recovered"):
        finished, failed = held[name].history[2]["tasks"]
        assert (finished["result"], failed["result"]) == ({"log": ["quiet"]}, None)
        assert failed["error"]


def test_subgraphs_have_checkpoints_of_their_own(source: Filled, held: dict[str, Held]) -> None:
    (task,) = held["relay-resumed-inside"].tasks("inner")
    assert task["checkpoint"]["checkpoint_ns"].startswith("inner:")
    path = f"{source.url}/threads/{source.threads['relay-resumed-inside']}/storage"
    stored = httpx.get(path).json()["checkpoints"]["count"]
    assert stored > len(held["relay-resumed-inside"].history)


def test_histories_fork_in_every_way(held: dict[str, Held]) -> None:
    found = {name: forks(thread) for name, thread in held.items() if forks(thread)}
    assert found == {
        "chat-commanded": [8, 12],
        "chat-forked": [8],
        "chat-rerun": [8],
        "chat-rewritten": [8],
        "exit-back": [8, 11, 12],
        "loop-branched-last": [3],
        "loop-rerun-last": [4],
        "loop-forked-back": [5, 15],
        "loop-forked-early": [4, 8],
        "relay-answered-twice": [5],
        "relay-asked-again": [5],
        "relay-forked": [3],
        "weave-copied": [11, 12],
        "weave-forked-parallel": [11, 20],
        "weave-forked-sends": [11],
        "weave-forked-twice": [11, 16],
        "weave-rewritten": [11],
    }
    twice = held["weave-forked-twice"]
    assert twice.parents()[16] in range(11, 16)  # a fork of a fork
    parallel = held["weave-forked-parallel"]
    assert len(parallel.history[parallel.parents()[11] or 0]["next"]) == 3
    kinds = Counter(held[name].sources()[n] for name, at in found.items() for n in at)
    assert set(kinds) == {"fork", "update", "input", "loop"}


def test_what_an_update_in_the_past_wrote_is_no_task_s_result(held: dict[str, Held]) -> None:
    """The results at the old checkpoint stay those of its first child."""
    for name, node, channel, old, new in (
        ("chat-rewritten", "rest", "summary", "7 messages", "late"),
        ("weave-rewritten", "still", "best", 9, 50),
    ):
        thread = held[name]
        (fork,) = forks(thread)
        past = thread.parents()[fork]
        assert past is not None
        assert [t["result"] for t in thread.history[past]["tasks"]] == [{}]
        assert [t["name"] for t in thread.history[past]["tasks"]] == [node]
        children = [past + 1, fork]
        assert [thread.history[n]["values"][channel] for n in children] == [old, new]


def test_a_copy_in_the_past_need_not_be_like_what_it_copies(held: dict[str, Held]) -> None:
    """A command may go elsewhere from there, or change the state beside the tasks."""
    history = held["chat-commanded"].history
    (past, first, second) = (history[n] for n in (4, 8, 12))
    assert first["metadata"]["source"] == second["metadata"]["source"] == "fork"
    assert past["next"] == first["next"] == ["answer"]
    assert second["next"] == ["answer", "rest"]
    assert "commanded" in history[9]["values"]["notes"]  # but no task of the copy wrote it
    assert all("commanded" not in str(task["result"]) for task in first["tasks"])


def test_some_runs_left_only_their_ends(held: dict[str, Held]) -> None:
    """Steps are missing, and so is what made the rest."""
    steps = [s["metadata"]["step"] for s in held["exit-chat"].history]
    assert steps == [6, 14, *range(15, 23)]
    assert held["exit-chat"].sources()[:3] == ["loop", "loop", "input"]
    assert [s["tasks"] for s in held["exit-chat"].history[:1]] == [[]]
    (waiting,) = held["exit-relay"].history
    assert (waiting["metadata"]["step"], waiting["next"]) == (1, ["ask_left"])
    assert waiting["parent_checkpoint_id"] is None
    back = held["exit-back"]
    steps = [s["metadata"]["step"] for s in back.history]
    offsets = [n - len(line(back, at)) for at, n in enumerate(steps)]
    assert len(set(offsets)) > 2  # and what was run from there counts on


def test_metadata_is_odd(held: dict[str, Held]) -> None:
    for name in ("loop-strange", "bare-strange"):
        metadata = held[name].thread["metadata"]
        assert {k: v for k, v in metadata.items() if k in STRANGE} == STRANGE
    assert "assistant_id" in held["loop-strange"].thread["metadata"]  # a key the server reserves


async def test_what_belongs_to_the_deployment_is_there(source: Filled) -> None:
    found = await extras(source.url)
    assert set(found.items) == source.items
    chat, _, gone = source.assistants
    versions, in_force = found.assistants[chat]
    assert ([*versions], in_force) == ([3, 2, 1], 2)
    assert [versions[n]["name"] for n in (1, 2, 3)] == ["chat 1", "chat 2", "chat 3"]
    assert found.assistants[gone][0][1]["graph_id"] == "gone"
    assert (len(found.crons), found.enabled) == (len(source.crons), 3) == (4, 3)


async def test_two_deployments_differ_in_what_belongs_to_them(source: Filled, target: str) -> None:
    """The target has nothing but its own assistants, which do not count."""
    ours, theirs = await extras(source.url), await extras(target)
    assert theirs == Extras({}, {}, [], 0)
    assert ours != theirs
    assert ours == await extras(source.url)
