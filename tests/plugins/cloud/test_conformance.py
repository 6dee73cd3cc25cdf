"""The `cloud` source keeps every promise of a source, over the stub server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from lgx import Record, from_fields, raw, split_array, split_object, state_to_checkpoint
from lgx.testing import SourceConformance, StubProcess
from lgx_plugins.cloud import CloudSource
from lgx_plugins.cloud.config import CloudSourceConfig


@pytest.fixture(scope="module")
def server() -> Iterator[StubProcess]:
    with StubProcess(threads=7, checkpoints=[3, 6, 0], subgraphs=3, extras=True) as stub:
        yield stub


@pytest.fixture(scope="module")
def truth(server: StubProcess) -> Mapping[str, Sequence[Record]]:
    """Each thread as plain requests get it."""
    rows = split_array(_ask(server.url, "/threads/search", {"limit": 1000}))
    found: dict[str, Sequence[Record]] = {}
    for row in rows:
        fields = split_object(row)
        thread_id = json.loads(bytes(fields["thread_id"]))
        thread = from_fields({**fields, "kind": raw("thread")})
        found[thread_id] = [thread, *_history(server.url, thread_id, "")]
    return found


def _history(url: str, thread_id: str, namespace: str) -> list[Record]:
    """A namespace from its oldest state on, and the namespaces that its tasks name."""
    body: dict[str, Any] = {"limit": 1000}
    if namespace:
        body["checkpoint"] = {"checkpoint_ns": namespace}
    answer = _ask(url, f"/threads/{thread_id}/history", body)
    records: list[Record] = [
        state_to_checkpoint(item, thread_id) for item in reversed(split_array(answer))
    ]
    places = [task["checkpoint"] for state in json.loads(answer) for task in state["tasks"]]
    for below in sorted({place["checkpoint_ns"] for place in places if place}):
        records += _history(url, thread_id, below)
    return records


def _ask(url: str, path: str, body: object) -> bytes:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return bytes(answer.read())


class TestCloudSource(SourceConformance):
    never_changes = "the server of these tests is shared by them; test_reader has the changes"

    @pytest.fixture
    def source_factory(self, server: StubProcess) -> Callable[[], CloudSource]:
        return lambda: CloudSource(CloudSourceConfig(url=server.url))

    @pytest.fixture
    def expected(self, truth: Mapping[str, Sequence[Record]]) -> Mapping[str, Sequence[Record]]:
        return truth
