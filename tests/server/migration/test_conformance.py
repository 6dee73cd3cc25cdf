"""The cloud sink keeps what the conformance kit asks of any sink, as far as that can be asked of
threads that a server rebuilds.

Not run: `Arrival`, `Repetition` and `Merging` hold each record to what was written, with states
that no graph makes; `test_migration`, `test_conflicts` and `test_ids` stand for them. `Extras` has
a kind replaced as a whole, where this sink adds to what is there; `test_belongings` stands for it.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lgx import Bundle, Checkpoint, Context, Record, Sink, Thread, ThreadEnd, ThreadRef
from lgx.query import Query
from lgx.testing import make_context
from lgx.testing.conformance.sinks.atomicity import Atomicity
from lgx.testing.conformance.sinks.cancellation import Cancellation
from lgx.testing.conformance.sinks.dry_runs import DryRuns
from lgx.testing.conformance.sinks.engine import write_all
from lgx.testing.conformance.sinks.forgetting import Forgetting
from lgx.testing.conformance.sinks.marks import Marks
from lgx_plugins.cloud import CloudSource
from lgx_plugins.cloud.config import CloudSourceConfig
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.sink import CloudSink
from lgx_plugins.demo.server import RealServer

from .cleaning import clear
from .moving import contents

KIT = Path(__file__).with_name("kit")


@pytest.fixture(scope="module")
def kit_server(start_server: Callable[[Path], RealServer]) -> RealServer:
    return start_server(KIT)


class TestCloudSink(Cancellation, Atomicity, DryRuns, Forgetting, Marks):
    @pytest.fixture
    def url(self, kit_server: RealServer) -> str:
        """Of the server, which is empty."""
        asyncio.run(clear(kit_server.url))
        return kit_server.url

    @pytest.fixture
    def sink_factory(self, url: str) -> Callable[[], CloudSink]:
        return lambda: CloudSink(CloudSinkConfig(url=url))

    @pytest.fixture
    def target_state(self, url: str) -> Callable[[], object]:
        def ask() -> object:
            found: list[object] = []
            asking = threading.Thread(target=lambda: found.append(asyncio.run(contents(url))))
            asking.start()
            asking.join()
            return found[0]

        return ask

    @pytest.fixture
    def read_back(self, url: str) -> Callable[[], AsyncIterator[Record]]:
        return lambda: _threads(url)

    async def _accepted(self, sink: Sink[Any], bundles: Sequence[Bundle], context: Context) -> None:
        """The kit's threads are idle with a node that is due, which no server can be given."""
        outcomes = await write_all(sink, bundles, context)
        assert [outcome.error for outcome in outcomes] == [None] * len(bundles)
        assert [loss for outcome in outcomes for loss in outcome.losses if loss.holdable] == []

    def _differences(self, came: Sequence[Record], wanted: Sequence[Record]) -> list[str]:
        """Of what a rebuilt thread is to have: its states, in order."""
        there, here = _states(came), _states(wanted)
        return [] if there == here else [f"{there} in place of {here}"]


async def _threads(url: str) -> AsyncIterator[Record]:
    """All of a server's threads, under the ids that they had."""
    context = make_context()
    async with CloudSource(CloudSourceConfig(url=url)) as source:
        refs = [r async for r in source.list(Query(), context) if isinstance(r, ThreadRef)]
        for ref in refs:
            async for record in source.read([ref], context):
                if isinstance(record, Thread):
                    assert isinstance(record.metadata, msgspec.Raw)
                    label = json.loads(bytes(record.metadata))["lgx"]
                    # Servers keep U+FFFD for NUL.
                    own = label.get("thread_id", ref.thread_id).replace("\ufffd", "\0")
                if not isinstance(record, ThreadEnd):
                    yield msgspec.structs.replace(record, thread_id=own)


def _states(records: Sequence[Record]) -> list[Any]:
    return [
        json.loads(bytes(record.values))
        for record in records
        if isinstance(record, Checkpoint) and isinstance(record.values, msgspec.Raw)
    ]
