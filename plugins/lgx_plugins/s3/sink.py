"""S3 as a sink: an archive under a prefix."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from lgx import Context, LockedError, Probe, RunInfo
from lgx_plugins.archive.sink import StoreSink
from lgx_plugins.blocking import run_blocking
from lgx_plugins.s3.config import S3SinkConfig
from lgx_plugins.s3.store import S3Store

__all__ = ["S3Sink"]

_log = logging.getLogger(__name__)

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 5.0


class S3Sink(StoreSink[S3SinkConfig]):
    """An archive in a bucket, written by multipart uploads."""

    name = "s3"
    summary = "archive in an S3 bucket (AWS, MinIO, R2, …); incremental and resumable"
    config_type = S3SinkConfig

    def __init__(self, config: S3SinkConfig) -> None:
        self._bucket = S3Store(config)
        super().__init__(config, self._bucket, level=config.level, part_size=config.part_size)

    async def begin(self, run: RunInfo, context: Context) -> None:
        """Waits for another run to end, where that was asked for; may be cancelled."""
        seconds, told = _FIRST_WAIT, False
        while True:
            try:
                return await super().begin(run, context)
            except LockedError as error:
                if self.config.lock == "fail":
                    raise
                if not told:
                    _log.warning("waiting: %s", str(error).partition(";")[0])
                    told = True
            # A store tells nobody that an object has gone.
            await asyncio.sleep(seconds)
            seconds = min(2 * seconds, _LONGEST_WAIT)

    async def probe(self, context: Context) -> Probe:
        facts = await run_blocking(self._bucket.facts)
        probe = await super().probe(context)
        return msgspec.structs.replace(probe, facts=(*facts, *probe.facts))
