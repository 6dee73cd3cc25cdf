"""Sources and sinks in memory: for tests of what stands between them, and as the shortest
ones that fulfil the contracts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar

from lgx.codec import decode_line, encode_line
from lgx.config import Config
from lgx.context import Context
from lgx.contracts import RunInfo, Sink, Source, StreamSource
from lgx.errors import ThreadError, UsageError
from lgx.facts import Fact, Probe
from lgx.query import Query
from lgx.records import ANY_KIND, EXTRA_KINDS, Record, Thread
from lgx.spool import Bundle
from lgx.threads import Mark, ThreadEnd, ThreadRef, WriteOutcome

__all__ = [
    "MemoryConfig",
    "MemoryDocumentSink",
    "MemorySink",
    "MemorySource",
    "MemoryStream",
    "MemoryTarget",
]

_KINDS = frozenset({"thread", "checkpoint", "run", *EXTRA_KINDS})


@dataclass
class StoredThread:
    """A thread's lines and its mark."""

    lines: list[bytes]
    mark: Mark | None


@dataclass
class MemoryTarget:
    """A place that several objects read and write, as they would a file.

    Attributes:
        threads: by the identity of their source, and id.
        extras: the deployment's own records by kind, as lines.
    """

    threads: dict[tuple[str, str], StoredThread] = field(default_factory=dict)
    extras: dict[str, list[bytes]] = field(default_factory=dict)

    @classmethod
    def filled(
        cls, threads: Iterable[Sequence[Record]], extras: Mapping[str, Sequence[Record]]
    ) -> MemoryTarget:
        """One that holds these threads, and records of the deployment by kind."""
        target = cls()
        for records in threads:
            target.put(records)
        for kind, kept in extras.items():
            target.extras[kind] = [encode_line(record) for record in kept]
        return target

    def put(self, records: Sequence[Record], *, source: str = "memory://given") -> None:
        """Stores a thread, the first of whose records is its `thread`."""
        head = records[0]
        assert isinstance(head, Thread)
        lines = [encode_line(record) for record in records]
        self.threads[source, head.thread_id] = StoredThread(lines, None)

    def records(self) -> list[Record]:
        """Everything in it."""
        lines = [line for thread in self.threads.values() for line in thread.lines]
        lines += [line for kept in self.extras.values() for line in kept]
        return [decode_line(line) for line in lines]

    def state(self) -> object:
        """Equal as long as nothing was changed."""
        return {key: list(thread.lines) for key, thread in self.threads.items()}, {
            kind: list(lines) for kind, lines in self.extras.items()
        }


class MemoryConfig(Config, frozen=True, kw_only=True):
    """Where; the one option of everything in memory."""

    target: MemoryTarget


class MemorySink(Sink[MemoryConfig]):
    """Keeps threads and marks; each `write` is durable, as far as memory is."""

    name = "memory"
    config_type = MemoryConfig
    accepts = ANY_KIND
    max_writers: ClassVar[int] = 4

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__(config)
        self.source = ""

    @property
    def target(self) -> MemoryTarget:
        return self.config.target

    async def probe(self, context: Context) -> Probe:
        return Probe(facts=(Fact(name="threads", value=str(len(self.target.threads))),))

    async def begin(self, run: RunInfo, context: Context) -> None:
        others = {source for source, _ in self.target.threads} - {run.source}
        if others and not run.merge:
            raise UsageError(
                f"the target holds threads of {sorted(others)[0]}; to add those of "
                f"{run.source}, use --merge"
            )
        self.source = run.source

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        stored = {
            ref.thread_id: self.target.threads.get((self.source, ref.thread_id)) for ref in refs
        }
        return {
            thread_id: thread.mark
            for thread_id, thread in stored.items()
            if thread is not None and thread.mark is not None
        }

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return [self.store(bundle) for bundle in bundles]

    def store(self, bundle: Bundle) -> WriteOutcome:
        """Keeps one thread, whole or not at all."""
        try:
            lines = [encode_line(record) for record in bundle]
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
        self.target.threads[self.source, bundle.thread_id] = StoredThread(lines, bundle.mark)
        return WriteOutcome(thread_id=bundle.thread_id)

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        before = self.target.extras.get(kind, []) if bundle.outcome == "partial" else []
        self.target.extras[kind] = [*before, *bundle.lines()]
        return WriteOutcome(thread_id=None)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        for thread_id in thread_ids:
            self.target.threads.pop((self.source, thread_id), None)


class MemoryDocumentSink(MemorySink):
    """Holds no marks: each run makes everything anew, and it appears when the run finishes."""

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__(config)
        self.draft = MemoryTarget()

    @property
    def target(self) -> MemoryTarget:
        return self.draft

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return {}

    async def finish(self, context: Context) -> None:
        self.config.target.threads = self.draft.threads
        self.config.target.extras = self.draft.extras


class MemorySource(Source[MemoryConfig]):
    """Reads a target; a version is the digest of a thread's lines."""

    name = "memory"
    config_type = MemoryConfig
    ordered: ClassVar[bool] = True
    refs_per_read: ClassVar[int] = 3
    offers = _KINDS

    async def probe(self, context: Context) -> Probe:
        return Probe(facts=(Fact(name="threads", value=str(len(self.config.target.threads))),))

    async def identity(self) -> str:
        return "memory://target"

    def stored(self, thread_id: str) -> StoredThread | None:
        """The thread of that id, of whatever source."""
        for (_, known_id), thread in self.config.target.threads.items():
            if known_id == thread_id:
                return thread
        return None

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
        ids = {thread_id for _, thread_id in self.config.target.threads}
        for thread_id in sorted(ids, key=lambda text: text.encode()):
            thread = self.stored(thread_id)
            assert thread is not None
            head = decode_line(thread.lines[0])
            assert isinstance(head, Thread)
            if query.admits(head):
                yield ThreadRef(thread_id=thread_id, version=self.version(thread))

    def version(self, thread: StoredThread) -> str:
        return sha256(b"\n".join(thread.lines)).hexdigest()

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            thread = self.stored(ref.thread_id)
            if thread is None:
                yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
                continue
            for line in thread.lines:
                yield decode_line(line)
            yield ThreadEnd(thread_id=ref.thread_id, outcome="complete")

    async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        for line in self.config.target.extras.get(kind, []):
            yield decode_line(line)


class MemoryStream(StreamSource[MemoryConfig]):
    """The same, in one pass."""

    name = "memory-stream"
    config_type = MemoryConfig
    offers = _KINDS

    async def probe(self, context: Context) -> Probe:
        return await MemorySource(self.config).probe(context)

    async def identity(self) -> str:
        return "memory://target"

    async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
        inner = MemorySource(self.config)
        if query.extras:
            for kind in EXTRA_KINDS:
                async for record in inner.extras(kind, query, context):
                    yield record
        async for ref in inner.list(query, context):
            async for item in inner.read([ref], context):
                if isinstance(item, ThreadEnd):
                    item = ThreadEnd(
                        thread_id=item.thread_id, outcome=item.outcome, version=ref.version
                    )
                yield item
