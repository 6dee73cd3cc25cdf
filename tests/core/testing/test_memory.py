"""The sources and sinks in memory pass the kits: the kits ask for nothing that cannot be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from lgx import EXTRA_KINDS, Record, encode_line
from lgx.testing import SinkConformance, SourceConformance, sample_extras, sample_threads
from lgx.testing.conformance.reading import thread_id_of
from lgx.testing.conformance.samples import checkpoint, thread
from lgx.testing.memory import (
    MemoryConfig,
    MemoryDocumentSink,
    MemorySink,
    MemorySource,
    MemoryStream,
    MemoryTarget,
)


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget()


class TestMemorySink(SinkConformance):
    """Read back as records, in which two sources' threads of one id stand side by side."""

    exact_bytes = True

    @pytest.fixture
    def sink_factory(self, target: MemoryTarget) -> Callable[[], MemorySink]:
        return lambda: MemorySink(MemoryConfig(target=target))

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> Callable[[], list[Record]]:
        return target.records

    @pytest.fixture
    def target_state(self, target: MemoryTarget) -> Callable[[], object]:
        return target.state


class TestMemoryDocumentSink(SinkConformance):
    """Read back through a source, made by an async function."""

    exact_bytes = True
    keeps_no_marks = "it is one document"
    merges_not = "each run makes the document anew"

    @pytest.fixture
    def sink_factory(self, target: MemoryTarget) -> Callable[[], MemorySink]:
        return lambda: MemoryDocumentSink(MemoryConfig(target=target))

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> Callable[[], object]:
        async def source() -> MemoryStream:
            return MemoryStream(MemoryConfig(target=target))

        return source

    @pytest.fixture
    def target_state(self, target: MemoryTarget) -> Callable[[], object]:
        return target.state


class _Filled(SourceConformance):
    exact_bytes = True

    @pytest.fixture
    def target(
        self,
        expected: Mapping[str, Sequence[Record]],
        expected_extras: Mapping[str, Sequence[Record]],
    ) -> MemoryTarget:
        return MemoryTarget.filled(expected.values(), expected_extras)

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        samples = [*sample_threads({"thread", "checkpoint", "run"}).values()]
        given = {thread_id_of(records[0]) or "": records for records in samples}
        for number, status in enumerate(("idle", "busy", "interrupted", "error")):
            head = thread(
                f"many-{number}", status=status, updated_at=f"2026-02-0{number + 1}T00:00:00+00:00"
            )
            given[head.thread_id] = [head, checkpoint(head.thread_id, 0)]
        return given

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def change(self, target: MemoryTarget) -> Callable[[], str]:
        def change() -> str:
            stored = target.threads["memory://given", "many-2"]
            stored.lines.append(encode_line(checkpoint("many-2", 1, parent=0)))
            return "many-2"

        return change


class TestMemorySource(_Filled):
    @pytest.fixture
    def source_factory(self, target: MemoryTarget) -> Callable[[], MemorySource]:
        return lambda: MemorySource(MemoryConfig(target=target))


class TestMemoryStream(_Filled):
    @pytest.fixture
    def source_factory(self, target: MemoryTarget) -> Callable[[], MemoryStream]:
        return lambda: MemoryStream(MemoryConfig(target=target))
