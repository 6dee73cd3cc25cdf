"""S3 as a source: an archive under a prefix."""

from __future__ import annotations

import msgspec

from lgx import Context, Probe
from lgx_plugins.archive.source import StoreSource
from lgx_plugins.blocking import run_blocking
from lgx_plugins.s3.config import S3SourceConfig
from lgx_plugins.s3.store import S3Store

__all__ = ["S3Source"]


class S3Source(StoreSource[S3SourceConfig]):
    """An archive in a bucket, read by ranges of its parts."""

    name = "s3"
    summary = "archive in an S3 bucket (AWS, MinIO, R2, …)"
    config_type = S3SourceConfig

    def __init__(self, config: S3SourceConfig) -> None:
        self._bucket = S3Store(config)
        super().__init__(config, self._bucket, origin=config.origin)

    async def probe(self, context: Context) -> Probe:
        facts = await run_blocking(self._bucket.facts)
        probe = await super().probe(context)
        return msgspec.structs.replace(probe, facts=(*facts, *probe.facts))
