"""The view of messages, compared as a whole table."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from lgx import Thread, raw
from lgx.testing import make_run

COLUMNS = "thread_id, position, id, type, role, name, content, tool_calls, tool_call_id, message"


async def test_each_message_of_the_latest_values_is_a_row(target: Any, sql: Any) -> None:
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
    await target.write([Thread(thread_id="t", values=raw({"messages": messages}))])
    rows = sql(f"SELECT {COLUMNS} FROM langgraph_messages ORDER BY position")
    calls = '[{"id": "c1", "args": {"q": 1}, "name": "search"}]'
    assert [row[:-1] for row in rows] == [
        ("t", 0, "m1", "human", None, None, "hé 😀", None, None),
        ("t", 1, "m2", "ai", None, "bot", "first\nsecond", calls, None),
        ("t", 2, None, "tool", None, None, "found", None, "c1"),
        ("t", 3, None, None, "user", None, "", None, None),
        ("t", 4, None, "ai", None, None, None, None, None),
        ("t", 5, None, "ai", None, None, '{"odd": 1}', None, None),
        ("t", 6, None, None, None, None, "bare", None, None),
        ("t", 7, None, None, None, None, None, None, None),
        ("t", 8, None, None, None, None, None, None, None),
        ("t", 9, None, None, None, None, None, None, None),
    ]
    assert [row[-1] for row in rows[6:]] == [None, '["user", "pair"]', None, None]


async def test_values_of_other_shapes_have_no_rows_and_spoil_none(target: Any, sql: Any) -> None:
    """Neither absent values, nor what stands there escaped, keep the others from showing."""
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
        "deep": b'{"messages":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "huge": b'{"messages":[1e200000]}',
    }
    threads = [
        [Thread(thread_id=name) if text is None else Thread(thread_id=name, values=Raw(text))]
        for name, text in shapes.items()
    ]
    good = [Thread(thread_id="good", values=raw({"messages": [{"id": "m", "content": "x"}]}))]
    await target.write(*threads, good)
    assert sql("SELECT thread_id, id, content FROM langgraph_messages") == [("good", "m", "x")]


async def test_messages_of_several_sources_are_told_apart(target: Any, sql: Any) -> None:
    """By `source_url`, as threads are."""
    for source in ("http://one", "http://two"):
        values = raw({"messages": [{"content": source}]})
        await target.write(
            [Thread(thread_id="t", values=values)], run=make_run(source=source, merge=True)
        )
    assert sql("SELECT source_url, content FROM langgraph_messages ORDER BY 1") == [
        ("http://one", "http://one"),
        ("http://two", "http://two"),
    ]
