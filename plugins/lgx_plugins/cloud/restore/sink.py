"""The sink: threads rebuilt on another server, each compared with its source."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

from lgx import (
    Bundle,
    Context,
    Fact,
    Mark,
    Probe,
    RetryableError,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    UsageError,
    WriteOutcome,
)
from lgx_plugins.cloud.access import denied
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.keys import is_loopback
from lgx_plugins.cloud.probing import probe, server_versions
from lgx_plugins.cloud.restore.assistants import restore_assistants
from lgx_plugins.cloud.restore.config import CloudSinkConfig, CloudTargetConfig
from lgx_plugins.cloud.restore.crons import CronRestorer
from lgx_plugins.cloud.restore.foreseen import Foreseen
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Holding, Holdings
from lgx_plugins.cloud.restore.leftovers import Leftovers
from lgx_plugins.cloud.restore.likeness import Likeness
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
    read_config_type = CloudTargetConfig
    accepts = frozenset({"thread", "checkpoint", "assistant", "cron", "store_item"})
    max_writers: ClassVar[int] = 8
    batch_threads: ClassVar[int] = 1
    previews: ClassVar[bool] = True

    def __init__(self, config: CloudSinkConfig) -> None:
        super().__init__(config)
        self._client = Client(config)
        self._graphs = Graphs(self._client, config.map_graph, config.graph_id)
        self._holdings = Holdings(self._client)
        self._leftovers = Leftovers(self._client, self._holdings)
        self._writer = ThreadWriter(self._client, config, self._graphs, self._holdings)
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
        found = await probe(self._client, StorageReader(self._client), history, context)
        try:
            await self._graphs.load(context)
            graphs = Fact(name="graphs", value=", ".join(self._graphs.known) or "none are listed")
        except (RetryableError, ThreadError) as error:
            graphs = Fact(name="graphs", value=f"cannot be listed: {error}", level="warn")
        shapes = await Likeness(self._graphs).facts(context)
        unfinished = await self._leftovers.fact(context)
        return Probe(facts=(*found.facts, graphs, *shapes, unfinished))

    async def clean(self, context: Context) -> Sequence[str]:
        return await self._leftovers.clean(context)

    async def begin(self, run: RunInfo, context: Context) -> None:
        if run.source_name == self.name and _plain(run.source) == _plain(self._client.url):
            raise UsageError(
                f"source and target are both {run.source}; name another server with --sink-url"
            )
        self._run, self._context = run, context
        await self.versions(context)
        try:
            await self._graphs.load(context)
        except (RetryableError, ThreadError) as error:
            raise denied(error, self._client) from error
        try:
            await self._graphs.check(context)
        except ThreadError as error:
            raise UsageError(f"--sink-map-graph: {error}") from error
        if self._graphs.default is not None:
            try:
                await self._graphs.of(self._graphs.default, context)
            except ThreadError as error:
                raise UsageError(f"--sink-graph-id: {error}") from error

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        run, context = self._begun()
        places = await self._holdings.places([ref.thread_id for ref in refs], run, context)
        marks: dict[str, Mark] = {}
        for thread_id, place in places.items():
            holding = place.holding
            if holding is None:
                self._writer.absent[thread_id] = place
            elif holding.is_copy(thread_id, run):
                mark = self._mark(holding)
                if mark is not None:
                    marks[thread_id] = mark
        return marks

    def _mark(self, holding: Holding) -> Mark | None:
        """The mark of a copy; None where this run would have made another of it."""
        label = holding.label
        if label is None or not (label.compared or self.config.verify != "all"):
            return None
        graph_id = label.graph_id or holding.graph_id
        if graph_id is not None and self._graphs.mapped(graph_id) != holding.graph_id:
            return None
        return label.mark

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

    async def preview_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        foreseen = Foreseen(kind)
        outcome = await self._restore(kind, bundle, context, foreseen)
        foreseen.tell(context)
        return outcome

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        return await self._restore(kind, bundle, context, None)

    async def _restore(
        self, kind: str, bundle: Bundle, context: Context, foreseen: Foreseen | None
    ) -> WriteOutcome:
        run, _ = self._begun()
        conflict = self.config.on_conflict
        if kind == "assistant":
            restored = await restore_assistants(
                self._client, self._graphs, bundle, conflict, context, foreseen
            )
        elif kind == "cron":
            restored = await CronRestorer(
                self._client, self._graphs, self._holdings, self.config, run, context, foreseen
            ).restore(bundle)
        else:
            restored = await restore_items(self._client, bundle, conflict, context, foreseen)
        return WriteOutcome(
            thread_id=None,
            losses=tuple(restored.losses),
            records=restored.records,
            unchanged=restored.unchanged,
        )

    async def forget(self, thread_ids: Sequence[str]) -> None:
        run, context = self._begun()
        await self._writer.forget(thread_ids, run, context)

    async def finish(self, context: Context) -> None:
        await self._holdings.check_removals(context)
        self._note_mapping(context)
        if not self._built:
            return
        kept = "--sink-provenance keeps them in the metadata of each thread, too"
        if self.config.provenance:
            kept = "they are in the metadata of each thread, too"
        context.note(
            "the target gave its own ids and times to all checkpoints, and its own times to "
            f"threads, and takes no run ids; the report (--report FILE) has the old ones, {kept}"
        )
        renamed = self._writer.renamed.note()
        if renamed is not None:
            context.note(renamed)

    def _note_mapping(self, context: Context) -> None:
        came = ", ".join(self._graphs.used)
        for old in self._graphs.idle if came else ():
            context.note(f"--sink-map-graph {old}=… was of no use: graphs are {came} at the source")

    def _begun(self) -> tuple[RunInfo, Context]:
        assert self._run is not None, "used before it was begun"
        assert self._context is not None
        return self._run, self._context


def _plain(url: str) -> str:
    """An address with one name for this machine."""
    parts = urlsplit(url)
    if not is_loopback(parts.hostname):
        return url
    return urlunsplit(parts._replace(netloc=f"localhost:{parts.port or ''}"))
