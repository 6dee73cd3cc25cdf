"""The archive fulfils the contracts of sinks and sources, as the kits check them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lgx import EXTRA_KINDS, Record, Thread
from lgx.testing import SinkConformance, SourceConformance, sample_extras, sample_threads
from lgx_plugins.archive import ArchiveSink, ArchiveSource
from lgx_plugins.archive.directory import DirectoryStore
from lgx_plugins.archive.state import load_state


class TestArchiveSink(SinkConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def sink_factory(self, tmp_path: Path) -> Callable[[], ArchiveSink]:
        return lambda: ArchiveSink(ArchiveSink.config_type(path=tmp_path / "archive"))

    @pytest.fixture
    def read_back(self, archives: Any, tmp_path: Path) -> Callable[[], Any]:
        """A source over the archive; where several sources' threads are in it, all of them."""
        path = tmp_path / "archive"

        async def all_of(origins: Sequence[str]) -> list[Record]:
            return [record for one in origins for record in await archives.records(path, one)]

        def read() -> Any:
            store = DirectoryStore(path)
            origins = load_state(store).sources if store.check(writing=True) else ()
            return all_of(origins) if len(origins) > 1 else archives.reader(path)

        return read

    @pytest.fixture
    def target_state(self, archives: Any, tmp_path: Path) -> Callable[[], object]:
        return lambda: archives.files(tmp_path)


class TestArchiveSource(SourceConformance):
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
        archives: Any,
        tmp_path: Path,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> Callable[[], ArchiveSource]:
        path = tmp_path / "archive"
        asyncio.run(archives.write(path, expected, batch=7, extras=expected_extras))
        return lambda: ArchiveSource(ArchiveSource.config_type(path=path))

    @pytest.fixture
    def change(
        self, archives: Any, tmp_path: Path, expected: Mapping[str, Sequence[Record]]
    ) -> Callable[[], Any]:
        async def change() -> str:
            await archives.write(tmp_path / "archive", {"a/b//c": archives.thread("a/b//c", 7)})
            return "a/b//c"

        return change
