"""Fifty kinds of place where a text may hide in a thread, a checkpointer's rows or a store.

`PLACES[name](text, number)` is a record that holds the text there and nowhere else; `number`
gives it ids of its own, so that many stand side by side: threads, checkpoints, keys.
`IDENTITIES` does the same for what identifies a record, which no transform may treat
as it treats values.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Interrupt, Send
from msgspec import UNSET, Raw, UnsetType

from lgx import (
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Cron,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
    raw,
)

__all__ = ["IDENTITIES", "PLACES", "Place", "thread_id"]

Place = Callable[[str, int], Record]

_WHEN = "2026-03-04T10:15:22.118000+00:00"
_VERSION = "00000000000000000000000000000002.0.2431754086731952"


def thread_id(number: int) -> str:
    """The thread of the records of that number."""
    return _id("thread", number)


def _id(what: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://corpus.example.org/{what}/{number}"))


# What belongs to a thread


def _thread(number: int, extra: dict[str, Raw] | UnsetType = UNSET, **fields: Any) -> Thread:
    plain: dict[str, Any] = {"metadata": {"graph_id": "agent"}, "values": {}, "interrupts": {}}
    given: dict[str, Any] = {name: raw(value) for name, value in (plain | fields).items()}
    return Thread(
        thread_id=thread_id(number),
        created_at=_WHEN,
        updated_at=_WHEN,
        status="idle",
        extra=extra,
        **given,
    )


def _deep(text: str, levels: int) -> Any:
    return text if levels == 0 else {"more": [_deep(text, levels - 1)]}


_THREADS: dict[str, Place] = {
    "thread/values/message": lambda text, n: _thread(
        n, values={"messages": [_message(n, content=text)]}
    ),
    "thread/values/key": lambda text, n: _thread(n, values={"seen": {text: 3}}),
    "thread/metadata": lambda text, n: _thread(n, metadata={"graph_id": "agent", "owner": text}),
    "thread/metadata/deep": lambda text, n: _thread(n, metadata={"trail": _deep(text, 15)}),
    "thread/config": lambda text, n: _thread(n, config={"configurable": {"user": text}}),
    "thread/interrupts": lambda text, n: _thread(
        n, interrupts={_id("task", n): [{"id": f"{n:032x}", "value": {"question": text}}]}
    ),
    "thread/error": lambda text, n: _thread(n, extra={"error": raw(f"ValueError: {text}")}),
}

# Messages, as the API shows them in the values of a checkpoint


def _message(number: int, kind: str = "human", **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "content": "",
        "additional_kwargs": {},
        "response_metadata": {},
        "name": None,
    }
    return {**plain, "type": kind, "id": _id("message", number), **fields}


def _checkpoint(number: int, **fields: Any) -> Checkpoint:
    plain: dict[str, Any] = {
        "values": {},
        "next": [],
        "tasks": [],
        "metadata": {"source": "loop", "step": 1, "parents": {}},
        "interrupts": [],
    }
    given: dict[str, Any] = {
        name: value if isinstance(value, Raw) else raw(value)
        for name, value in (plain | fields).items()
    }
    return Checkpoint(
        thread_id=thread_id(number),
        checkpoint_ns="",
        checkpoint_id=_id("checkpoint", number),
        created_at=_WHEN,
        **given,
    )


def _said(number: int, kind: str = "human", **fields: Any) -> Checkpoint:
    return _checkpoint(number, values={"messages": [_message(number, kind, **fields)]})


def _block(number: int, kind: str, block: dict[str, Any]) -> Checkpoint:
    return _said(number, kind, content=[{"type": "text", "text": "See below."}, block])


def _call(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"call_{number}", "name": "lookup", **fields}


def _function(text: str) -> dict[str, str]:
    return {"name": "lookup", "arguments": json.dumps({"query": text}, ensure_ascii=False)}


def _functions(number: int, text: str) -> dict[str, Any]:
    call = {"id": f"call_{number}", "type": "function", "function": _function(text)}
    return {"tool_calls": [call]}


def _nested(text: str) -> str:
    inner = json.dumps({"rows": [{"contact": text}]})
    return json.dumps({"status": "ok", "body": inner}, ensure_ascii=False)


def _base64(text: str) -> str:
    return base64.b64encode(f"Notes\n{text}\n".encode()).decode()


_MESSAGES: dict[str, Place] = {
    "message/content": lambda text, n: _said(n, content=f"Please write to {text} today."),
    "message/content-block": lambda text, n: _block(n, "human", {"type": "text", "text": text}),
    "message/tool-use-block": lambda text, n: _block(
        n, "ai", {"type": "tool_use", **_call(n, input={"query": text})}
    ),
    "message/reasoning-block": lambda text, n: _block(
        n, "ai", {"type": "thinking", "thinking": f"The user is {text}.", "signature": "EqQB"}
    ),
    "message/base64-text": lambda text, n: _block(
        n,
        "human",
        {
            "type": "file",
            "source_type": "base64",
            "mime_type": "text/plain",
            "data": _base64(text),
        },
    ),
    "message/data-url": lambda text, n: _block(
        n,
        "human",
        {"type": "file", "file": {"file_data": f"data:text/plain;base64,{_base64(text)}"}},
    ),
    "message/tool-call": lambda text, n: _said(
        n, "ai", tool_calls=[_call(n, type="tool_call", args={"query": text})]
    ),
    "message/function-arguments": lambda text, n: _said(
        n, "ai", additional_kwargs=_functions(n, text)
    ),
    "message/invalid-tool-call": lambda text, n: _said(
        n, "ai", invalid_tool_calls=[_call(n, args='{"query": ' + text, error="no JSON")]
    ),
    "message/additional-kwargs": lambda text, n: _said(
        n, "ai", additional_kwargs={"reasoning_content": f"Ask {text} first."}
    ),
    "message/response-metadata": lambda text, n: _said(
        n, "ai", response_metadata={"headers": {"x-user": text}}
    ),
    "message/name": lambda text, n: _said(n, content="Hello.", name=text),
    "message/tool-result": lambda text, n: _said(
        n, "tool", content=f"1 row: {text}", tool_call_id=f"call_{n}", status="success"
    ),
    "message/tool-result-json": lambda text, n: _said(
        n, "tool", content=_nested(text), tool_call_id=f"call_{n}", status="success"
    ),
    "message/tool-artifact": lambda text, n: _said(
        n, "tool", content="1 row", tool_call_id=f"call_{n}", artifact={"rows": [[1, text]]}
    ),
}

# The rest of a checkpoint


def _task(number: int, **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "error": None,
        "interrupts": [],
        "checkpoint": None,
        "state": None,
        "result": None,
    }
    return {"id": _id("task", number), "name": "tools", "path": ["x"], **plain, **fields}


def _escaped(text: str) -> Raw:
    """Every character as `\\u….`, which is the same JSON."""
    units = text.encode("utf-16-be").hex()
    quoted = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
    return Raw(f'{{"note":"{quoted}"}}'.encode())


_STATES: dict[str, Place] = {
    "state/value": lambda text, n: _checkpoint(n, values={"leads": [[{"contact": text}]]}),
    "state/key": lambda text, n: _checkpoint(n, values={"visits": {text: {"count": 2}}}),
    "state/escaped": lambda text, n: _checkpoint(n, values=_escaped(text)),
    "task/result": lambda text, n: _checkpoint(n, tasks=[_task(n, result={"summary": text})]),
    "task/error": lambda text, n: _checkpoint(n, tasks=[_task(n, error=f"KeyError({text})")]),
    "task/interrupt": lambda text, n: _checkpoint(
        n, tasks=[_task(n, interrupts=[{"id": f"{n:032x}", "value": f"Send it to {text}?"}])]
    ),
    "task/state": lambda text, n: _checkpoint(
        n, tasks=[_task(n, state={"values": {"draft": text}, "next": []})]
    ),
    "checkpoint/interrupts": lambda text, n: _checkpoint(
        n, interrupts=[{"id": f"{n:032x}", "value": [text, "yes", "no"]}]
    ),
    "checkpoint/metadata": lambda text, n: _checkpoint(
        n, metadata={"source": "input", "step": -1, "writes": {"__start__": {"user": text}}}
    ),
}

# A checkpointer's rows, in the bytes that LangGraph writes


@dataclass
class Contact:
    """A value of a class of the application's own."""

    address: str
    visits: int = 1


def _dumped(value: Any) -> dict[str, Any]:
    kind, blob = JsonPlusSerializer().dumps_typed(value)
    return {"type": kind, "blob": blob}


def _document(values: dict[str, Any]) -> dict[str, Any]:
    return {
        "v": 4,
        "id": "1f117ad2-6d2a-6a52-8001-3f1f0f6d8a11",
        "ts": _WHEN,
        "channel_values": values,
        "channel_versions": dict.fromkeys(values, _VERSION),
        "versions_seen": {"__input__": {}},
        "updated_channels": sorted(values),
    }


def _raw(number: int, **fields: Any) -> RawCheckpoint:
    return RawCheckpoint(
        thread_id=thread_id(number),
        checkpoint_ns="",
        checkpoint_id=_id("checkpoint", number),
        **({"metadata": raw({"source": "loop", "step": 1})} | fields),
    )


def _blob(number: int, fields: dict[str, Any]) -> ChannelBlob:
    return ChannelBlob(
        thread_id=thread_id(number),
        checkpoint_ns="",
        channel="messages",
        version=_VERSION,
        **fields,
    )


def _write(number: int, channel: str, value: Any, idx: int = 0) -> CheckpointWrite:
    return CheckpointWrite(
        thread_id=thread_id(number),
        checkpoint_ns="",
        checkpoint_id=_id("checkpoint", number),
        task_id=_id("task", number),
        idx=idx,
        channel=channel,
        task_path="~__pregel_pull, agent",
        **_dumped(value),
    )


def _legacy(text: str) -> dict[str, Any]:
    """A message in the form of the first versions."""
    name = ["langchain", "schema", "messages", "HumanMessage"]
    message = {"lc": 1, "type": "constructor", "id": name, "kwargs": {"content": text}}
    return {"type": "json", "blob": json.dumps([message]).encode()}


_ROWS: dict[str, Place] = {
    "raw/whole": lambda text, n: _raw(n, **_dumped(_document({"topic": ["a", text]}))),
    "raw/document": lambda text, n: _raw(n, document=raw(_document({"topic": text}))),
    "raw/metadata": lambda text, n: _raw(
        n, **_dumped(_document({})), metadata=raw({"step": 1, "user": text})
    ),
    "raw/metadata-blob": lambda text, n: _raw(
        n,
        **_dumped(_document({})),
        metadata=UNSET,
        metadata_blob=json.dumps({"score": float("nan"), "user": text}).encode(),
    ),
    "blob/message": lambda text, n: _blob(
        n, _dumped([HumanMessage(content=f"I am {text}.", id=_id("message", n))])
    ),
    "blob/function-arguments": lambda text, n: _blob(
        n, _dumped([AIMessage(content="", additional_kwargs={"function_call": _function(text)})])
    ),
    "blob/dataclass": lambda text, n: _blob(n, _dumped({"lead": Contact(address=text)})),
    "blob/set": lambda text, n: _blob(n, _dumped({text})),
    "blob/key": lambda text, n: _blob(n, _dumped({"by_user": {text: 1, 2: None}})),
    "blob/delta-snapshot": lambda text, n: _blob(n, _dumped(_DeltaSnapshot(["old", text]))),
    "blob/json": lambda text, n: _blob(n, _legacy(text)),
    "write/value": lambda text, n: _write(n, "draft", {"to": [text], "cc": []}),
    "write/interrupt": lambda text, n: _write(
        n, "__interrupt__", (Interrupt(value={"ask": text}, id=f"{n:032x}"),), -3
    ),
    "write/error": lambda text, n: _write(n, "__error__", ValueError(f"no user {text}"), -1),
    "write/send": lambda text, n: _write(n, "__pregel_tasks", Send("mail", {"to": text})),
}

# What belongs to a deployment

_OTHERS: dict[str, Place] = {
    "store/value": lambda text, n: StoreItem(
        namespace=("users", str(n)), key="profile", value=raw({"facts": [f"reads mail at {text}"]})
    ),
    "run/input": lambda text, n: Run(
        thread_id=thread_id(n),
        run_id=_id("run", n),
        status="success",
        extra={"kwargs": raw({"input": {"messages": [{"role": "user", "content": text}]}})},
    ),
    "assistant/config": lambda text, n: Assistant(
        assistant_id=_id("assistant", n),
        version=1,
        graph_id="agent",
        extra={"config": raw({"configurable": {"escalate_to": text}})},
    ),
    "cron/payload": lambda text, n: Cron(
        cron_id=_id("cron", n),
        extra={"schedule": raw("0 7 * * *"), "payload": raw({"input": {"report_to": text}})},
    ),
}

PLACES: Mapping[str, Place] = {**_THREADS, **_MESSAGES, **_STATES, **_ROWS, **_OTHERS}

IDENTITIES: Mapping[str, Place] = {
    "thread_id": lambda text, n: Thread(thread_id=f"{text}/{n}"),
    "checkpoint_ns": lambda text, n: Checkpoint(
        thread_id=thread_id(n), checkpoint_ns=f"{text}:{n}", checkpoint_id=_id("checkpoint", n)
    ),
    "store/namespace": lambda text, n: StoreItem(
        namespace=("users", text), key=str(n), value=raw({})
    ),
    "store/key": lambda text, n: StoreItem(namespace=("users", str(n)), key=text, value=raw({})),
}
