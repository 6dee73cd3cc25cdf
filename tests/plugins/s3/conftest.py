"""A server, a bucket for each test, and archives in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lgx.testing.s3 import S3Process
from lgx_plugins.s3 import S3Sink, S3Source


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Process]:
    with S3Process() as server:
        yield server


class Bucket:
    """A new bucket, and what lgx has for it."""

    def __init__(self, server: S3Process) -> None:
        self.server = server
        self.name = server.new_bucket()
        self.endpoint_url = server.endpoint_url

    def url(self, prefix: str = "backup") -> str:
        return f"s3://{self.name}/{prefix}"

    def options(self, prefix: str = "backup", **options: Any) -> dict[str, Any]:
        return {"url": self.url(prefix), "endpoint_url": self.endpoint_url, **options}

    def sink(self, prefix: str = "backup", **options: Any) -> S3Sink:
        return S3Sink(S3Sink.config_type(**self.options(prefix, **options)))

    def source(self, prefix: str = "backup", **options: Any) -> S3Source:
        return S3Source(S3Source.config_type(**self.options(prefix, **options)))

    def objects(self, prefix: str = "backup/") -> dict[str, bytes]:
        return self.server.objects(self.name, prefix)


@pytest.fixture
def bucket(s3_server: S3Process) -> Iterator[Bucket]:
    bucket = Bucket(s3_server)
    yield bucket
    s3_server.remove_bucket(bucket.name)
