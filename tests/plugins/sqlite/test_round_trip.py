"""What goes into the tables comes out again, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET, Raw

from lgx import (
    Assistant,
    Checkpoint,
    Cron,
    Query,
    Record,
    Run,
    StoreItem,
    Thread,
    Tombstone,
    encode_line,
    raw,
)

ODD_IDS = [
    "",
    "\0",
    "a\0b",
    "a",
    "a/../b",
    "..",
    "'; DROP TABLE langgraph_threads; --",
    '"quoted"',
    "x" * 300,
    "é",
    "\ue000",
    "😀",
    "%s ? :name",
]

JSON_TEXTS = [
    b"null",
    b"true",
    b"0",
    b"-0.0",
    b"1E+2",
    b"1.10",
    b"0.1000000000000000055",
    b"18446744073709551616",
    b"1e400",
    b'""',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    '"é😀\u2028"'.encode(),
    b"{}",
    b'{"a":1,"a":2}',
    b'{"b":1,"a":[{}]}',
    b"[" * 900 + b"]" * 900,
    b"[" * 10_000 + b"]" * 10_000,
]


async def test_every_field_of_every_kind_comes_back(shop: Any) -> None:
    """Records of all kinds that a thread has, unknown ones included, are the same lines again."""
    records = [
        *shop.thread("t1", checkpoints=5),
        Tombstone(thread_id="t1", deleted_at="2026-01-01"),
    ]
    await shop.write(records)
    assert await shop.lines() == {"t1": [encode_line(record) for record in records]}


async def test_odd_thread_ids_are_kept_and_listed_in_the_order_of_their_bytes(shop: Any) -> None:
    """Ids are data: NUL, quotes, path parts, emoji and nothing at all tell threads apart."""
    threads = {thread_id: shop.thread(thread_id, note=repr(thread_id)) for thread_id in ODD_IDS}
    await shop.write(*threads.values())
    expected = {
        key: list(map(encode_line, threads[key])) for key in sorted(ODD_IDS, key=str.encode)
    }
    found = await shop.lines()
    assert list(found) == list(expected)
    assert found == expected


@pytest.mark.parametrize("text", JSON_TEXTS, ids=lambda text: repr(text[:24]))
async def test_json_stays_the_bytes_it_came_as(shop: Any, text: bytes) -> None:
    """Numbers, escapes, duplicate keys and deep nesting are text, in every JSON column."""
    value = Raw(text)
    records = [
        Thread(
            thread_id="t",
            metadata=value,
            values=value,
            interrupts=value,
            config=value,
            extra={"more": value},
        ),
        Checkpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="c",
            values=value,
            next=value,
            tasks=value,
            metadata=value,
            interrupts=value,
            extra={"more": value},
        ),
        Run(thread_id="t", run_id="r", extra={"more": value}),
    ]
    await shop.write(records)
    assert await shop.lines() == {"t": [encode_line(record) for record in records]}
    types = 'SELECT typeof(metadata), typeof("values"), typeof(extra) FROM langgraph_checkpoints'
    assert shop.query(types) == [("text", "text", "text")]


async def test_absent_differs_from_null(shop: Any) -> None:
    """A field that did not come is SQL's NULL; the value null is the text null."""
    records = [
        Thread(thread_id="t", metadata=Raw(b"null"), values=UNSET),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", next=Raw(b"null")),
    ]
    await shop.write(records)
    assert shop.query('SELECT metadata, "values", config FROM langgraph_threads') == [
        ("null", None, None)
    ]
    assert await shop.lines() == {"t": [encode_line(record) for record in records]}


async def test_the_order_of_checkpoints_is_kept(shop: Any) -> None:
    """Checkpoints come back as they went in, whatever their ids, times and namespaces."""
    places = [("", "z"), ("sub:1", "a"), ("", "y"), ("sub:1|deep", "b"), ("sub:1", "y")]
    records: list[Record] = [
        Thread(thread_id="t"),
        *(
            Checkpoint(thread_id="t", checkpoint_ns=namespace, checkpoint_id=key)
            for namespace, key in places
        ),
    ]
    await shop.write(records)
    assert await shop.lines() == {"t": [encode_line(record) for record in records]}


async def test_extras_come_back(shop: Any) -> None:
    """Assistants with their versions, crons and store items are the same records again."""
    extras: dict[str, list[Record]] = {
        "assistant": [
            Assistant(assistant_id="a", version=1, latest=False, graph_id="g"),
            Assistant(assistant_id="a", version=2, extra={"config": raw({"k": None})}),
        ],
        "cron": [Cron(cron_id="c", extra={"schedule": raw("* * * * *")})],
        "store_item": [
            StoreItem(namespace=("a", "b"), key="k", value=raw({"x": 1}), created_at="2026"),
            StoreItem(namespace=("a.b",), key="k", value=raw(None)),
            StoreItem(namespace=(), key="", extra={"score": raw(None)}),
        ],
    }
    async with shop.sink() as sink:
        for kind, records in extras.items():
            outcome = await sink.write_extras(kind, shop.bundle(records, extras=True), shop.context)
            assert outcome.error is None
    async with shop.source() as source:
        found = {
            kind: [encode_line(r) async for r in source.extras(kind, Query(), shop.context)]
            for kind in extras
        }
    assert found == {kind: list(map(encode_line, records)) for kind, records in extras.items()}


async def test_a_value_of_50_megabytes_comes_back(shop: Any) -> None:
    """One large value is one cell."""
    value = Raw(b'"' + b"x" * 50_000_000 + b'"')
    records = [
        Thread(thread_id="t"),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=value),
    ]
    await shop.write(records)
    assert await shop.lines() == {"t": [encode_line(record) for record in records]}


@pytest.mark.parametrize("prefix", ["", 'we"ird ', "x; DROP TABLE y", "é😀.", "SELECT", "a'b"])
async def test_any_prefix_is_quoted(shop: Any, prefix: str) -> None:
    """A prefix is part of a name, never SQL."""
    records = shop.thread("t")
    await shop.write(records, table_prefix=prefix)
    assert await shop.lines(table_prefix=prefix) == {"t": [encode_line(r) for r in records]}
    names = {name for (name,) in shop.query("SELECT name FROM sqlite_master WHERE type='table'")}
    assert f"{prefix}threads" in names
    view = '"' + f"{prefix}messages".replace('"', '""') + '"'
    assert shop.query(f"SELECT thread_id, content FROM {view}") == [("t", "hi")]


async def test_two_prefixes_share_a_file(shop: Any) -> None:
    """Tables of another prefix are another database, with an identity of its own."""
    await shop.write(shop.thread("one"), table_prefix="a_")
    await shop.write(shop.thread("two"), table_prefix="b_", run=shop.run("http://two"))
    assert list(await shop.lines(table_prefix="a_")) == ["one"]
    assert list(await shop.lines(table_prefix="b_")) == ["two"]
    async with shop.source(table_prefix="a_") as one, shop.source(table_prefix="b_") as two:
        assert await one.identity() != await two.identity()


async def test_a_thread_without_a_record_of_its_own_gets_none(shop: Any) -> None:
    """None is made up for it; one that somebody fills in by SQL comes."""
    bare = Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id="1")
    await shop.write([bare])
    assert await shop.lines() == {"a": [encode_line(bare)]}
    shop.query("UPDATE langgraph_threads SET status = 'idle'")
    filled = Thread(thread_id="a", status="idle")
    assert await shop.lines() == {"a": [encode_line(filled), encode_line(bare)]}
