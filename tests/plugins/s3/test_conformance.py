"""Archives in buckets fulfil the contracts of sinks and sources, as the kits check them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lgx import EXTRA_KINDS, Record, Thread
from lgx.testing import SinkConformance, SourceConformance, sample_extras, sample_threads
from lgx_plugins.s3 import S3Sink, S3Source


class TestS3Sink(SinkConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def sink_factory(self, bucket: Any) -> Callable[[], S3Sink]:
        return lambda: bucket.sink()

    @pytest.fixture
    def read_back(self, bucket: Any) -> Callable[[], Any]:
        """A source over the archive; where several sources' threads are in it, all of them."""

        async def all_of(origins: Sequence[str]) -> list[Record]:
            return [record for one in origins for record in await bucket.records(origin=one)]

        def read() -> Any:
            origins = bucket.sources()
            return all_of(origins) if len(origins) > 1 else bucket.source()

        return read

    @pytest.fixture
    def target_state(self, bucket: Any) -> Callable[[], object]:
        return lambda: bucket.objects("")


class TestS3Source(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        found = {}
        for records in sample_threads().values():
            head = records[0]
            assert isinstance(head, Thread)
            found[head.thread_id] = records
        return found

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def source_factory(
        self,
        bucket: Any,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> Callable[[], S3Source]:
        asyncio.run(bucket.write(expected, extras=expected_extras))
        return lambda: bucket.source()

    @pytest.fixture
    def change(self, bucket: Any) -> Callable[[], Any]:
        async def change() -> str:
            await bucket.write({"a/b//c": bucket.thread("a/b//c", 7)})
            return "a/b//c"

        return change
