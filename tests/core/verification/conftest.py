"""Two places in memory, and verifications of what they hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from lgx import (
    ANY_KIND,
    Checkpoint,
    Config,
    Context,
    Coverage,
    Loss,
    Record,
    SourceBase,
    Thread,
    ThreadEnd,
    ThreadRef,
    Verification,
    raw,
    use,
    verify_async,
)
from lgx.testing.memory import MemoryConfig, MemorySource, MemoryStream, MemoryTarget


class NoOptions(Config, frozen=True, kw_only=True):
    pass


class HeldSource(MemorySource):
    """Reads the place that the test has bound to its class."""

    config_type = NoOptions  # type: ignore[assignment]
    place: MemoryTarget
    offers = ANY_KIND
    covers = Coverage()
    losses: Mapping[str, Loss] = {}
    broken: Exception | None = None
    reads: list[str]

    def __init__(self, config: Any) -> None:
        super().__init__(MemoryConfig(target=self.place))

    async def coverage(self) -> Coverage:
        return self.covers

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        if self.broken is not None:
            raise self.broken
        self.reads += [ref.thread_id for ref in refs]
        async for item in super().read(refs, context):
            if isinstance(item, ThreadEnd) and item.thread_id in self.losses:
                loss = self.losses[item.thread_id]
                item = msgspec.structs.replace(item, outcome="partial", losses=(loss,))
            yield item


class HeldStream(MemoryStream):
    config_type = NoOptions  # type: ignore[assignment]
    place: MemoryTarget

    def __init__(self, config: Any) -> None:
        super().__init__(MemoryConfig(target=self.place))


class Pair:
    """A source and a sink; `verify` compares them."""

    def __init__(self) -> None:
        self.source = MemoryTarget()
        self.sink = MemoryTarget()
        self.classes: dict[str, type[SourceBase[Any]]] = {}
        self.here()
        self.there()
        self.classes["streamed"] = type("S", (HeldStream,), {"place": self.source})

    def here(self, **attributes: Any) -> list[str]:
        """Reads the source, with attributes of the class; what is read of it."""
        return self._bind("here", self.source, attributes)

    def there(self, **attributes: Any) -> list[str]:
        """Reads the sink, likewise."""
        return self._bind("there", self.sink, attributes)

    def _bind(self, name: str, place: MemoryTarget, attributes: Mapping[str, Any]) -> list[str]:
        reads: list[str] = []
        bound = {"place": place, "reads": reads, **attributes}
        self.classes[name] = type("S", (HeldSource,), bound)
        return reads

    def put(self, left: Sequence[Record], right: Sequence[Record] | None = None) -> None:
        """A thread on both sides; what the sink has of it, where that is something else."""
        self.source.put(left)
        self.sink.put(left if right is None else right)

    async def verify(
        self, source: str | None = "here", sink: str | None = "there", **options: Any
    ) -> Verification:
        sides = [None if name is None else use(name) for name in (source, sink)]
        registry: Any = FixedRegistry(self.classes)
        return await verify_async(sides[0], sides[1], registry=registry, **options)


class FixedRegistry:
    """Gives the sources of a test, whatever is installed."""

    def __init__(self, classes: Mapping[str, type[SourceBase[Any]]]) -> None:
        self._classes = classes

    def source(self, name: str) -> type[SourceBase[Any]]:
        return self._classes[name]

    def components(self, name: str) -> Mapping[str, type[Any]]:
        return {"source": self._classes[name]}


@pytest.fixture
def pair() -> Pair:
    return Pair()


def thread(thread_id: str, **fields: Any) -> Thread:
    known: dict[str, Any] = {
        "created_at": "2026-01-01T12:00:00+00:00",
        "updated_at": "2026-01-02T12:00:00+00:00",
        "status": "idle",
        "metadata": raw({"graph_id": "agent", "owner": "zoe"}),
        "values": raw({"n": 2, "messages": [{"type": "human", "content": "hi"}]}),
        **fields,
    }
    return Thread(thread_id=thread_id, **known)


def state(thread_id: str, number: int, **fields: Any) -> Checkpoint:
    known: dict[str, Any] = {
        "checkpoint_ns": "",
        "checkpoint_id": f"c{number:04}",
        "parent_checkpoint_id": f"c{number - 1:04}" if number else None,
        "created_at": f"2026-01-01T12:00:{number % 60:02}+00:00",
        "values": raw({"n": number, "messages": [{"type": "human", "content": "hi"}]}),
        "next": raw(["model"]),
        "tasks": raw([]),
        "metadata": raw({"source": "loop", "step": number - 1, "run_id": "r"}),
        "interrupts": raw([]),
        **fields,
    }
    return Checkpoint(thread_id=thread_id, **known)


@pytest.fixture
def make() -> Any:
    """Names that test modules need, since they cannot import a conftest."""

    class Make:
        thread = staticmethod(thread)
        state = staticmethod(state)

        @staticmethod
        def history(thread_id: str, count: int = 3) -> list[Record]:
            return [thread(thread_id), *(state(thread_id, number) for number in range(count))]

    return Make
