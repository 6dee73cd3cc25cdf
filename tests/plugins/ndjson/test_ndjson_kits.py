"""The NDJSON source and sink under the conformance kits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lgx import EXTRA_KINDS, Record, encode_line
from lgx.testing import SinkConformance, SourceConformance, sample_extras, sample_threads
from lgx_plugins.ndjson.sink import NdjsonSink, NdjsonSinkConfig
from lgx_plugins.ndjson.source import NdjsonSource, NdjsonSourceConfig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "threads.ndjson.zst"


class TestNdjsonSink(SinkConformance):
    keeps_no_marks = "each run writes the file anew"
    merges_not = "each run writes the file anew, so it holds one run's source"
    exact_bytes = True

    @pytest.fixture
    def sink_factory(self, path: Path) -> Callable[[], NdjsonSink]:
        return lambda: NdjsonSink(NdjsonSinkConfig(path=path))

    @pytest.fixture
    def read_back(self, path: Path) -> Callable[[], NdjsonSource]:
        return lambda: NdjsonSource(NdjsonSourceConfig(path=path))

    @pytest.fixture
    def target_state(self, tmp_path: Path) -> Callable[[], object]:
        return lambda: {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}


class _SourceKit(SourceConformance):
    exact_bytes = True

    def arrange(self, lines: list[bytes]) -> list[bytes]:
        return lines

    @pytest.fixture
    def threads(self) -> Mapping[str, Sequence[Record]]:
        return {str(records[0].thread_id): records for records in sample_threads().values()}  # type: ignore[attr-defined]

    @pytest.fixture
    def file(self, tmp_path: Path, threads: Mapping[str, Sequence[Record]]) -> Path:
        lines = [encode_line(record) for records in threads.values() for record in records]
        lines += [encode_line(record) for kind in EXTRA_KINDS for record in sample_extras(kind)]
        file = tmp_path / "threads.ndjson"
        file.write_bytes(b"\n".join(self.arrange(lines)) + b"\n")
        return file

    @pytest.fixture
    def source_factory(self, file: Path) -> Callable[[], NdjsonSource]:
        return lambda: NdjsonSource(NdjsonSourceConfig(path=file))

    @pytest.fixture
    def expected(self, threads: Mapping[str, Sequence[Record]]) -> Mapping[str, Sequence[Record]]:
        return threads

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def change(self, file: Path, threads: Mapping[str, Sequence[Record]]) -> Callable[[], str]:
        def change() -> str:
            thread_id = next(iter(threads))
            old = encode_line(threads[thread_id][-1])
            text = file.read_bytes()
            assert text.count(old) == 1
            file.write_bytes(text.replace(old, old[:-1] + b',"changed":true}'))
            return thread_id

        return change


class TestNdjsonSource(_SourceKit):
    """Over a file as lgx writes it."""


class TestNdjsonSourceOfSortedLines(_SourceKit):
    """Over a file whose lines were sorted, so that checkpoints come before their thread."""

    def arrange(self, lines: list[bytes]) -> list[bytes]:
        return sorted(lines)


class TestNdjsonSourceOfReversedLines(_SourceKit):
    """Over a file that was turned round, so that children come before their parents."""

    def arrange(self, lines: list[bytes]) -> list[bytes]:
        return lines[::-1]
