"""The NDJSON sink: lines of records, as they travel, in one file or on standard output."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated

import msgspec

import lgx
from lgx import (
    ANY_KIND,
    Bundle,
    Config,
    Context,
    Fact,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    Tombstone,
    WriteOutcome,
    option,
)
from lgx_plugins.extras_log import ExtrasLog
from lgx_plugins.ndjson.header import Header
from lgx_plugins.outputs import Output
from lgx_plugins.readable import whole_blocks

__all__ = ["NdjsonSink", "NdjsonSinkConfig"]


class NdjsonSinkConfig(Config, frozen=True, kw_only=True):
    path: Annotated[
        Path,
        option(
            "File to write, compressed where it ends in .gz or .zst; - is standard output.",
            example="threads.ndjson.zst",
        ),
    ]


class NdjsonSink(Sink[NdjsonSinkConfig]):
    """Each run writes the whole selection to a new file, which appears at its end.

    It holds no marks. Lines are written as they came, without being decoded. On standard
    output they are gone once they are written: what an aborted run wrote stays written.
    """

    name = "ndjson"
    summary = "one record a line; gzip or zstd by suffix, - for standard output"
    config_type = NdjsonSinkConfig
    accepts = ANY_KIND

    def __init__(self, config: NdjsonSinkConfig) -> None:
        super().__init__(config)
        self._output = Output(config.path)
        self._extras = ExtrasLog()
        self._written: set[int] = set()
        self._started_at = ""

    async def probe(self, context: Context) -> Probe:
        self._output.check()
        return Probe(facts=(Fact(name="target", value=str(self.config.path)),))

    async def begin(self, run: RunInfo) -> None:
        if run.dry_run:
            self._output.check()
            return
        self._started_at = run.started_at
        header = Header(
            lgx=lgx.__version__,
            source=run.source,
            exported_at=run.started_at,
            encryption=None,
        )
        await asyncio.to_thread(self._output.open)
        self._output.write(msgspec.json.encode(header) + b"\n")

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return {}

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return await asyncio.to_thread(self._write, bundles)

    def _write(self, bundles: Sequence[Bundle]) -> Sequence[WriteOutcome]:
        outcomes: list[WriteOutcome] = []
        for bundle in bundles:
            try:
                blocks = whole_blocks(bundle)
            except ThreadError as error:
                outcomes.append(WriteOutcome(thread_id=bundle.thread_id, error=str(error)))
                continue
            self._put(self._void([bundle.thread_id]))
            self._written.add(hash(bundle.thread_id))
            for block in blocks:
                self._output.write(block)
            outcomes.append(WriteOutcome(thread_id=bundle.thread_id))
        if self._output.standard:
            self._output.flush()
        return outcomes

    def _void(self, thread_ids: Sequence[str]) -> Iterator[bytes]:
        """A file that only grows cannot take back what it holds; a line voids it instead."""
        for thread_id in thread_ids:
            if hash(thread_id) in self._written:
                yield lgx.encode_line(Tombstone(thread_id=thread_id, deleted_at=self._started_at))

    def _put(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            self._output.write(line + b"\n")

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        await asyncio.to_thread(self._put, self._extras.fresh(kind, bundle))
        return WriteOutcome(thread_id=None)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        """What an earlier run wrote is not in this run's file anyway."""
        await asyncio.to_thread(self._put, self._void(thread_ids))
        self._written.difference_update(map(hash, thread_ids))

    async def finish(self, context: Context) -> None:
        await asyncio.to_thread(self._output.commit)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self._output.close)
