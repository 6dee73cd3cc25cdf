"""A server's threads go on in Redis, rebuilt with the team's own graph."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from msgspec import structs
from typing_extensions import TypedDict

import lgx
from lgx import Thread, encode_line, raw

from ..rebuilding.places import Place  # noqa: TID252 -- it stands in for a server
from .servers import Store


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


def _builder() -> Any:
    made = StateGraph(State)
    made.add_node("ask", lambda state: {"messages": [AIMessage(interrupt("well?"), id="b")]})
    made.add_edge(START, "ask")
    return made


async def test_a_waiting_thread_is_answered_in_redis(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RedisSaver finds its question, and goes on to what the source comes to; a second run writes
    nothing."""
    place, thread_id = Place(_builder()), str(uuid4())
    config = place.head(thread_id)
    await place.graph.ainvoke({"messages": [("user", "tea")]}, config)
    records = [
        Thread(thread_id=thread_id, metadata=raw({"graph_id": "agent"})),
        *(structs.replace(one, thread_id=thread_id) for one in await place.states(thread_id)),
    ]
    records[1:] = records[:0:-1]
    header = msgspec.json.encode({"kind": "header", "format": "lgx-ndjson", "version": 1})
    path = tmp_path / "export.ndjson"
    path.write_bytes(b"\n".join([header, *map(encode_line, records)]) + b"\n")
    module = ModuleType("team")
    module.graph = _builder().compile()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "team", module)
    sink = lgx.use("redis-saver", url=store.url, graph=["team:graph"])

    dry, first, second = [
        await lgx.run_async(lgx.use("ndjson", path=path), sink, dry_run=dry)
        for dry in (True, False, False)
    ]

    assert [one.exit_code for one in (dry, first, second)] == [0, 0, 0]
    assert (len(dry.would_move), first.threads.written, second.threads.unchanged) == (1, 1, 1)
    with store.saver() as saver:
        graph = _builder().compile(checkpointer=saver)
        assert [one.value for one in graph.get_state(config).interrupts] == ["well?"]
        ended = graph.invoke(Command(resume="yes"), config)
    assert ended == await place.graph.ainvoke(Command(resume="yes"), config)
