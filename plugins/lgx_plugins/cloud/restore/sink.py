"""The sink: threads rebuilt on another server, each compared with its source."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar

from lgx import (
    Bundle,
    Context,
    Loss,
    Mark,
    Probe,
    RetryableError,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    WriteOutcome,
)
from lgx_plugins.cloud.access import denied
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.probing import probe, server_versions
from lgx_plugins.cloud.restore.assistants import restore_assistants
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.crons import restore_crons
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.naming import target_id
from lgx_plugins.cloud.restore.store import restore_items
from lgx_plugins.cloud.restore.writing import ThreadWriter
from lgx_plugins.cloud.storage import StorageReader

__all__ = ["CloudSink"]


class CloudSink(Sink[CloudSinkConfig]):
    """Rebuilds threads through the one door that servers have: updates of their state.

    Nothing that it sends starts a run. A thread stands whole, is absent, or bears a label that
    says that it is not whole.
    """

    name = "cloud"
    summary = "threads rebuilt on a LangGraph server, step by step, and compared"
    config_type = CloudSinkConfig
    accepts = frozenset({"thread", "checkpoint", "assistant", "cron", "store_item"})
    max_writers: ClassVar[int] = 8
    batch_threads: ClassVar[int] = 1
    previews: ClassVar[bool] = True

    def __init__(self, config: CloudSinkConfig) -> None:
        super().__init__(config)
        self._client = Client(config)
        self._graphs = Graphs(self._client, config.map_graph)
        self._writer = ThreadWriter(self._client, config, self._graphs)
        self._holdings = Holdings(self._client)
        self._run: RunInfo | None = None
        self._context: Context | None = None
        self._built = 0

    async def __aenter__(self) -> CloudSink:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(exc_type, exc, traceback)

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await server_versions(self._client, context)

    async def probe(self, context: Context) -> Probe:
        history = HistoryReader(self._client, 1000)
        return await probe(self._client, StorageReader(self._client), history, context)

    async def begin(self, run: RunInfo, context: Context) -> None:
        self._run, self._context = run, context
        await self.versions(context)
        try:
            await self._graphs.load(context)
        except (RetryableError, ThreadError) as error:
            raise denied(error, self._client) from error

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        run, context = self._begun()
        merged = run.source if run.merge else None
        ids = {target_id(ref.thread_id, merged): ref.thread_id for ref in refs}
        found = await self._holdings.find(list(ids), context)
        return {
            ids[thread_id]: holding.label.mark
            for thread_id, holding in found.items()
            if holding.label is not None
            and holding.label.source == run.source
            and holding.label.mark is not None
        }

    async def preview(self, bundle: Bundle, context: Context) -> WriteOutcome:
        run, _ = self._begun()
        return await self._writer.preview(bundle, run, context)

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return await asyncio.gather(*(self._write(bundle, context) for bundle in bundles))

    async def _write(self, bundle: Bundle, context: Context) -> WriteOutcome:
        run, _ = self._begun()
        try:
            outcome = await self._writer.write(bundle, run, context)
        except (ThreadError, RetryableError) as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
        self._built += outcome.written and bundle.checkpoints > 0
        return outcome

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        run, _ = self._begun()
        losses: list[Loss]
        if kind == "assistant":
            losses = await restore_assistants(
                self._client, self._graphs, bundle, self.config.on_conflict, context
            )
        elif kind == "cron":
            losses = await restore_crons(
                self._client,
                bundle,
                context,
                enable=self.config.enable_crons,
                merged=run.source if run.merge else None,
            )
        else:
            losses = await restore_items(self._client, bundle, context)
        return WriteOutcome(thread_id=None, losses=tuple(losses))

    async def forget(self, thread_ids: Sequence[str]) -> None:
        run, context = self._begun()
        await self._writer.forget(thread_ids, run, context)

    async def finish(self, context: Context) -> None:
        if self._built and not self.config.provenance:
            context.note(
                "the target gave its own ids and times to all checkpoints, and has none of the "
                "run ids, nor assistant_id and the like in metadata; --sink-provenance keeps the "
                "checkpoints' old ids, times and run ids in the metadata of each thread"
            )

    def _begun(self) -> tuple[RunInfo, Context]:
        assert self._run is not None, "used before it was begun"
        assert self._context is not None
        return self._run, self._context
