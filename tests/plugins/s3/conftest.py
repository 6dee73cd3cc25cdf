"""A bucket for each test, and archives in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from lgx import Bundle, Checkpoint, Mark, Query, Record, Thread, ThreadRef, encode_line, raw
from lgx.testing import S3Process, S3Proxy, make_bundle, make_context, make_run, read_all
from lgx_plugins.archive.state import load_state
from lgx_plugins.s3 import S3Sink, S3Source
from lgx_plugins.s3.config import S3SinkConfig
from lgx_plugins.s3.store import S3Store


class Bucket:
    """A new bucket, and what lgx has for it. The archive lies under `backup/`."""

    def __init__(self, server: S3Process, name: str, endpoint_url: str) -> None:
        self.server = server
        self.name = name
        self.endpoint_url = endpoint_url

    def url(self, prefix: str = "backup") -> str:
        return f"s3://{self.name}/{prefix}"

    def options(self, **options: Any) -> dict[str, Any]:
        return {"url": self.url(), "endpoint_url": self.endpoint_url, **options}

    def sink(self, **options: Any) -> S3Sink:
        return S3Sink(S3Sink.config_type(**self.options(**options)))

    def source(self, **options: Any) -> S3Source:
        return S3Source(S3Source.config_type(**self.options(**options)))

    def store(self, *, beat: float = 15.0, stale: float = 60.0, **options: Any) -> S3Store:
        return S3Store(S3SinkConfig(**self.options(**options)), beat=beat, stale=stale)

    def objects(self, prefix: str = "backup/") -> dict[str, bytes]:
        return self.server.objects(self.name, prefix)

    def put(self, name: str, data: bytes) -> None:
        client = self.server.client()
        client.put_object(Bucket=self.name, Key=f"backup/{name}", Body=data)
        client.close()

    def uploads(self) -> list[str]:
        client = self.server.client()
        found = client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        client.close()
        return [upload["Key"] for upload in found]

    def sources(self) -> Sequence[str]:
        """The identities of the sources whose threads the archive holds."""
        store = self.store()
        origins = load_state(store).sources if store.check(writing=True) else ()
        store.close()
        return origins

    def thread(self, thread_id: str, count: int = 2, text: str = "") -> list[Record]:
        """A thread and its checkpoints, the same for the same arguments."""
        records: list[Record] = [Thread(thread_id=thread_id, values=raw({"text": text}))]
        records += [
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns="",
                checkpoint_id=f"{number:08d}",
                values=raw({"number": number, "text": text}),
            )
            for number in range(count)
        ]
        return records

    async def write(
        self,
        threads: Mapping[str, Sequence[Record]],
        *,
        batch: int = 1000,
        extras: Mapping[str, Sequence[Record]] | None = None,
        source: str = "kit://first",
        merge: bool = False,
        finish: bool = True,
        **options: Any,
    ) -> None:
        """One run."""
        context = make_context()
        items = list(threads.values())
        async with self.sink(**options) as sink:
            await sink.begin(make_run(source=source, merge=merge), make_context())
            for start in range(0, len(items), batch):
                bundles = [
                    make_bundle(context, records) for records in items[start : start + batch]
                ]
                try:
                    outcomes = await sink.write(bundles, context)
                finally:
                    for bundle in bundles:
                        bundle.close()
                assert all(outcome.error is None for outcome in outcomes)
            for kind, records in (extras or {}).items():
                await self.write_extras(sink, kind, records)
            if finish:
                await sink.finish(context)
        assert context.budget.used == 0

    async def write_extras(self, sink: S3Sink, kind: str, records: Iterable[Record]) -> None:
        context = make_context()
        spool = context.spool()
        for record in records:
            spool.append(record)
        await sink.write_extras(kind, Bundle(spool, ref=None, mark=None), context)
        spool.close()

    async def read(self, query: Query | None = None, **options: Any) -> dict[str, list[bytes]]:
        """The lines of each thread."""
        context = make_context()
        async with self.source(**options) as source:
            contents = await read_all(source, query or Query(), context)
        assert contents.faults == []
        assert context.budget.used == 0
        return {t: [*map(encode_line, found)] for t, found in contents.threads.items()}

    async def records(self, **options: Any) -> list[Record]:
        context = make_context()
        async with self.source(**options) as source:
            contents = await read_all(source, Query(), context)
        return [record for found in contents.threads.values() for record in found]

    async def held(self, thread_ids: Iterable[str], **options: Any) -> Mapping[str, Mark]:
        async with self.sink(**options) as sink:
            await sink.begin(make_run(dry_run=True), make_context())
            return await sink.held([ThreadRef(thread_id=t, version="1") for t in thread_ids])

    def lines(self, threads: Mapping[str, Sequence[Record]]) -> dict[str, list[bytes]]:
        return {thread_id: [*map(encode_line, records)] for thread_id, records in threads.items()}


@pytest.fixture
def bucket(s3_server: S3Process) -> Iterator[Bucket]:
    bucket = Bucket(s3_server, s3_server.new_bucket(), s3_server.endpoint_url)
    yield bucket
    s3_server.remove_bucket(bucket.name)


@pytest.fixture
def proxy(s3_server: S3Process) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def shaky(bucket: Bucket, proxy: S3Proxy) -> Bucket:
    """The same bucket, behind the proxy."""
    return Bucket(bucket.server, bucket.name, proxy.endpoint_url)
