"""The checkpoints of one namespace of a thread, newest first: given ones, and made-up ones.

A made-up chain keeps only its numbers and makes each state when it is asked for, so a
thread of gigabytes costs the stub nothing.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from lgx.testing.stub.ids import checkpoint_id, iso, step_of, ticks

__all__ = ["Chain", "MadeUp", "Part", "StubCheckpoint", "Text", "dump"]

Part = bytes | memoryview


def dump(value: Any) -> bytes:
    """A value as compact JSON; bytes are taken for JSON already and stand as they are."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Text:
    """Endless prose without quotes or backslashes, any stretch of it ready as bytes."""

    def __init__(self, seed: int = 0, size: int = 1 << 20) -> None:
        source = random.Random(seed)
        letters = "etaoinshrdlcumwfgypbvk"
        words = ["".join(source.choices(letters, k=source.randint(2, 9))) for _ in range(4000)]
        text = " ".join(source.choices(words, k=size // 5))
        self._bytes = (text * (1 + size // len(text)))[:size].encode()
        self._view = memoryview(self._bytes)

    @classmethod
    @lru_cache(maxsize=4)
    def of(cls, seed: int) -> Text:
        """The text of a seed; made once, it never changes."""
        return cls(seed)

    def parts(self, start: int, size: int) -> list[Part]:
        """`size` bytes from a place, in as many parts as it takes; short ones as one."""
        whole = len(self._bytes)
        start %= whole
        if start + size <= whole:
            if size < 1 << 16:
                return [self._bytes[start : start + size]]
            return [self._view[start : start + size]]
        parts: list[Part] = [self._view[start:]]
        size -= whole - start
        while size > 0:
            parts.append(self._view[: min(size, whole)])
            size -= whole
        return parts


@dataclass(kw_only=True)
class StubCheckpoint:
    """One state that a test gave. Bulk is JSON text; `checkpoint_map` as subgraphs have it."""

    checkpoint_id: str
    parent_id: str | None
    step: int
    created_at: str
    values: bytes
    next: bytes
    tasks: bytes
    metadata: dict[str, Any]
    interrupts: bytes
    checkpoint_map: dict[str, str] | None = None

    def body(self, thread_id: str, namespace: str) -> bytes:
        """The state as the server gives it."""
        parent = _place(thread_id, namespace, self.parent_id, self.checkpoint_map)
        own = _place(thread_id, namespace, self.checkpoint_id, self.checkpoint_map)
        return b"".join(
            (
                b'{"values":',
                self.values,
                b',"next":',
                self.next,
                b',"tasks":',
                self.tasks,
                b',"metadata":',
                dump(self.metadata),
                b',"created_at":',
                dump(self.created_at),
                b',"checkpoint":',
                own,
                b',"parent_checkpoint":',
                parent,
                b',"interrupts":',
                self.interrupts,
                b',"checkpoint_id":',
                dump(self.checkpoint_id),
                b',"parent_checkpoint_id":',
                dump(self.parent_id),
                b"}",
            )
        )


def _place(
    thread_id: str, namespace: str, state_id: str | None, above: dict[str, str] | None
) -> bytes:
    if state_id is None:
        return b"null"
    place: dict[str, Any] = {
        "checkpoint_id": state_id,
        "thread_id": thread_id,
        "checkpoint_ns": namespace,
    }
    if namespace:
        place["checkpoint_map"] = {**(above or {}), namespace: state_id}
    return dump(place)


_METADATA = (
    '{{"graph_id":"{graph}","source":"{source}","step":{step},"parents":{{}},'
    '"created_by":"system","run_attempt":1,"langgraph_version":"1.2.22",'
    '"run_id":"{run_id}","thread_id":"{thread_id}"}}'
)
_MESSAGE_HEAD = b'{"content":"'
_MESSAGE_TAIL = (
    b'","additional_kwargs":{},"response_metadata":{},"type":"%b",'
    b'"name":"Zo\xc3\xab \xf0\x9f\x8e\x88","id":"%b-%d"%b}'
)
_OF_AI = b',"tool_calls":[],"invalid_tool_calls":[],"usage_metadata":null'
_MESSAGE = 300  # bytes of one, about; real histories are as rich in small objects


class MadeUp:
    """States made from numbers: `count` of them, steps from -1 on, of about `size` bytes each."""

    def __init__(
        self,
        text: Text,
        *,
        thread_id: str,
        namespace: str,
        number: int,
        count: int,
        size: int,
        began: datetime,
        graph_id: str,
        advertised: str | None = None,
        above: dict[str, str] | None = None,
    ) -> None:
        """`advertised`: the namespace of a subgraph that the state of step 0 names in its tasks."""
        self.count = count
        self._text = text
        self._thread_id = thread_id
        self._namespace = namespace
        self._number = number
        self._began = began
        self._base = ticks(began)
        self._node = (number * 0x9E3779B97F4A7C15 + 1) & 0xFFFFFFFFFFFF
        self._graph_id = graph_id
        self._advertised = advertised
        self._above = above
        self._templates: dict[tuple[bool, bool, bool], bytes] = {}
        self._run_id = f"{self._node:012x}"[:8] + "-0000-4000-8000-" + f"{self._node:012x}"
        self._messages = max(1, min(40, (size - 1000) // _MESSAGE))
        frame = len(_MESSAGE_TAIL) + len(_OF_AI) // 2 + 48
        bare = len(self._tail(0)) + 10 + self._messages * frame
        self._each = max(8, (size - bare) // self._messages)

    def id_of(self, step: int) -> str:
        return checkpoint_id(self._base + (step + 1) * 10_000_000, step + 1, self._node)

    def step_before(self, limit: str) -> int:
        """The greatest step whose id is smaller than `limit`; below -1 where there is none."""
        step = (step_of(limit) - self._base) // 10_000_000
        step = max(-2, min(self.count - 2, step))
        while step >= -1 and self.id_of(step) >= limit:
            step -= 1
        return step

    def metadata(self, step: int) -> str:
        return _METADATA.format(
            graph=self._graph_id,
            source="input" if step < 0 else "loop",
            step=step,
            run_id=self._run_id,
            thread_id=self._thread_id,
        )

    def messages(self, step: int) -> list[Part]:
        """The elements of `values.messages` at a step."""
        parts: list[Part] = []
        run = self._run_id.encode()
        text, size = self._text, self._each
        for index in range(self._messages):
            parts.append(b"," + _MESSAGE_HEAD if index else _MESSAGE_HEAD)
            turn = step * self._messages + index
            parts += text.parts(self._number * 7919 + turn * 104729, size)
            kind, more = (b"ai", _OF_AI) if index % 2 else (b"human", b"")
            parts.append(_MESSAGE_TAIL % (kind, run, turn, more))
        return parts

    def parts(self, step: int) -> list[Part]:
        """The state of a step."""
        return [b'{"values":{"messages":[', *self.messages(step), self._tail(step)]

    def values(self, step: int) -> list[Part]:
        return [b'{"messages":[', *self.messages(step), b'],"turn":%d}' % step]

    def _tail(self, step: int) -> bytes:
        first, last = step < 0, step == self.count - 2
        kind = (first, last, step == 0)
        if kind not in self._templates:
            self._templates[kind] = self._template(step, first=first, last=last)
        own = self.id_of(step).encode()
        when = iso(self._began + timedelta(seconds=step + 1)).encode()
        numbers = {b"step": step, b"more": step + 1, b"when": when, b"own": own}
        if not first:
            numbers[b"parent"] = self.id_of(step - 1).encode()
        return self._templates[kind] % numbers

    def _template(self, step: int, *, first: bool, last: bool) -> bytes:
        """What states of one sort have in common; made once, for the sake of speed."""
        parent = b"null" if first else b'"%(parent)b"'
        above = self._above
        metadata = self.metadata(99999999).encode().replace(b"%", b"%%")
        metadata = metadata.replace(b"99999999", b"%(step)d")
        if first:
            metadata = metadata.replace(b'"source":"loop"', b'"source":"input"')
        places = [
            _place(self._thread_id, self._namespace, name, above)
            for name in ("%(own)b", None if first else "%(parent)b")
        ]
        return b"".join(
            (
                b'],"turn":%(step)d},"next":',
                b"[]" if last else b'["model"]',
                b',"tasks":',
                b"[]" if last else self._tasks(step),
                b',"metadata":',
                metadata,
                b',"created_at":"%(when)b","checkpoint":',
                places[0],
                b',"parent_checkpoint":',
                places[1],
                b',"interrupts":[],"checkpoint_id":"%(own)b","parent_checkpoint_id":',
                parent,
                b"}",
            )
        )

    def _tasks(self, step: int) -> bytes:
        name, inner = "model", None
        if self._advertised is not None and step == 0:
            name = self._advertised.rpartition("|")[2].partition(":")[0]
            inner = {"thread_id": self._thread_id, "checkpoint_ns": self._advertised}
        task = {
            "id": self._run_id,
            "name": name,
            "path": ["__pregel_pull", name],
            "error": None,
            "interrupts": [],
            "checkpoint": inner,
            "state": None,
            "result": {"turn": 99999999},
        }
        return dump([task]).replace(b"99999999", b"%(more)d")


class Chain:
    """A namespace's states by position, 0 the newest; given ones are newer than made-up ones."""

    def __init__(self, thread_id: str, namespace: str, made_up: MadeUp | None = None) -> None:
        self.thread_id = thread_id
        self.namespace = namespace
        self.made_up = made_up
        self.given: list[StubCheckpoint] = []

    def __len__(self) -> int:
        return len(self.given) + (self.made_up.count if self.made_up else 0)

    def add(self, checkpoint: StubCheckpoint) -> None:
        """Puts a state in its place by id."""
        self.given.append(checkpoint)
        self.given.sort(key=lambda item: item.checkpoint_id, reverse=True)

    def newest_id(self) -> str | None:
        return self.id_at(0) if len(self) else None

    def id_at(self, position: int) -> str:
        if position < len(self.given):
            return self.given[position].checkpoint_id
        assert self.made_up is not None
        return self.made_up.id_of(self.step_at(position))

    def step_at(self, position: int) -> int:
        if position < len(self.given):
            return self.given[position].step
        assert self.made_up is not None
        return self.made_up.count - 2 - (position - len(self.given))

    def first_before(self, limit: str) -> int:
        """The position of the newest state whose id is smaller."""
        for position, checkpoint in enumerate(self.given):
            if checkpoint.checkpoint_id < limit:
                return position
        if self.made_up is None:
            return len(self.given)
        return len(self.given) + self.made_up.count - 2 - self.made_up.step_before(limit)

    def position_of(self, state_id: str) -> int | None:
        for position, checkpoint in enumerate(self.given):
            if checkpoint.checkpoint_id == state_id:
                return position
        if self.made_up is not None:
            position = self.first_before(state_id) - 1
            if position >= len(self.given) and self.id_at(position) == state_id:
                return position
        return None

    def positions_of_step(self, step: int) -> list[int]:
        found = [position for position, item in enumerate(self.given) if item.step == step]
        if self.made_up is not None and -1 <= step <= self.made_up.count - 2:
            found.append(len(self.given) + self.made_up.count - 2 - step)
        return found

    def metadata_at(self, position: int) -> dict[str, Any]:
        if position < len(self.given):
            return self.given[position].metadata
        assert self.made_up is not None
        metadata: dict[str, Any] = json.loads(self.made_up.metadata(self.step_at(position)))
        return metadata

    def parts_at(self, position: int) -> list[Part]:
        """The state's JSON, in parts."""
        if position < len(self.given):
            return [self.given[position].body(self.thread_id, self.namespace)]
        assert self.made_up is not None
        return self.made_up.parts(self.step_at(position))

    def values_at(self, position: int) -> list[Part]:
        if position < len(self.given):
            return [self.given[position].values]
        assert self.made_up is not None
        return self.made_up.values(self.step_at(position))
