"""The contracts between the engine and its plugins.

    source.list ─▶ sink.held ─▶ source.read ─▶ transforms ─▶ validators ─▶ sink.write

Hooks register classes; the engine makes one object of each that a command names, with its
config, and calls the plain methods below. All async methods of one object are called on
one event loop. A method may raise `UsageError` (the options are wrong), `FatalError` (stop),
`RetryableError` (only out of `Context.request`) and `ThreadError` (this thread fails, the
others go on). Any other exception is taken for a bug in the plugin and ends the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct

from lgx.config import Config
from lgx.context import Context
from lgx.facts import Probe
from lgx.query import Query
from lgx.records import Record
from lgx.spool import Bundle
from lgx.threads import Loss, Mark, ThreadEnd, ThreadRef, WriteOutcome

__all__ = [
    "BundleValidator",
    "Component",
    "Endpoint",
    "RecordTransform",
    "RecordValidator",
    "RunInfo",
    "Sink",
    "Source",
    "SourceBase",
    "StreamSource",
    "ThreadTransform",
    "Transform",
    "Validator",
    "Violation",
]

C = TypeVar("C", bound=Config)


class Component(ABC, Generic[C]):
    """What every plugin class has: a name, typed options, and a constructor that takes them.

    The constructor only keeps the config: no file, connection or network is touched.
    """

    name: ClassVar[str]
    """The entry point's name, by which users call it; a sink and a source may share it."""

    summary: ClassVar[str] = ""
    """One line for `lgx plugins`."""

    config_type: ClassVar[type[Config]]

    def __init__(self, config: C) -> None:
        self.config = config


class Endpoint(Component[C]):
    """A source or a sink: opened once, closed once, by the engine.

    `__aenter__` opens what exists and creates nothing. `__aexit__` frees everything, also
    after a failure, and leaves nothing half done under a final name.
    """

    async def __aenter__(self) -> Endpoint[C]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def versions(self, context: Context) -> Mapping[str, str]:
        """Of the server or format behind it, for the report: `{"langgraph-api": "0.16.7"}`.

        Called once at the begin of a run, while open; the first use of the far side, so
        that a wrong address or a refused key comes to light here.
        """
        return {}

    @abstractmethod
    async def probe(self, context: Context) -> Probe:
        """Checks credentials, reachability, versions and limits; moves and creates nothing.

        Called while open, by `lgx doctor`. What is wrong with the far side is a fact of level
        `error`, or the error that using it would raise.
        """


class SourceBase(Endpoint[C]):
    """What both kinds of source have in common."""

    offers: frozenset[str]
    """Kinds of records that may come, or `ANY_KIND` where only reading tells; a class
    attribute, or set by the constructor where it depends on the options."""

    keeps_earlier: ClassVar[bool] = False
    """Whether earlier states can be read (`Query.as_of`)."""

    async def expected(self, query: Query, context: Context) -> int | None:
        """About how many threads will come, for progress; None where it is not cheap to know."""
        return None

    @abstractmethod
    async def identity(self) -> str:
        """Names the place that the threads come from: a URL, a database's or archive's id.

        The same place always has the same identity, different ones never share it; no
        secret is part of it. Called once, while open.
        """

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        """The deployment's own records of one kind of `EXTRA_KINDS`.

        Called at most once for each such kind in `offers` that the sink accepts.
        """
        raise NotImplementedError(f"{type(self).__name__} offers {kind} but does not read it")


class Source(SourceBase[C]):
    """A source whose threads can be listed cheaply and read in any order."""

    ordered: ClassVar[bool] = False
    """Whether `list` yields in the order of the ids' UTF-8 bytes."""

    refs_per_read: ClassVar[int] = 1
    """How many threads one `read` is given at most: many suit a database, one an API."""

    reads_per_place: ClassVar[int] = 1
    """How many reads of one thread run for each place of `--concurrency`. More than one is
    for a source that asks for all large bodies by `Context.request(…, bulk=True)`, which
    bounds them, and waits for look-ups in between."""

    @abstractmethod
    def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        """Each thread that passes the query and exists from start to end exactly once,
        also while the source changes. Cheap: no thread's state is read. Called once.

        A `Loss` is a thread that is known to be there and cannot be listed (with its id), or
        threads of which no more is known than that they are missing (without).
        """

    @abstractmethod
    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        """The records of each thread together: its `thread`, then its checkpoints, parents
        before children, over all namespaces, then its other records; then its `ThreadEnd`.

        Called many times, concurrently, with refs that `list` gave; a ref comes again only
        where a read of several failed, then alone. The version is taken before a thread's
        records are read and compared after. A failure inside one thread ends that thread with
        a loss, not the others; a thread that has gone ends as `deleted`.
        """


class StreamSource(SourceBase[C]):
    """A source that can only be read from its first byte to its last, such as a file."""

    @abstractmethod
    def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd | Loss]:
        """The records and ends of all threads that pass the query, in one pass.

        Like `Source.read`; each `ThreadEnd` carries a version, which differs whenever the
        thread's content does. Records of `EXTRA_KINDS` may stand before, between
        and after the threads where `query.extras` asks for them; so may a `Loss` of what
        cannot be told to belong to any thread. Called once.
        """


class RunInfo(Struct, frozen=True, kw_only=True):
    """What a sink is told about the run that will write to it.

    Attributes:
        source: identity of the source. A target that holds threads of another one refuses
            with `UsageError`, unless `merge`; merged threads are kept apart by it.
        kinds: the kinds of records that may come.
        versions: of lgx and of the source's server.
        dry_run: nothing may be created or changed, only `held` is called.
    """

    source: str
    started_at: str
    fingerprint: str
    kinds: frozenset[str] = frozenset()
    versions: dict[str, str] = {}
    merge: bool = False
    dry_run: bool = False


class Sink(Endpoint[C]):
    """Holds threads: each whole or not at all, and its mark with it.

    Order of calls: `begin`; `held` any number of times; `write` and `write_extras` any
    number of times, the former up to `max_writers` at once; `finish`, unless the run was
    aborted. What `held` says must survive a crash at any moment.
    """

    accepts: frozenset[str]
    """Kinds that can be held, or `ANY_KIND`. Others are listed in the report as lost."""

    max_writers: ClassVar[int] = 1
    """How many `write` calls may run at once."""

    batch_bytes: ClassVar[int] = 4 << 20
    """A batch is handed over when its bundles reach this size …"""

    batch_threads: ClassVar[int] = 500
    """… or this number …"""

    batch_seconds: ClassVar[float] = 1.0
    """… or its first bundle has waited so long."""

    async def begin(self, run: RunInfo) -> None:
        """Called once, first: takes locks, creates and migrates what is missing.

        Raises:
            LockedError: another run is writing here.
            UsageError: the target holds another source's threads, or is not what it should be.
        """

    @abstractmethod
    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        """The marks of those of these threads that stand here whole, of this run's source.

        A sink that holds no marks answers `{}`: each run then writes everything.
        """

    @abstractmethod
    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        """Makes each bundle durable with its mark, in place of what stood under its id.

        On return each thread stands whole, or its outcome has an `error`; one outcome for
        each bundle. A bundle without mark is stored without one. Writing twice leaves what
        writing once leaves. Bundles are closed by the engine, afterwards.
        """

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        """Makes the source's records of one of `EXTRA_KINDS` durable, in place of those held.

        Called for the kinds in `accepts`, never while a `write` runs: `assistant`
        before the first thread, the others after the last; again with the whole, if more
        came in a stream. A partial bundle replaces nothing: it is added.
        """
        raise NotImplementedError(f"{type(self).__name__} accepts {kind} but does not write it")

    @abstractmethod
    async def forget(self, thread_ids: Sequence[str]) -> None:
        """Removes these threads of this run's source and their marks; others are ignored.

        For whoever wants them gone: no run calls it, a thread that is deleted at the source
        stays in a copy of it.
        """

    async def clean(self, context: Context) -> Sequence[str]:
        """Removes what runs that were cut short left behind, and nothing else; names of it.

        Called by `lgx doctor --clean`, while open, in place of a run.

        Raises:
            LockedError: a run is at work here.
        """
        return ()

    async def finish(self, context: Context) -> None:
        """Called once, when everything was written (exit 0 or 3): what has to appear whole
        appears now. Not called when the run was aborted or interrupted.
        """


class Transform(Component[C]):
    """Changes records; a subclass of one of the two below.

    It fails closed: where it raises, the thread does not reach the sink.
    """

    handles: frozenset[str]
    """Kinds that it understands. A kind in the plan that it does not handle is a usage
    error: a scrubber that knows only checkpoints would let store items through."""

    version: ClassVar[str] = "1"
    """Changed whenever the same options give another result: copies are then made anew."""

    def map_ref(self, ref: ThreadRef) -> ThreadRef:
        """The reference under which the target knows the thread; for those that change ids."""
        return ref


class RecordTransform(Transform[C]):
    """Sees one record at a time."""

    @abstractmethod
    def apply(self, record: Record) -> Iterable[Record]:
        """The records to put in its place: none drops it. Pure: the same record always
        gives the same result. Called for each record, threads' and extras alike."""


class ThreadTransform(Transform[C]):
    """Sees a whole thread at a time, for what a single record does not tell."""

    leaves_extras: ClassVar[bool] = False
    """Whether a deployment's own records may pass untouched, since its task ends with threads
    (keep the last checkpoints, cut a fork). Without it a plan that has them is refused."""

    @abstractmethod
    def apply(self, bundle: Bundle) -> AsyncIterator[Record]:
        """The records to put in place of the thread's. Not called for extras."""


class Violation(Struct, frozen=True, kw_only=True):
    """A rule that data breaks: `rule` and `place` (a path), never the value itself."""

    rule: str
    place: str
    message: str = ""


class Validator(Component[C]):
    """Reports violations; the engine decides what they cost (`--on-violation`)."""

    handles: frozenset[str]


class RecordValidator(Validator[C]):
    @abstractmethod
    def check(self, record: Record) -> Iterable[Violation]:
        """What is wrong with this record. Called once for each record of `handles`, threads'
        and extras alike."""


class BundleValidator(Validator[C]):
    @abstractmethod
    def check(self, bundle: Bundle) -> Iterable[Violation]:
        """What is wrong with this thread as a whole. Called once for each thread."""
