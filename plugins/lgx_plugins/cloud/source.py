"""The source: any server that speaks the LangGraph API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import ClassVar

import msgspec

from lgx import Context, Loss, Probe, Query, Record, Source, ThreadEnd, ThreadError, ThreadRef
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.config import CloudSourceConfig
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.lookup import Lookup
from lgx_plugins.cloud.probing import probe, server_versions
from lgx_plugins.cloud.reader import ThreadReader
from lgx_plugins.cloud.storage import StorageReader
from lgx_plugins.cloud.threads import ThreadList

__all__ = ["CloudSource"]


class CloudSource(Source[CloudSourceConfig]):
    name = "cloud"
    summary = "threads of a LangGraph server, hosted or your own"
    config_type = CloudSourceConfig
    reads_per_place: ClassVar[int] = 4

    def __init__(self, config: CloudSourceConfig) -> None:
        super().__init__(config)
        kinds = {"thread", "checkpoint", "assistant", "cron", "store_item"}
        self.offers = frozenset(kinds | {"run"} if config.runs else kinds)
        # A copy that was made without asking for it is another one than with.
        self._suffix = " with ttl" if config.ttl else ""
        self._client = Client(config)
        self._lookup = Lookup(self._client, ttl=config.ttl)
        self._history = HistoryReader(self._client, config.page_size)
        self._storage = StorageReader(self._client)
        self._reader = ThreadReader(
            self._client,
            self._lookup,
            self._storage,
            self._history,
            runs=config.runs,
            suffix=self._suffix,
        )
        self._unsure: Mapping[str, str] = {}

    async def __aenter__(self) -> CloudSource:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._lookup.close()
        await self._client.__aexit__(exc_type, exc, traceback)

    async def identity(self) -> str:
        """The server's address, without credentials."""
        return self._client.url

    async def versions(self, context: Context) -> Mapping[str, str]:
        return await server_versions(self._client, context)

    async def expected(self, query: Query, context: Context) -> int | None:
        """The server's count, where the filters are such that it can count."""
        if query.thread_ids:
            return len(query.thread_ids)
        if query.since or query.until:
            return None
        return await ThreadList(self._client, self._lookup, query, context).count()

    async def probe(self, context: Context) -> Probe:
        return await probe(self._client, self._storage, self._history, context)

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        withheld = self._client.key.withheld
        if withheld:
            flag = f"--{self.config.role}-api-key"
            context.note(
                f"{withheld} was not sent to {self._client.address.parts.hostname}, which is "
                f"not one of LangChain's hosts; {flag} env:{withheld} sends it"
            )
        threads = ThreadList(self._client, self._lookup, query, context)
        self._unsure = threads.unsure
        async for ref in threads.refs(check_count=self.config.check_count):
            if context.stopping:
                return
            if self._suffix and isinstance(ref, ThreadRef):
                ref = msgspec.structs.replace(ref, version=ref.version + self._suffix)
            yield ref

    def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            if ref.thread_id in self._unsure:
                raise ThreadError(self._unsure[ref.thread_id])
        return self._reader.read(refs, context)

    async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
        async for record in Extras(self._client, context).of(kind):
            yield record
