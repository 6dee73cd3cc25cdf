"""The source: whatever a checkpointer lists."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, ClassVar

from lgx import (
    CheckpointWrite,
    Context,
    Coverage,
    Fact,
    Loss,
    Probe,
    Query,
    RawCheckpoint,
    Record,
    Source,
    ThreadEnd,
    ThreadRef,
)
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.saver.access import Access, SaverError, Unlisted
from lgx_plugins.checkpointers.saver.config import SaverSourceConfig, identity_of
from lgx_plugins.checkpointers.saver.facts import PATHS, facts_of, note_of_serializer, versions_of
from lgx_plugins.checkpointers.saver.gathering import Gathered
from lgx_plugins.checkpointers.saver.imports import imports_of
from lgx_plugins.checkpointers.saver.listing import Listing, Seen, read_ids
from lgx_plugins.checkpointers.saver.walking import walk
from lgx_plugins.checkpointers.saver.watching import Watch
from lgx_plugins.checkpointers.state import PATHLESS, STATE_KINDS, Form

__all__ = ["SaverSource"]

_WITHOUT_PATHS = frozenset({"task_id", "idx", "channel", "type", "blob"})


class SaverSource(Source[SaverSourceConfig]):
    """Everything that the interface of a checkpointer shows, serialized as it serializes.

    Threads come from `list(None)`, or are named by the user. A thread's own list is looked
    through for what `list(None)` showed and for parents that it names; what is absent there (a
    list may be cut off, or show one namespace) is asked for one by one. To read is to have the
    checkpointer load values, as the agent does: names in its own data are imported as far as
    its serializer does so. A thread is read again where any checkpoint or write has changed.
    """

    name = "saver"
    summary = "any checkpointer of LangGraph's (BaseCheckpointSaver), given by a factory"
    config_type = SaverSourceConfig
    offers = frozenset({RawCheckpoint.kind, CheckpointWrite.kind}) | STATE_KINDS
    ordered: ClassVar[bool] = True

    def __init__(self, config: SaverSourceConfig) -> None:
        super().__init__(config)
        self._opened: Access | None = None
        self._shown: Seen | None = None
        self._watching: Watch | None = None
        self._serde: Any = None
        self._ids: Sequence[str] | None = None
        self._form = Form(config.aes_key)

    async def __aenter__(self) -> SaverSource:
        if self.config.thread_ids is not None:
            self._ids = read_ids(self.config.thread_ids)
        access = Access(self.config.factory)
        try:
            await access.open()
            self._serde = access.serde
            self._watching = Watch(access.saver)
            self._shown = Seen(self._serde, self._watching.found)
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
        if self._shown is not None:
            self._shown.close()
        if self._watching is not None:
            self._watching.end()
        if access is not None:
            await access.close()

    async def versions(self, context: Context) -> Mapping[str, str]:
        return versions_of(self._access)

    async def probe(self, context: Context) -> Probe:
        paths = Fact(name="paths", value=PATHS, level="warn")
        imports = await imports_of(self._access, self._watch, self._serde, self._ids, context)
        return Probe(facts=(*facts_of(self._access, self._serde), paths, *imports))

    async def identity(self) -> str:
        return identity_of(self.config)

    async def coverage(self) -> Coverage:
        return Coverage(fields={CheckpointWrite.kind: _WITHOUT_PATHS, **PATHLESS})

    async def expected(self, query: Query, context: Context) -> int | None:
        check_filters(query)  # a mistake is best told before anything moves
        return None

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        self._form.choose(query, context)
        context.note(PATHS)
        foreign = note_of_serializer(self._serde)
        if foreign is not None:
            context.note(foreign)
        async for item in Listing(self._access, self._seen, self._ids).refs(query, context):
            yield item

    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        return self._form.of(self._rows(refs, context))

    async def _rows(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncGenerator[Record | ThreadEnd, None]:
        for ref in refs:
            with closing(Gathered(ref.thread_id, self._serde, self._watch.found)) as gathered:
                try:
                    await self._gather(gathered, context)
                except SaverError as error:
                    what = "the rest of it" if gathered.count else "thread"
                    gathered.losses.add(what, str(error))
                except Unlisted:
                    return
                losses = gathered.losses.take()
                if not gathered.count and not losses:
                    yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
                    continue
                for record in gathered.records():
                    yield record
                yield ThreadEnd(
                    thread_id=ref.thread_id,
                    outcome="partial" if losses else "complete",
                    version=gathered.version(),
                    losses=losses,
                )

    async def _gather(self, gathered: Gathered, context: Context) -> None:
        thread_id = gathered.thread_id
        await walk(
            self._access,
            thread_id,
            gathered,
            lambda: self._seen.places(thread_id),
            lambda: context.stopping,
        )

    @property
    def _access(self) -> Access:
        assert self._opened is not None, "read before it was opened"
        return self._opened

    @property
    def _watch(self) -> Watch:
        assert self._watching is not None, "read before it was opened"
        return self._watching

    @property
    def _seen(self) -> Seen:
        assert self._shown is not None, "read before it was opened"
        return self._shown
