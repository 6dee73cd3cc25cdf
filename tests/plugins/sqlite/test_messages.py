"""The view of messages, compared as a whole table."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from lgx import Thread, raw

COLUMNS = "thread_id, position, id, type, role, name, content, tool_calls, tool_call_id"


async def test_each_message_of_the_latest_values_is_a_row(shop: Any) -> None:
    """Text, blocks, tool calls, and messages that are no objects."""
    messages = [
        {"type": "human", "id": "m1", "content": "hé 😀", "name": None},
        {
            "type": "ai",
            "id": "m2",
            "name": "bot",
            "content": [
                {"type": "text", "text": "first"},
                {"type": "image_url", "image_url": "data:"},
                "second",
            ],
            "tool_calls": [{"name": "search", "args": {"q": 1}, "id": "c1"}],
        },
        {"type": "tool", "content": "found", "tool_call_id": "c1"},
        {"role": "user", "content": ""},
        {"type": "ai", "content": None},
        {"type": "ai", "content": {"odd": 1}},
        "bare",
        ["user", "pair"],
        3,
        None,
    ]
    await shop.write([Thread(thread_id="t", values=raw({"messages": messages}))])
    rows = shop.query(f"SELECT {COLUMNS} FROM langgraph_messages ORDER BY position")
    calls = '[{"name":"search","args":{"q":1},"id":"c1"}]'
    assert rows == [
        ("t", 0, "m1", "human", None, None, "hé 😀", None, None),
        ("t", 1, "m2", "ai", None, "bot", "first\nsecond", calls, None),
        ("t", 2, None, "tool", None, None, "found", None, "c1"),
        ("t", 3, None, None, "user", None, "", None, None),
        ("t", 4, None, "ai", None, None, None, None, None),
        ("t", 5, None, "ai", None, None, '{"odd":1}', None, None),
        ("t", 6, None, None, None, None, "bare", None, None),
        ("t", 7, None, None, None, None, None, None, None),
        ("t", 8, None, None, None, None, None, None, None),
        ("t", 9, None, None, None, None, None, None, None),
    ]


async def test_values_of_other_shapes_have_no_rows_and_spoil_none(shop: Any) -> None:
    """Neither absent values, nor what this SQLite cannot parse, keep the others from showing."""
    shapes = {
        "absent": None,
        "null": b"null",
        "number": b"7",
        "text": b'"messages"',
        "array": b'[{"messages":[]}]',
        "none": b'{"messages":null}',
        "object": b'{"messages":{"0":{"type":"human"}}}',
        "empty": b'{"messages":[]}',
        "missing": b'{"other":1}',
        "deep": b'{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
    }
    threads = [
        [Thread(thread_id=name) if text is None else Thread(thread_id=name, values=Raw(text))]
        for name, text in shapes.items()
    ]
    good = [Thread(thread_id="good", values=raw({"messages": [{"id": "m", "content": "x"}]}))]
    await shop.write(*threads, good)
    shop.query(
        'INSERT INTO langgraph_threads (thread_id, source_url, exported_at, "values") '
        "VALUES ('torn', '', '', '{\"messages\": [')"
    )
    assert shop.query("SELECT thread_id, id, content FROM langgraph_messages") == [
        ("good", "m", "x")
    ]


async def test_half_a_surrogate_pair_is_shown_by_its_json(shop: Any) -> None:
    """Decoded it would be bytes that no client can read; whole pairs are decoded."""
    messages = (
        b'[{"id":"m1","content":"a\\ud800b"},{"id":"m2","content":"\\ud83d\\ude00"},'
        b'{"id":"\\udfff","type":"ai","content":"fine"},"\\ud800"]'
    )
    await shop.write([Thread(thread_id="t", values=Raw(b'{"messages":' + messages + b"}"))])
    assert shop.query("SELECT id, type, content FROM langgraph_messages ORDER BY position") == [
        ("m1", None, '{"id":"m1","content":"a\\ud800b"}'),
        ("m2", None, "😀"),
        (None, "ai", "fine"),
        (None, None, None),
    ]


async def test_messages_of_several_sources_are_told_apart(shop: Any) -> None:
    """By `source_url`, as threads are."""
    for source in ("http://one", "http://two"):
        values = raw({"messages": [{"content": source}]})
        await shop.write([Thread(thread_id="t", values=values)], run=shop.run(source, merge=True))
    assert shop.query("SELECT source_url, content FROM langgraph_messages ORDER BY 1") == [
        ("http://one", "http://one"),
        ("http://two", "http://two"),
    ]
