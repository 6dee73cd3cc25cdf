"""States of what older versions of LangGraph wrote."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx_plugins.checkpointers.sqlite import SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig

ALTERED = ("1.0.0", "1.0.4", "2.0.1")
"""Their channels had other names. Tasks get their ids from these, so that today's LangGraph, which
gives them today's names, no longer finds what a task wrote."""

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def written() -> Iterator[ModuleType]:
    """What wrote them: its graphs are those of the threads."""
    spec = importlib.util.spec_from_file_location("golden_write", GOLDEN / "write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its types are looked up
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def _forget_what_ran(state: dict[str, Any]) -> None:
    for task in state["tasks"]:
        del task["id"], task["result"], task["checkpoint"]


@pytest.mark.parametrize(
    "version", ["1.0.0", "1.0.4", "2.0.1", "2.0.6", "2.0.11", "3.0.1", "3.1.1"]
)
async def test_states_of_older_files_are_those_that_graphs_show_today(
    version: str,
    tmp_path: Path,
    written: ModuleType,
    oracle: ModuleType,
    states_of: Callable[..., Any],
) -> None:
    """Documents in JSON, sends among the writes, channels of older names: LangGraph brings them
    up to date when it reads them, with the graph in hand; the states are the same without."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as connection:
        dump = gzip.decompress((GOLDEN / "sqlite" / f"{version}.sql.gz").read_bytes()).decode()
        connection.executescript(dump)
    found = await states_of(SqliteSaverSource(SqliteSaverConfig(path=path)))

    def check() -> None:
        with SqliteSaver.from_conn_string(str(path)) as saver:
            for thread_id in ("plain", "sends", "outer"):
                graph = written._outer() if thread_id == "outer" else written._graph()
                compiled = graph.compile(checkpointer=saver)
                expected = oracle.history(compiled, saver, thread_id)
                records = found[thread_id][0][1:]
                states = {(c.checkpoint_ns, c.checkpoint_id): oracle.told(c) for c in records}
                assert states.keys() == expected.keys()
                for place, state in states.items():
                    wanted = oracle.sorted_by_name(expected[place])
                    if version in ALTERED:
                        _forget_what_ran(state)
                        _forget_what_ran(wanted)
                        if isinstance(wanted["values"].get("raw"), dict):
                            wanted["values"]["raw"] = "AP8="  # which today is left as it was
                    for field in wanted:
                        one, other = oracle.without_order([state[field], wanted[field]])
                        assert one == other, (thread_id, place, state["metadata"], field)

    await asyncio.to_thread(check)
