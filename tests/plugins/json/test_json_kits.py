"""The JSON source and sink under the conformance kits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lgx import EXTRA_KINDS, Record
from lgx.testing import SinkConformance, SourceConformance, sample_extras, sample_threads
from lgx.testing.conformance.filling import fill
from lgx_plugins.json.sink import JsonSink, JsonSinkConfig
from lgx_plugins.json.source import JsonSource, JsonSourceConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.json"


class TestJsonSink(SinkConformance):
    keeps_no_marks = "each run writes the document anew"
    merges_not = "each run writes the document anew, so it holds one run's source"
    exact_bytes = True

    @pytest.fixture
    def sink_factory(self, path: Path) -> Callable[[], JsonSink]:
        return lambda: JsonSink(JsonSinkConfig(path=path))

    @pytest.fixture
    def read_back(self, path: Path) -> Callable[[], JsonSource]:
        return lambda: JsonSource(JsonSourceConfig(path=path))

    @pytest.fixture
    def target_state(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}


class TestJsonSource(SourceConformance):
    """Over a document that the sink wrote, of every sample."""

    exact_bytes = True

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        return {str(records[0].thread_id): records for records in sample_threads().values()}  # type: ignore[attr-defined]

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def file(
        self,
        tmp_path: Path,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> Path:
        file = tmp_path / "threads.json"
        sink = JsonSink(JsonSinkConfig(path=file))
        asyncio.run(fill(sink, [*expected.values()], expected_extras))
        return file

    @pytest.fixture
    def source_factory(self, file: Path) -> Callable[[], JsonSource]:
        return lambda: JsonSource(JsonSourceConfig(path=file))

    @pytest.fixture
    def change(self, file: Path, expected: Mapping[str, Sequence[Record]]) -> Callable[[], str]:
        def change() -> str:
            text = file.read_bytes()
            old = b'\n{"values":{"n":2},'
            assert text.index(old) < text.index(b'"thread_id": ', 20), "not of the first thread"
            file.write_bytes(text.replace(old, b'\n{"values":{"n":9},', 1))
            return next(iter(expected))

        return change
