"""What is written to, and what it is told about the run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct

from lgx.config import Config
from lgx.context import Context
from lgx.contracts.components import C, Endpoint
from lgx.spool import Bundle
from lgx.threads import Mark, ThreadRef, WriteOutcome

__all__ = ["RunInfo", "Sink"]


class RunInfo(Struct, frozen=True, kw_only=True):
    """What a sink is told about the run that will write to it.

    Attributes:
        source: identity of the source. A target that holds threads of another one refuses
            with `UsageError`, unless `merge`; merged threads are kept apart by it.
        source_name: the source's plugin.
        kinds: the kinds of records that may come.
        versions: of lgx and of the source's server.
        dry_run: nothing may be created or changed, only `held`, `preview` and `preview_extras`
            are called.
    """

    source: str
    started_at: str
    fingerprint: str
    source_name: str = ""
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

    takes_with: ClassVar[Mapping[str, str]] = {}
    """Kinds that an instance accepts besides where an option is given, and which one, in words:
    `--sink-graph, which …`. For messages; `accepts` of the instance is what counts."""

    read_config_type: ClassVar[type[Config] | None] = None
    """The options by which the source of the same name reads what was written here, where they
    are not just that source's own: a key from another variable. For `lgx verify`; a subclass
    of the source's `config_type`."""

    max_writers: ClassVar[int] = 1
    """How many `write` calls may run at once."""

    batch_bytes: ClassVar[int] = 4 << 20
    """A batch is handed over when its bundles reach this size …"""

    batch_threads: ClassVar[int] = 500
    """… or this number …"""

    batch_seconds: ClassVar[float] = 1.0
    """… or its first bundle has waited so long."""

    previews: ClassVar[bool] = False
    """Whether only a look at a thread tells what would become of it here, so that dry runs
    read threads and call `preview`, and read extras and call `preview_extras`."""

    async def begin(self, run: RunInfo, context: Context) -> None:
        """Called once, first: takes locks, creates and migrates what is missing. The context is
        that of the whole run.

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

    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        """What `write` would say of a thread, as far as can be told without changing anything.

        Called in dry runs where `previews` is true, up to `max_writers` at once.
        """
        return WriteOutcome(thread_id=bundle.thread_id)

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        """Makes the source's records of one of `EXTRA_KINDS` durable, in place of those held.

        Called for the kinds in `accepts`, never while a `write` runs: `assistant`
        before the first thread, the others after the last; again with the whole, if more
        came in a stream. A partial bundle replaces nothing: it is added.
        """
        raise NotImplementedError(f"{type(self).__name__} accepts {kind} but does not write it")

    async def preview_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        """What `write_extras` would say of these records, as far as can be told without changing
        anything; how many of them would be created or replaced it notes.

        Called in dry runs where `previews` is true.
        """
        return WriteOutcome(thread_id=None)

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
