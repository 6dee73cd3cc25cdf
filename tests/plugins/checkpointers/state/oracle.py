"""What LangGraph itself shows of a thread: the states that its graph makes of a checkpointer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer, _msgpack_ext_hook_to_json
from langgraph_api.serde import json_dumpb  # type: ignore[import-untyped]
from langgraph_api.state import (  # type: ignore[import-untyped]
    state_snapshot_to_thread_state,
)

from lgx import Checkpoint

__all__ = ["as_json", "history", "sorted_by_name", "told", "without_order"]

_writing = JsonPlusSerializer()
_reading = JsonPlusSerializer(__unpack_ext_hook__=_msgpack_ext_hook_to_json)


def as_json(value: Any) -> Any:
    """A value as a server's history has it: it reads what is stored by a hook of its own."""
    return json.loads(json_dumpb(_reading.loads_typed(_writing.dumps_typed(value))))


def without_order(state: Any) -> Any:
    """The same with the members of sets in order: they have none of their own."""
    if isinstance(state, list):
        return [without_order(item) for item in state]
    if isinstance(state, dict):
        return {
            key: sorted(value) if key in ("labels", "tags") and value else without_order(value)
            for key, value in state.items()
        }
    return state


def history(graph: Any, saver: BaseCheckpointSaver[Any], thread_id: str) -> dict[Any, Any]:
    """The states of a thread over all namespaces, by namespace and id, as the API shows them."""
    found = {}
    for namespace in _namespaces(saver, thread_id):
        config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace}}
        for snapshot in graph.get_state_history(config):
            state = state_snapshot_to_thread_state(snapshot)
            state["values"] = as_json(state["values"])
            for shown, own in zip(state["tasks"], snapshot.tasks, strict=True):
                shown["result"] = as_json(own.result)
            state = json.loads(json_dumpb(state))
            saved = saver.get_tuple(snapshot.config)
            assert saved is not None
            written = {*saved.checkpoint["channel_versions"], *saved.checkpoint["channel_values"]}
            if isinstance(state["values"], dict):
                state["values"] = {
                    name: value
                    for name, value in state["values"].items()
                    if name in written or "__end__" in written
                }
            elif "__root__" not in written and "__end__" not in written:
                state["values"] = None  # an empty one that was never written
            place = state["checkpoint"]
            found[place.get("checkpoint_ns", ""), place["checkpoint_id"]] = state
    return found


def _namespaces(saver: BaseCheckpointSaver[Any], thread_id: str) -> Iterator[str]:
    places = {
        item.config["configurable"]["checkpoint_ns"]
        for item in saver.list(None)
        if item.config["configurable"]["thread_id"] == thread_id
    }
    yield from sorted(places)


def told(record: Checkpoint) -> dict[str, Any]:
    """A record as an element of a history."""
    state: dict[str, Any] = {
        name: json.loads(bytes(getattr(record, name)))
        for name in ("values", "next", "tasks", "metadata", "interrupts")
    }
    place = {"thread_id": record.thread_id, "checkpoint_ns": record.checkpoint_ns}
    parent = record.parent_checkpoint_id
    state["created_at"] = record.created_at
    state["checkpoint"] = {**place, "checkpoint_id": record.checkpoint_id}
    state["parent_checkpoint"] = parent and {**place, "checkpoint_id": parent}
    state["checkpoint_id"], state["parent_checkpoint_id"] = record.checkpoint_id, parent
    if record.extra:
        state |= {name: json.loads(bytes(value)) for name, value in record.extra.items()}
    return state


def sorted_by_name(state: dict[str, Any]) -> dict[str, Any]:
    """The same with parallel nodes in the order of their names: the graph's own is in no row."""
    sent = [task for task in state["tasks"] if task["path"][0] == "__pregel_push"]
    pulled = [task for task in state["tasks"] if task["path"][0] != "__pregel_push"]
    tasks = sent + sorted(pulled, key=lambda task: task["name"])
    return {
        **state,
        "tasks": tasks,
        "next": [task["name"] for task in tasks],
        "interrupts": [question for task in tasks for question in task["interrupts"]],
    }
