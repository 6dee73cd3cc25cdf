"""The NDJSON sink: lines of records, as they travel, in one file or on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

import lgx
from lgx import ANY_KIND, Bundle, RunInfo, Tombstone, encode_line, option
from lgx_plugins.blocking import run_blocking
from lgx_plugins.file_sink import FileSink, FileSinkConfig
from lgx_plugins.ids import id_digest
from lgx_plugins.ndjson.header import Header
from lgx_plugins.readable import whole_blocks

__all__ = ["NdjsonSink", "NdjsonSinkConfig"]


class NdjsonSinkConfig(FileSinkConfig, frozen=True, kw_only=True):
    path: Annotated[
        Path,
        option(
            "File to write, compressed where it ends in .gz or .zst; - is standard output.",
            example="threads.ndjson.zst",
        ),
    ]


class NdjsonSink(FileSink[NdjsonSinkConfig]):
    """Lines are written as they came, without being decoded. On standard output they are
    gone once they are written: what an aborted run wrote stays written.
    """

    name = "ndjson"
    summary = "one record a line; gzip or zstd by suffix, - for standard output"
    config_type = NdjsonSinkConfig
    accepts = ANY_KIND

    def __init__(self, config: NdjsonSinkConfig) -> None:
        super().__init__(config)
        self._written: set[bytes] = set()
        self._started_at = ""

    def _open(self, run: RunInfo) -> None:
        self._started_at = run.started_at
        header = Header(
            lgx=lgx.__version__,
            source=run.source,
            exported_at=run.started_at,
            encryption=None,
        )
        self._output.write(msgspec.json.encode(header) + b"\n")

    def _write_thread(self, bundle: Bundle) -> None:
        blocks = whole_blocks(bundle)
        self._void([bundle.thread_id])
        self._written.add(id_digest(bundle.thread_id))
        for block in blocks:
            self._output.write(block)

    def _void(self, thread_ids: Sequence[str]) -> None:
        """A file that only grows cannot take back what it holds; a line voids it instead."""
        for thread_id in thread_ids:
            if id_digest(thread_id) in self._written:
                tombstone = Tombstone(thread_id=thread_id, deleted_at=self._started_at)
                self._output.write(encode_line(tombstone) + b"\n")

    def _write_extra(self, line: bytes) -> None:
        self._output.write(line + b"\n")

    async def forget(self, thread_ids: Sequence[str]) -> None:
        """What an earlier run wrote is not in this run's file anyway."""
        await run_blocking(self._void, thread_ids)
        self._written.difference_update(map(id_digest, thread_ids))
