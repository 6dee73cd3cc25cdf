"""Plugins in memory, and a registry that holds what a test gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from lgx import (
    ANY_KIND,
    Bundle,
    Checkpoint,
    Config,
    Context,
    FatalError,
    Loss,
    Mark,
    Probe,
    Query,
    Record,
    Report,
    RunInfo,
    RunSpec,
    Sink,
    Source,
    StoreItem,
    StreamSource,
    Thread,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    Use,
    WriteOutcome,
    encode_line,
    raw,
)
from lgx.engine import Stop, execute
from lgx.engine.run_context import RunContext


class NoOptions(Config, frozen=True, kw_only=True):
    pass


def checkpoints(thread_id: str, count: int) -> list[Record]:
    return [
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"c{number:04}",
            parent_checkpoint_id=f"c{number - 1:04}" if number else None,
            values=raw({"n": number}),
        )
        for number in range(count)
    ]


class World:
    """What the source holds, how it misbehaves, and what reached the sink."""

    def __init__(self) -> None:
        self.threads: dict[str, tuple[str, int]] = {}
        self.ends: dict[str, ThreadEnd] = {}
        self.read_errors: dict[str, Exception] = {}
        self.list_error: Exception | None = None
        self.extras: dict[str, list[Record]] = {}
        self.reads: list[list[str]] = []
        self.together = 1
        self.on_read: Callable[[str], Awaitable[None]] | None = None

        self.stored: dict[str, list[bytes]] = {}
        self.marks: dict[str, Mark] = {}
        self.stored_extras: dict[str, list[bytes]] = {}
        self.calls: list[str] = []
        self.batches: list[list[str]] = []
        self.write_errors: dict[str, Exception] = {}
        self.outcomes: dict[str, WriteOutcome] = {}
        self.run: RunInfo | None = None

    def add(self, *thread_ids: str, version: str = "1", count: int = 3) -> None:
        for thread_id in thread_ids:
            self.threads[thread_id] = (version, count)

    def ends_of_run(self) -> list[str]:
        """How the sink was opened and closed, without the extras between."""
        return [call for call in self.calls if not call.startswith("extras")]

    def lines(self, thread_id: str) -> list[bytes]:
        """What the sink should hold of a thread that came whole and unchanged."""
        records = [Thread(thread_id=thread_id), *checkpoints(thread_id, self.threads[thread_id][1])]
        return [encode_line(record) for record in records]


class MemorySource(Source[NoOptions]):
    name = "memory"
    config_type = NoOptions
    offers = frozenset({"thread", "checkpoint", "store_item", "assistant"})
    world: World

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def identity(self) -> str:
        return "memory:1"

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
        for thread_id, (version, _) in self.world.threads.items():
            yield ThreadRef(thread_id=thread_id, version=version)
        if self.world.list_error:
            raise self.world.list_error

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        self.world.reads.append([ref.thread_id for ref in refs])
        for ref in refs:
            if self.world.on_read:
                await self.world.on_read(ref.thread_id)
            if ref.thread_id in self.world.read_errors:
                raise self.world.read_errors[ref.thread_id]
            yield Thread(thread_id=ref.thread_id)
            for record in checkpoints(ref.thread_id, self.world.threads[ref.thread_id][1]):
                yield record
            yield self.world.ends.get(
                ref.thread_id, ThreadEnd(thread_id=ref.thread_id, outcome="complete")
            )

    async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        for record in self.world.extras.get(kind, []):
            yield record


class MemoryStream(StreamSource[NoOptions]):
    name = "stream"
    config_type = NoOptions
    offers = ANY_KIND
    world: World

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def identity(self) -> str:
        return "stream:1"

    async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
        for record in self.world.extras.get("assistant", []):
            yield record
        for thread_id, (version, count) in self.world.threads.items():
            yield Thread(thread_id=thread_id)
            for record in checkpoints(thread_id, count):
                yield record
            yield ThreadEnd(thread_id=thread_id, outcome="complete", version=version)
        for record in self.world.extras.get("store_item", []):
            yield record


class MemorySink(Sink[NoOptions]):
    name = "memory"
    config_type = NoOptions
    accepts = ANY_KIND
    batch_seconds = 0.01
    world: World

    async def __aenter__(self) -> MemorySink:
        self.world.calls.append("open")
        return self

    async def __aexit__(self, exc_type: Any, exc: Any, traceback: Any) -> None:
        self.world.calls.append("close" if exc_type is None else "abandon")

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def begin(self, run: RunInfo, context: Context) -> None:
        self.world.run = run

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        marks = self.world.marks
        return {ref.thread_id: marks[ref.thread_id] for ref in refs if ref.thread_id in marks}

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        self.world.batches.append([bundle.thread_id for bundle in bundles])
        for bundle in bundles:
            if bundle.thread_id in self.world.write_errors:
                raise self.world.write_errors[bundle.thread_id]
        for bundle in bundles:
            self.world.stored[bundle.thread_id] = list(bundle.lines())
            self.world.marks.pop(bundle.thread_id, None)
            if bundle.mark is not None:
                self.world.marks[bundle.thread_id] = bundle.mark
        return [
            self.world.outcomes.get(bundle.thread_id, WriteOutcome(thread_id=bundle.thread_id))
            for bundle in bundles
        ]

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        self.world.calls.append(f"extras {kind}")
        self.world.stored_extras[kind] = list(bundle.lines())
        return WriteOutcome(thread_id=None)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        for thread_id in thread_ids:
            self.world.stored.pop(thread_id, None)

    async def finish(self, context: Context) -> None:
        self.world.calls.append("finish")


class FixedRegistry:
    """Gives the same classes whatever is installed."""

    def __init__(self, **components: type[Any]) -> None:
        self.components = components

    def source(self, name: str) -> type[Any]:
        return self.components[f"source_{name}"]

    def sink(self, name: str) -> type[Any]:
        return self.components[f"sink_{name}"]

    def transform(self, name: str) -> type[Any]:
        return self.components[f"transform_{name}"]

    def validator(self, name: str) -> type[Any]:
        return self.components[f"validator_{name}"]


class Bench:
    """A world and the means to run a pipeline over it."""

    def __init__(self) -> None:
        self.world = World()
        self.parts: dict[str, type[Any]] = {}
        self.stop = Stop()

    @contextmanager
    def made_spools(self, spools: list[Any]) -> Iterator[None]:
        """Collects the spools that a run makes."""
        made = RunContext.spool

        def spool(context: RunContext) -> Any:
            spools.append(made(context))
            return spools[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunContext, "spool", spool)
            yield

    async def run(self, source: str = "memory", **fields: Any) -> Report:
        world = self.world
        bound = {
            "source_memory": type(
                "S", (MemorySource,), {"world": world, "refs_per_read": world.together}
            ),
            "source_stream": type("S", (MemoryStream,), {"world": world}),
            "sink_memory": type("K", (MemorySink,), {"world": world}),
        }
        spec = RunSpec(source=Use(name=source), sink=Use(name="memory"), **fields)
        registry: Any = FixedRegistry(**{**bound, **self.parts})
        return await execute(spec, registry, stop=self.stop)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def kit() -> Any:
    """Names that test modules need, since they cannot import a conftest."""

    class Kit:
        loss = Loss
        end = ThreadEnd
        fatal = FatalError
        thread_error = ThreadError
        options = NoOptions
        source = MemorySource
        stream = MemoryStream
        sink = MemorySink
        item = staticmethod(
            lambda key: StoreItem(namespace=("a",), key=key, value=raw(1), created_at=None)
        )

    return Kit
