"""Checkpointers of several kinds, and factories that give them by name."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Query, Record, Report, ThreadEnd, ThreadRef, Use
from lgx.testing import make_bundle, make_context, make_run
from lgx_plugins.checkpointers.saver import SaverSink, SaverSource
from lgx_plugins.checkpointers.saver.config import SaverSinkConfig, SaverSourceConfig


class AsyncOnly(BaseCheckpointSaver[str]):
    """One that knows no other way than async, and keeps all in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InMemorySaver()

    def get_next_version(self, current: Any, channel: None) -> str:
        return self.inner.get_next_version(current, channel)

    async def aget_tuple(self, config: Any) -> Any:
        return self.inner.get_tuple(config)

    async def alist(self, config: Any, **options: Any) -> AsyncIterator[Any]:
        for item in self.inner.list(config, **options):
            yield item

    async def aput(self, *args: Any) -> Any:
        return self.inner.put(*args)

    async def aput_writes(self, *args: Any) -> None:
        self.inner.put_writes(*args)

    async def adelete_thread(self, thread_id: str) -> None:
        self.inner.delete_thread(thread_id)


class Odd(InMemorySaver):
    """One whose ways can be chosen.

    Attributes:
        unlisted: `list(None)` raises.
        capped: a list gives no more than so many checkpoints.
        one_namespace: a thread's list shows the root, where no namespace is asked for.
        breaks_after: a thread's list raises after so many.
        put_breaks_after: `put` raises after so many.
        undeletable: there is no `delete_thread`.
        shares: a list gives one object again and again.
    """

    unlisted = False
    capped: int | None = None
    one_namespace = False
    breaks_after: int | None = None
    put_breaks_after: int | None = None
    undeletable = False
    shares = False

    def list(self, config: Any, **options: Any) -> Iterator[Any]:
        if config is None and self.unlisted:
            raise ValueError("a thread_id is required")
        if config is not None and self.one_namespace:
            given = {"checkpoint_ns": "", **config["configurable"]}
            config = {"configurable": given}
        shared: Any = {}
        for at, item in enumerate(super().list(config, **options)):
            if at == self.breaks_after:
                raise ConnectionError("the line is dead")
            if at == self.capped and config is not None:
                return
            if self.shares:
                shared.clear()
                shared.update(item.checkpoint)
                item = item._replace(checkpoint=shared)
            yield item

    def put(self, *args: Any) -> Any:
        if self.put_breaks_after is not None:
            self.put_breaks_after -= 1
            if self.put_breaks_after < 0:
                raise ConnectionError("the line is dead")
        return super().put(*args)

    def delete_thread(self, thread_id: str) -> None:
        if self.undeletable:
            raise NotImplementedError
        super().delete_thread(thread_id)


class Savers:
    """Factories by name, and runs from and to them."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.AsyncOnly = AsyncOnly
        self.Odd = Odd

    def name(self, factory: Any) -> str:
        """The name under which a factory, or a saver, is found."""
        for name, known in vars(self._module).items():
            if known is factory:
                return f"{self._module.__name__}:{name}"
        name = f"made_{len(vars(self._module))}"
        setattr(self._module, name, factory)
        return f"{self._module.__name__}:{name}"

    def use(self, factory: Any, **options: Any) -> Use:
        return lgx.use("saver", factory=self.name(factory), **options)

    def source(self, factory: Any, **options: Any) -> SaverSource:
        return SaverSource(SaverSourceConfig(factory=self.name(factory), **options))

    def sink(self, factory: Any, **options: Any) -> SaverSink:
        return SaverSink(SaverSinkConfig(factory=self.name(factory), **options))

    async def read(
        self, factory: Any, query: Query | None = None, **options: Any
    ) -> tuple[dict[str, list[Record]], dict[str, ThreadEnd], list[Any], list[str]]:
        """Records and ends by thread, losses of the list, and what was noted."""
        records: dict[str, list[Record]] = {}
        ends: dict[str, ThreadEnd] = {}
        context = make_context()
        async with self.source(factory, **options) as source:
            listed = [item async for item in source.list(query or Query(), context)]
            for ref in listed:
                if not isinstance(ref, ThreadRef):
                    continue
                found = records.setdefault(ref.thread_id, [])
                async for item in source.read([ref], context):
                    if isinstance(item, ThreadEnd):
                        ends[ref.thread_id] = item
                    else:
                        found.append(item)
        assert context.budget.used == 0
        losses = [item for item in listed if not isinstance(item, ThreadRef)]
        return records, ends, losses, [note.message for note in context.notes.values()]

    async def write(self, factory: Any, *threads: Any, **options: Any) -> Any:
        """What becomes of threads, each a list of records."""
        context = make_context()
        async with self.sink(factory, **options) as sink:
            await sink.begin(make_run(), context)
            bundles = [make_bundle(context, records) for records in threads]
            try:
                return await sink.write(bundles, context)
            finally:
                for bundle in bundles:
                    bundle.close()

    async def moved(self, source: Use, sink: Use, **options: Any) -> Report:
        """A run of which all must arrive."""
        report = await lgx.run_async(source, sink, **options)
        assert report.exit_code == 0, (report.failures[:3], report.losses[:3])
        assert report.threads.written == report.threads.listed > 0
        return report


@pytest.fixture
def savers() -> Iterator[Savers]:
    module = ModuleType("savers_of_a_test")
    sys.modules[module.__name__] = module
    yield Savers(module)
    del sys.modules[module.__name__]


@pytest.fixture(scope="session")
def _memory_zoo(zoo: Any) -> InMemorySaver:
    saver = InMemorySaver()
    zoo.run(saver)
    return saver


@pytest.fixture
def memory(_memory_zoo: InMemorySaver) -> InMemorySaver:
    """The whole zoo, held in memory; the test's own copy."""
    saver = InMemorySaver()
    for thread_id, namespaces in _memory_zoo.storage.items():
        for namespace, held in namespaces.items():
            saver.storage[thread_id][namespace].update(held)
    for key, writes in _memory_zoo.writes.items():
        saver.writes[key].update(writes)
    saver.blobs.update(_memory_zoo.blobs)
    return saver


@pytest.fixture
def new_sqlite(tmp_path: Any) -> Callable[..., Any]:
    """Gives the context manager of a SqliteSaver."""
    return lambda name="saver.db": SqliteSaver.from_conn_string(str(tmp_path / name))
