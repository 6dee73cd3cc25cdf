"""Threads that are hard to keep: what a sink must hold whole, each under a name."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lgx.codec import raw
from lgx.records import (
    ANY_KIND,
    Assistant,
    Checkpoint,
    Cron,
    Json,
    Record,
    Run,
    StoreItem,
    Thread,
    UnknownRecord,
)

__all__ = ["PLAIN", "chain", "checkpoint", "sample_extras", "sample_threads", "thread"]

PLAIN = "plain"

_BULK = {
    "numbers": b'{"above":18446744073709551616,"below":-340282366920938463463374607431768211457,'
    b'"power":1E+2,"fine":0.1000000000000000055,"zero":-0.0,"huge":1e400,"tail":1.10,'
    b'"long":123456789012345678901234567890.123456789,"max":9007199254740993}',
    "unicode": (
        '{"Zoë 🎈":"日本語 العربية é e\u0301 \u2028 \U0010ffff",'
        '"escaped":"\\u00e9\\ud83c\\udf88\\/"}'
    ).encode(),
    "nul": b'{"text":"before\\u0000after","\\u0000":["\\u0000"]}',
    "surrogates": b'{"text":"\\ud800","both":"\\udfff\\ud800","fine":"\\ud83c\\udf88"}',
    "duplicate-keys": b'{"a":1,"b":{"c":1,"c":2},"a":3}',
    "nested-300": b'{"deep":' + b"[" * 300 + b"]" * 300 + b"}",
    "nested-2000": b'{"deep":' + b'{"a":[' * 1000 + b"]}" * 1000 + b"}",
    "long-string": b'{"text":"' + b"0123456789abcdef" * 65536 + b'"}',
    "scalars": b'[null,true,false,0,"",[],{}]',
}

_IDS = {
    "id-slash": "a/b//c",
    "id-dots": "../../etc/passwd",
    "id-dot": ".",
    "id-nul": "a\x00b",
    "id-newline": "a\nb\r\t",
    "id-emoji": "🎈-Zoë-日本",
    "id-300": "x" * 300,
    "id-300-too": "x" * 299 + "y",
    "id-empty": "",
    "id-space": " padded ",
    "id-lower": "case",
    "id-upper": "CASE",
    "id-composed": "caf\u00e9",
    "id-decomposed": "cafe\u0301",
    "id-quotes": "'; DROP TABLE threads; --\"`$(x)%s{0}",
    "id-device": "CON",
    "id-percent": "a%2Fb",
    "id-wild": "%_*?[a]",
}


def thread(thread_id: str, *, bulk: Json = UNSET, **fields: Any) -> Thread:
    """A thread as a server gives it."""
    known: dict[str, Any] = {
        "created_at": "2026-01-01T12:00:00.000000+00:00",
        "updated_at": "2026-01-02T12:00:00.123456+00:00",
        "status": "idle",
        "metadata": raw({"graph_id": "agent"}),
        "values": raw({"messages": []}) if bulk is UNSET else bulk,
        "interrupts": Raw(b"{}"),
        "config": Raw(b'{"configurable":{}}'),
        **fields,
    }
    return Thread(thread_id=thread_id, **known)


def checkpoint(
    thread_id: str,
    number: int,
    *,
    namespace: str = "",
    parent: int | None = None,
    bulk: Json = UNSET,
    **fields: Any,
) -> Checkpoint:
    """A state as a server gives it; `number` makes its id, later ones sort after."""
    known: dict[str, Any] = {
        "created_at": f"2026-01-01T12:{number // 60 % 60:02}:{number % 60:02}.000000+00:00",
        "values": raw({"n": number}) if bulk is UNSET else bulk,
        "next": Raw(b'["model"]'),
        "tasks": Raw(b'[{"id":"1","name":"model","result":{"n":1}}]'),
        "metadata": raw({"source": "loop", "step": number, "parents": {}}),
        "interrupts": Raw(b"[]"),
        **fields,
    }
    return Checkpoint(
        thread_id=thread_id,
        checkpoint_ns=namespace,
        checkpoint_id=_state_id(number),
        parent_checkpoint_id=None if parent is None else _state_id(parent),
        **known,
    )


def _state_id(number: int) -> str:
    return f"1f0a0000-{number:04x}-6000-8000-000000000000"


def chain(thread_id: str, count: int, *, bulk: Json = UNSET) -> list[Record]:
    """A thread and a line of states."""
    states = [
        checkpoint(thread_id, number, parent=number - 1 if number else None, bulk=bulk)
        for number in range(count)
    ]
    return [thread(thread_id), *states]


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"lgx:{name}"))


def sample_threads(accepts: Collection[str] = ANY_KIND) -> dict[str, list[Record]]:
    """All samples of the kinds that a sink accepts, by name; no two share a thread id."""
    samples: dict[str, list[Record]] = {PLAIN: chain(_uuid(PLAIN), 3)}
    for name, text in _BULK.items():
        thread_id, bulk = _uuid(name), Raw(text)
        samples[name] = [
            thread(thread_id, bulk=bulk, metadata=bulk),
            checkpoint(thread_id, 0, bulk=bulk, metadata=bulk),
            checkpoint(thread_id, 1, parent=0, tasks=Raw(b"[" + text + b"]")),
        ]
    for name, thread_id in _IDS.items():
        samples[name] = chain(thread_id, 2)
    samples["bare"] = [Thread(thread_id=_uuid("bare"))]
    samples["no-checkpoints"] = [thread(_uuid("no-checkpoints"), bulk=Raw(b"null"))]
    samples["null-and-absent"] = _nulls(_uuid("null-and-absent"))
    samples["namespaces"] = _namespaces(_uuid("namespaces"))
    samples["fork"] = _fork(_uuid("fork"))
    samples["unknown-fields"] = _unknown_fields(_uuid("unknown-fields"))
    if accepts == ANY_KIND:
        samples["unknown-kind"] = [
            *chain(_uuid("unknown-kind"), 2),
            UnknownRecord(
                name="note",
                thread_id=_uuid("unknown-kind"),
                body=raw({"kind": "note", "thread_id": _uuid("unknown-kind"), "text": "🎈"}),
            ),
        ]
    if accepts == ANY_KIND or "run" in accepts:
        thread_id = _uuid("runs")
        samples["runs"] = [
            *chain(thread_id, 2),
            Run(
                thread_id=thread_id,
                run_id=_uuid("run-1"),
                created_at="2026-01-01T12:00:00+00:00",
                status="success",
                extra={"kwargs": Raw(b'{"input":{"n":18446744073709551616}}')},
            ),
            Run(thread_id=thread_id, run_id=_uuid("run-2")),
        ]
    return {name: _told_apart(number, item) for number, (name, item) in enumerate(samples.items())}


def _told_apart(number: int, records: list[Record]) -> list[Record]:
    """Another status and time for each thread, so that filters divide the samples."""
    head = records[0]
    assert isinstance(head, Thread)
    if head.updated_at is None:
        return records
    status = ("idle", "busy", "interrupted", "error")[number % 4]
    time = f"2026-01-{1 + number % 28:02}T12:00:00.{number:06}+00:00"
    return [msgspec.structs.replace(head, status=status, updated_at=time), *records[1:]]


def _nulls(thread_id: str) -> list[Record]:
    null = Raw(b"null")
    return [
        Thread(thread_id=thread_id, status="idle", metadata=null, config=null),
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=_state_id(0),
            values=null,
            tasks=null,
        ),
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=_state_id(1),
            parent_checkpoint_id=_state_id(0),
            next=null,
            metadata=null,
            interrupts=null,
        ),
    ]


def _namespaces(thread_id: str) -> list[Record]:
    """The same checkpoint ids in three namespaces: only thread, namespace and id identify."""
    inner = "child:0f6c|inner:77aa"
    return [
        thread(thread_id),
        checkpoint(thread_id, 0),
        checkpoint(thread_id, 0, namespace="child:0f6c", bulk=raw({"where": "child"})),
        checkpoint(thread_id, 1, namespace="child:0f6c", parent=0),
        checkpoint(thread_id, 0, namespace=inner, bulk=raw({"where": "inner"})),
        checkpoint(thread_id, 1, parent=0),
    ]


def _fork(thread_id: str) -> list[Record]:
    return [
        thread(thread_id),
        checkpoint(thread_id, 0),
        checkpoint(thread_id, 1, parent=0),
        checkpoint(thread_id, 2, parent=1),
        checkpoint(thread_id, 3, parent=0, bulk=raw({"branch": "other"})),
        checkpoint(thread_id, 4, parent=3),
    ]


def _unknown_fields(thread_id: str) -> list[Record]:
    extra = {"state_updated_at": raw("2026-01-01"), "of tomorrow": Raw(b'{"a":[1E+2,null]}')}
    places = {"checkpoint": Raw(b'{"checkpoint_map":{"":"1"}}')}
    return [
        thread(thread_id, extra=extra),
        checkpoint(thread_id, 0, extra=extra | places),
        checkpoint(thread_id, 1, parent=0),
    ]


def sample_extras(kind: str) -> list[Record]:
    """Records of one of `EXTRA_KINDS`; some identities differ in one part only."""
    if kind == "assistant":
        first, second = _uuid("assistant-1"), _uuid("assistant-2")
        extra = {"config": Raw(b'{"n":18446744073709551616}'), "name": raw("Zoë 🎈")}
        return [
            Assistant(assistant_id=first, version=1, latest=False, graph_id="agent", extra=extra),
            Assistant(assistant_id=first, version=2, graph_id="agent", extra=extra),
            Assistant(assistant_id=second, version=1),
        ]
    if kind == "cron":
        payload = {
            "schedule": raw("0 0 1 1 *"),
            "payload": Raw(b'{"input":{"x":0.1000000000000000055}}'),
        }
        return [Cron(cron_id=_uuid("cron-1"), extra=payload), Cron(cron_id=_uuid("cron-2"))]
    value = Raw(b'{"text":"before\\u0000after","n":18446744073709551616}')
    when = "2026-01-01T12:00:00+00:00"
    return [
        StoreItem(namespace=("a", "b"), key="k", value=value, created_at=when, updated_at=when),
        StoreItem(namespace=("a",), key="b.k", value=Raw(b"null")),
        StoreItem(namespace=("a.b",), key="k", value=raw({"n": 1}), extra={"score": Raw(b"null")}),
        StoreItem(namespace=("🎈", "'; --"), key="../x/", value=raw([])),
    ]
