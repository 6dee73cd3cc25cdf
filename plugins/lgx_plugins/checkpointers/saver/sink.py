"""The sink: threads put into a checkpointer as LangGraph puts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar

from lgx import (
    Bundle,
    Context,
    Fact,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx_plugins.checkpointers.rebuilding import (
    TAKES_WITH,
    Rebuilder,
    RebuiltBundle,
    previewed_as_rows,
    written_as_rows,
)
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.forms import KINDS
from lgx_plugins.checkpointers.saver.access import Access
from lgx_plugins.checkpointers.saver.config import SaverSinkConfig, identity_of
from lgx_plugins.checkpointers.saver.facts import facts_of, versions_of
from lgx_plugins.checkpointers.saver.loading import Allowed
from lgx_plugins.checkpointers.saver.writing import Writer

__all__ = ["SaverSink"]

_NO_MARKS = (
    "a checkpointer has no place for marks: each run reads all threads again, and those that stand "
    "there with the same content are left as they are"
)

_EVERYTHING = Allowed(("all",))


class SaverSink(Sink[SaverSinkConfig]):
    """Threads by `put` and `put_writes`: parents first, with real namespaces and parents.

    Values are loaded for it, and only names that LangGraph knows to be harmless, or that the
    user allows, are imported; a thread that names others fails. There are no marks: what stands
    there is compared. Where it is the same it is left; where it is a part of what comes (an
    earlier state, or a copy that was cut short) it is replaced; else `on_conflict` decides.
    Each thread is read back after it was written. One that fails is removed again where the
    checkpointer has `delete_thread`. A lock that keeps a second run out there is none.
    """

    name = "saver"
    summary = "any checkpointer of LangGraph's (BaseCheckpointSaver), given by a factory"
    config_type = SaverSinkConfig
    accepts = KINDS
    takes_with = TAKES_WITH
    previews: ClassVar[bool] = True

    def __init__(self, config: SaverSinkConfig) -> None:
        super().__init__(config)
        self.rebuilder = Rebuilder(config.graph, config.verify)
        self.accepts = KINDS | self.rebuilder.kinds
        self._allowed = Allowed(config.allow_modules)
        self._cipher = Cipher(config.aes_key)
        self._opened: Access | None = None

    async def __aenter__(self) -> SaverSink:
        access = Access(self.config.factory)
        try:
            await access.open()
        except BaseException:
            await access.close()
            raise
        self._opened = access
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        access, self._opened = self._opened, None
        if access is not None:
            await access.close()
        await self.rebuilder.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        return versions_of(self._access)

    async def probe(self, context: Context) -> Probe:
        marks = Fact(name="marks", value=_NO_MARKS)
        return Probe(facts=(*facts_of(self._access, self._access.serde), marks))

    async def begin(self, run: RunInfo, context: Context) -> None:
        await self.rebuilder.open()
        if run.source == identity_of(self.config):
            raise UsageError(
                f"{self.config.factory!r} is the source, too; where one factory opens several "
                "places, name them by --source-place and --sink-place"
            )

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return {}

    @written_as_rows
    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return [await self._writer(bundle).store(bundle, context) for bundle in bundles]

    @previewed_as_rows
    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        return await self._writer(bundle).preview(bundle)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        for thread_id in thread_ids:
            if not await self._access.delete_thread(thread_id):
                raise UsageError(
                    f"{self._access.name} cannot remove threads: it has no delete_thread; remove "
                    "them by other means"
                )

    @property
    def _access(self) -> Access:
        assert self._opened is not None, "used before it was opened"
        return self._opened

    def _writer(self, bundle: Bundle) -> Writer:
        own = isinstance(bundle, RebuiltBundle)
        return Writer(
            self._access,
            policy=self.config.on_conflict,
            allowed=_EVERYTHING if own else self._allowed,
            cipher=self._cipher,
        )
