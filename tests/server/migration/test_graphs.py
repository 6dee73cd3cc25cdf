"""Graphs of the target, and those that have another name there."""

from __future__ import annotations

import pytest

import lgx
from lgx.testing import make_context
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.sink import CloudSink

from .fill import Filled
from .moving import move


async def test_a_name_that_nothing_has_is_told(source: Filled, target: str) -> None:
    """With those that there are, as it is mistyped."""
    some = [source.threads["loop-turns"], source.threads["relay-one"]]
    report = await move(source.url, target, some, map_graph={"lop": "loop"})
    assert report.exit_code == 0, report.failures
    assert [n.message for n in report.notes if "--sink-map-graph" in n.message] == [
        "--sink-map-graph lop=… was of no use: graphs are loop, relay at the source"
    ]


async def test_doctor_tells_what_graphs_consist_of(target: str) -> None:
    """As far as the server tells: a function has no channels."""
    async with CloudSink(CloudSinkConfig(url=target)) as sink:
        facts = {fact.name: fact.value for fact in (await sink.probe(make_context())).facts}
    assert facts["graph loop"] == "channels count, rounds; nodes turn"
    assert facts["graph functional"] == "nodes functional"


async def test_a_graph_is_found_though_no_list_names_it(target: str) -> None:
    """Who may not list assistants may still use them."""
    context = make_context()
    async with Client(CloudSinkConfig(url=target)) as client:
        graphs = Graphs(client, {"old": "loop"})
        assert await graphs.of("old", context) == "loop"
        with pytest.raises(lgx.ThreadError, match="the target runs no graph 'gone'"):
            await graphs.of("gone", context)
        unlisted = Graphs(client, {})
        known = [await unlisted.has_assistant(name, context) for name in ("loop", "gone")]
        assert known == [True, False]
