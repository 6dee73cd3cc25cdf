"""Graphs that have another name on the target."""

from __future__ import annotations

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
