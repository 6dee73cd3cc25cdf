"""Whether a thread on one server is what it is on another, by plain requests to both.

The root history is compared checkpoint by checkpoint, oldest first, in the order of their ids;
then the thread itself. What differs is listed, what was excepted is counted: nothing is
taken for equal because a server is known not to take it back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .requests import Server, State

RESERVED = frozenset({"assistant_id", "run_id", "thread_id", "cron_id"})
"""Metadata that the server takes from nobody."""

MARK = "lgx"
"""The key of metadata in which lgx marks what it made; it is nobody's data."""

_SOURCES = {"loop": "update"}  # a replayed step was an update, not a run
_AI = frozenset({"ai", "AIMessageChunk"})


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        field: of a checkpoint `values`, `next`, `step`, `source` or `parent`, `missing` or
            `extra`; of a thread `thread` (it is not there), `history` (out of reach),
            `status`, `metadata`, `final` (its latest state) or `waits` (that state's next).
        checkpoint: which of the source's (of the target's, if it is `extra`), oldest 0; None
            where it is the thread.
        join: whether the server misreports this checkpoint of the source: it says that nothing
            comes next, and a run went on from it.
        channels: of `values` and `final`, the keys that differ; nothing else of them is kept.
    """

    field: str
    checkpoint: int | None
    source: Any
    target: Any
    join: bool = False
    channels: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = "the thread" if self.checkpoint is None else f"checkpoint {self.checkpoint}"
        what = f"{self.field} {','.join(self.channels)}".rstrip()
        path, ours, theirs = _first(self.source, self.target)
        return f"{where}, {what}{path}: {str(ours)[:150]} | {str(theirs)[:150]}"


@dataclass
class Compared:
    """One thread on both sides.

    Attributes:
        checkpoints: of the source's root history.
        equal: how many of them are the same in values, next, step, source and order.
        usage: messages of the source, over all its checkpoints, whose non-null usage_metadata
            the target holds under additional_kwargs, and which are otherwise equal.
        invalid: the same for invalid_tool_calls that are not empty.
    """

    name: str
    checkpoints: int = 0
    equal: int = 0
    usage: int = 0
    invalid: int = 0
    differences: list[Difference] = field(default_factory=list)

    def fields(self) -> Counter[str]:
        """How often each field differs."""
        return Counter(difference.field for difference in self.differences)

    def of(self, *fields: str) -> list[Difference]:
        """The differences in these fields."""
        return [d for d in self.differences if d.field in fields]


@dataclass
class Comparison:
    """All threads, by name."""

    threads: dict[str, Compared]

    def __getitem__(self, name: str) -> Compared:
        return self.threads[name]

    @property
    def checkpoints(self) -> int:
        return sum(thread.checkpoints for thread in self.threads.values())

    @property
    def equal(self) -> int:
        return sum(thread.equal for thread in self.threads.values())

    @property
    def usage(self) -> int:
        return sum(thread.usage for thread in self.threads.values())

    @property
    def differences(self) -> dict[str, list[Difference]]:
        """Of the threads that have any."""
        return {n: t.differences for n, t in self.threads.items() if t.differences}

    def fields(self) -> Counter[str]:
        """How often each field differs, over all threads."""
        return sum((thread.fields() for thread in self.threads.values()), Counter())

    def __str__(self) -> str:
        """For an assertion's message: everything that differs, a line each."""
        lines = [f"{self.equal} of {self.checkpoints} checkpoints are equal"]
        for name, differences in self.differences.items():
            lines += [f"{name}: {difference}" for difference in differences]
        return "\n".join(lines)


async def compare(
    source: str,
    target: str,
    threads: Mapping[str, str],
    *,
    ids: Mapping[str, str] | None = None,
    graphs: Mapping[str, str] | None = None,
) -> Comparison:
    """Compares threads, given by name and id.

    Args:
        ids: what the target calls a thread whose id is another there.
        graphs: what the target calls a graph whose name is another there.
    """
    async with Server(source) as ours, Server(target) as theirs:

        async def one(name: str, thread_id: str) -> Compared:
            other = (ids or {}).get(thread_id, thread_id)
            return await _compare(name, (ours, thread_id), (theirs, other), graphs or {})

        found = await asyncio.gather(*(one(n, i) for n, i in threads.items()))
    return Comparison({thread.name: thread for thread in found})


async def _compare(
    name: str, source: tuple[Server, str], target: tuple[Server, str], graphs: Mapping[str, str]
) -> Compared:
    compared = Compared(name)
    report = compared.differences
    ours = await _thread(*source)
    theirs = await _thread(*target)
    if ours is None or theirs is None:
        if (ours is None) != (theirs is None):
            report.append(Difference("thread", None, ours is not None, theirs is not None))
        return compared
    if ours["status"] != theirs["status"]:
        report.append(Difference("status", None, ours["status"], theirs["status"]))
    metadata = {k: v for k, v in ours["metadata"].items() if k not in RESERVED | {MARK}}
    if metadata.get("graph_id") in graphs:
        metadata["graph_id"] = graphs[metadata["graph_id"]]
    kept = {k: v for k, v in theirs["metadata"].items() if k not in RESERVED | {MARK}}
    if not same(metadata, kept):
        report.append(Difference("metadata", None, metadata, kept))
    old, new = [await server.reached(thread_id) for server, thread_id in (source, target)]
    if old is None or new is None:
        if old is not new:
            report.append(Difference("history", None, old is not None, new is not None))
        return compared
    _compare_histories(compared, old[::-1], new[::-1])
    if old and new:
        await _compare_latest(compared, source, target)
    return compared


async def _thread(server: Server, thread_id: str) -> dict[str, Any] | None:
    answer = await server.answer("GET", f"/threads/{thread_id}")
    if answer.status_code in (404, 422):
        return None
    assert answer.status_code == 200, answer.text
    thread: dict[str, Any] = answer.json()
    return thread


async def _compare_latest(
    compared: Compared, source: tuple[Server, str], target: tuple[Server, str]
) -> None:
    ours, theirs = [await _latest(*side) for side in (source, target)]
    channels, _, _ = _unlike(ours["values"], theirs["values"])
    if channels:
        old, new = [_only(channels, side["values"]) for side in (ours, theirs)]
        compared.differences.append(Difference("final", None, old, new, channels=channels))
    if sorted(ours["next"]) != sorted(theirs["next"]):
        waits = Difference("waits", None, ours["next"], theirs["next"])
        compared.differences.append(waits)


async def _latest(server: Server, thread_id: str) -> State:
    """The latest state; what the server says in its place, where it cannot give it."""
    answer = await server.answer("GET", f"/threads/{thread_id}/state")
    if answer.status_code != 200:
        return {"values": [answer.text], "next": []}
    state: State = answer.json()
    return state


def _compare_histories(compared: Compared, ours: list[State], theirs: list[State]) -> None:
    compared.checkpoints = len(ours)
    partners = _pair(ours, theirs)
    places = {theirs[j]["checkpoint_id"]: i for i, j in enumerate(partners) if j is not None}
    own_places = {state["checkpoint_id"]: i for i, state in enumerate(ours)}
    went_on = {s["parent_checkpoint_id"] for s in ours if s["metadata"]["source"] == "loop"}
    for number, (state, partner) in enumerate(zip(ours, partners, strict=True)):
        join = not state["next"] and state["checkpoint_id"] in went_on
        if partner is None:
            missing = Difference("missing", number, _what(state), None, join)
            compared.differences.append(missing)
            continue
        other = theirs[partner]
        before = len(compared.differences)
        channels, usage, invalid = _unlike(state["values"], other["values"])
        compared.usage += usage
        compared.invalid += invalid
        if channels:
            old, new = [_only(channels, side["values"]) for side in (state, other)]
            compared.differences.append(Difference("values", number, old, new, join, channels))
        source = state["metadata"]["source"]
        pairs = {
            "next": (state["next"], other["next"]),
            "step": (state["metadata"]["step"], other["metadata"]["step"]),
            "source": (_SOURCES.get(source, source), other["metadata"]["source"]),
        }
        compared.differences += [
            Difference(name, number, *pair, join)
            for name, pair in pairs.items()
            if pair[0] != pair[1]
        ]
        compared.equal += before == len(compared.differences)
        # Only afterwards: no server is asked to keep this link, but it is to be known.
        parent = own_places.get(state["parent_checkpoint_id"])
        found = places.get(other["parent_checkpoint_id"])
        if parent != found:
            compared.differences.append(Difference("parent", number, parent, found, join))
    compared.differences += [
        Difference("extra", number, None, _what(state))
        for number, state in enumerate(theirs)
        if state["checkpoint_id"] not in places
    ]


def _what(state: State) -> str:
    metadata = state["metadata"]
    return f"{metadata['source']} of step {metadata['step']}, next {state['next']}"


def _pair(ours: list[State], theirs: list[State]) -> list[int | None]:
    """For each of ours the index of its partner, in order.

    The target may hold a copy that a branch had to begin with: where ours is no copy and
    there are more of theirs left, a copy of theirs has no partner.
    """
    partners: list[int | None] = []
    j = 0
    for i, state in enumerate(ours):
        while (
            len(theirs) - j > len(ours) - i
            and theirs[j]["metadata"]["source"] == "fork"
            and state["metadata"]["source"] != "fork"
        ):
            j += 1
        partners.append(j if j < len(theirs) else None)
        j += 1
    return partners


def _unlike(ours: Any, theirs: Any) -> tuple[tuple[str, ...], int, int]:
    """The channels that differ, and how often something was excepted in the equal ones."""
    counts = Counter[str]()
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return (() if same(ours, theirs, counts) else ("__root__",), counts["u"], counts["i"])
    unlike: list[str] = []
    for key in sorted(ours.keys() | theirs.keys()):
        found = Counter[str]()
        if key in ours and key in theirs and same(ours[key], theirs[key], found):
            counts += found
        else:
            unlike.append(key)
    return tuple(unlike), counts["u"], counts["i"]


def _only(channels: tuple[str, ...], values: Any) -> Any:
    if not isinstance(values, dict) or channels == ("__root__",):
        return values
    return {key: value for key, value in values.items() if key in channels}


def _first(ours: Any, theirs: Any) -> tuple[str, Any, Any]:
    """The place of the first difference inside two values, and what is there."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        pairs = [(f".{key}", value, theirs[key]) for key, value in ours.items()]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"[{n}]", *pair) for n, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return "", ours, theirs
    for place, one, other in pairs:
        if not same(one, other, Counter()):
            path, *both = _first(one, other)
            return place + path, both[0], both[1]
    return "", ours, theirs


def same(ours: Any, theirs: Any, excepted: Counter[str] | None = None) -> bool:
    """Equality of JSON values; 1 is no true, 1.0 is no 1, and a list's order matters.

    With `excepted`, a message of a model may have its usage_metadata and its invalid_tool_calls
    under additional_kwargs, which is counted there: `u` and `i`.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if excepted is not None and ours.get("type") in _AI and ours != theirs:
            theirs = _put_back(ours, theirs, excepted)
        return ours.keys() == theirs.keys() and all(
            same(value, theirs[key], excepted) for key, value in ours.items()
        )
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            same(one, other, excepted) for one, other in zip(ours, theirs, strict=True)
        )
    return type(ours) is type(theirs) and bool(ours == theirs)


def _put_back(ours: dict[str, Any], theirs: Any, excepted: Counter[str]) -> dict[str, Any]:
    """Theirs, with what the server moved back where it was."""
    put_back = dict(theirs)
    moved: Any = put_back.get("additional_kwargs")
    own: Any = ours.get("additional_kwargs")
    if not isinstance(moved, dict) or not isinstance(own, dict):
        return put_back
    left = dict(moved)
    for key, sign in (("usage_metadata", "u"), ("invalid_tool_calls", "i")):
        if ours.get(key) and not put_back.get(key) and key not in own:
            if not same(ours[key], left.pop(key, None)):
                return put_back
            put_back[key] = ours[key]
            excepted[sign] += 1
    put_back["additional_kwargs"] = left
    return put_back
