"""Writes and reads archives as the engine does, for the tests in this folder."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lgx import (
    Bundle,
    Checkpoint,
    Loss,
    Mark,
    Query,
    Record,
    RunInfo,
    Thread,
    ThreadEnd,
    ThreadRef,
    decode_line,
    encode_line,
    raw,
)
from lgx.testing import make_context
from lgx_plugins.archive import ArchiveSink, ArchiveSource

SOURCE = "http://one.test"


class Archives:
    """Everything that a test needs to fill and look at archives."""

    source = SOURCE

    def context(self) -> Any:
        return make_context()

    def sink(self, path: Path, **options: Any) -> ArchiveSink:
        return ArchiveSink(ArchiveSink.config_type(path=path, **options))

    def reader(self, path: Path, origin: str | None = None) -> ArchiveSource:
        return ArchiveSource(ArchiveSource.config_type(path=path, origin=origin))

    def run(self, source: str = SOURCE, **fields: Any) -> RunInfo:
        return RunInfo(source=source, started_at="2026-01-01T00:00:00Z", fingerprint="f", **fields)

    def thread(self, thread_id: str, count: int = 2, text: str = "") -> list[Record]:
        """A thread and its checkpoints, the same for the same arguments."""
        records: list[Record] = [
            Thread(
                thread_id=thread_id,
                updated_at="2026-01-01T00:00:00+00:00",
                status="idle",
                metadata=raw({"graph_id": "agent"}),
                values=raw({"text": text}),
            )
        ]
        for number in range(count):
            noise = hashlib.sha256(f"{thread_id!a} {number} {text}".encode()).hexdigest()
            records.append(
                Checkpoint(
                    thread_id=thread_id,
                    checkpoint_ns="",
                    checkpoint_id=f"{number:08d}",
                    parent_checkpoint_id=f"{number - 1:08d}" if number else None,
                    values=raw({"noise": noise, "text": text}),
                )
            )
        return records

    def bundle(
        self,
        context: Any,
        thread_id: str,
        records: Iterable[Record],
        *,
        version: str = "v1",
        losses: tuple[Loss, ...] = (),
        marked: bool = True,
    ) -> Bundle:
        spool = context.spool()
        for record in records:
            spool.append(record)
        mark = Mark(version=version, fingerprint="f", checkpoints=spool.checkpoints)
        return Bundle(
            spool,
            ref=ThreadRef(thread_id=thread_id, version=version),
            mark=mark if marked else None,
            outcome="complete" if marked else "partial",
            losses=losses,
        )

    async def write(
        self,
        path: Path,
        threads: Mapping[str, Sequence[Record]],
        *,
        batch: int = 1000,
        version: str = "v1",
        source: str = SOURCE,
        merge: bool = False,
        extras: Mapping[str, Sequence[Record]] | None = None,
        forget: Sequence[str] = (),
        finish: bool = True,
        **options: Any,
    ) -> None:
        """One run: the threads in batches, then removals and extras."""
        context = make_context()
        items = list(threads.items())
        async with self.sink(path, **options) as sink:
            await sink.begin(self.run(source, merge=merge), make_context())
            for start in range(0, len(items), batch):
                bundles = [
                    self.bundle(context, thread_id, records, version=version)
                    for thread_id, records in items[start : start + batch]
                ]
                outcomes = await sink.write(bundles, context)
                assert [o.thread_id for o in outcomes] == [b.thread_id for b in bundles]
                assert all(o.error is None for o in outcomes)
                for bundle in bundles:
                    bundle.close()
            if forget:
                await sink.forget(forget)
            for kind, records in (extras or {}).items():
                await self.write_extras(sink, kind, records, context)
            if finish:
                await sink.finish(context)
        assert context.budget.used == 0

    async def write_extras(
        self, sink: Any, kind: str, records: Iterable[Record], context: Any, **fields: Any
    ) -> None:
        spool = context.spool()
        for record in records:
            spool.append(record)
        await sink.write_extras(kind, Bundle(spool, ref=None, mark=None, **fields), context)
        spool.close()

    async def read(
        self, path: Path, query: Query | None = None, origin: str | None = None, together: int = 500
    ) -> dict[str, list[bytes]]:
        """The lines of each thread, in the order of listing; checks what holds for all reads."""
        context = make_context()
        query = query or Query()
        found: dict[str, list[bytes]] = {}
        async with self.reader(path, origin) as source:
            refs = [ref async for ref in source.list(query, context) if isinstance(ref, ThreadRef)]
            ids = [ref.thread_id.encode("utf-8", "surrogatepass") for ref in refs]
            assert ids == sorted(set(ids))
            found = {ref.thread_id: [] for ref in refs}
            ended: list[str] = []
            for start in range(0, len(refs), together):
                lines: list[bytes] = []
                async for item in source.read(refs[start : start + together], context):
                    if isinstance(item, ThreadEnd):
                        found[item.thread_id] = lines
                        ended.append(item.thread_id)
                        lines = []
                    else:
                        lines.append(encode_line(item))
                assert not lines
            assert sorted(ended) == sorted(found)
        assert context.budget.used == 0
        return found

    async def records(self, path: Path, origin: str) -> list[Record]:
        """Everything of one source."""
        lines = [line for some in (await self.read(path, origin=origin)).values() for line in some]
        return [decode_line(line) for line in lines]

    async def read_extras(
        self, path: Path, kind: str, query: Query | None = None, origin: str | None = None
    ) -> list[Record]:
        context = make_context()
        async with self.reader(path, origin) as source:
            return [r async for r in source.extras(kind, query or Query(), context)]

    def lines(self, threads: Mapping[str, Sequence[Record]]) -> dict[str, list[bytes]]:
        return {thread_id: [*map(encode_line, records)] for thread_id, records in threads.items()}

    def files(self, path: Path) -> dict[str, bytes]:
        """All files of an archive by their relative names."""
        return {
            str(file.relative_to(path)): file.read_bytes()
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }


@pytest.fixture(scope="session")
def archives() -> Archives:
    return Archives()


class Worker:
    """A process that runs exports in children of its own."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("worker.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, **command: Any) -> dict[str, Any]:
        """What a child said, and its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()
        said: dict[str, Any] = {}
        while "exit" not in said:
            said |= self._line()
        return said

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the worker has ended"
        said: dict[str, Any] = json.loads(line)
        return said

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    process = Worker()
    yield process
    process.close()
