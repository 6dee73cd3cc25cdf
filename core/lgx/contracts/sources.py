"""What is read from: a source, or a source that can only be read as a stream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from lgx.context import Context
from lgx.contracts.components import C, Endpoint
from lgx.coverage import Coverage
from lgx.facts import Probe
from lgx.query import Query
from lgx.records import Record
from lgx.threads import Loss, ThreadEnd, ThreadRef

__all__ = ["Source", "SourceBase", "StreamSource"]


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

    async def coverage(self) -> Coverage:
        """What can be here at all, where that is less than `offers` says: an older program's
        file has room for less. Called once, while open, by `lgx verify`, which compares
        nothing else."""
        return Coverage()

    async def check(self, context: Context) -> Probe:
        """Whether all that is stored here is as it was written, as far as the format tells by
        itself: by hashes and counts. What is not is a fact of level `error`.

        Called once, while open, by `lgx verify` of this source alone; all is read after.
        """
        return Probe()

    def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        """The deployment's own records of one kind of `EXTRA_KINDS`.

        Called at most once for each such kind in `offers`; where the sink does not accept it,
        only to see whether there is any.
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
        """The records of each thread together: its `thread` (which among a checkpointer's rows
        there is none of), then its checkpoints, parents before children, over all namespaces,
        then its other records; then its `ThreadEnd`.

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
