"""The older export tool: queries written for its tables, and tables with its columns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lgx import Checkpoint, Thread, UsageError, encode_line, raw

OLDER_TABLES = (
    """CREATE TABLE langgraph_threads (
        id INTEGER PRIMARY KEY,
        thread_id VARCHAR(255) UNIQUE NOT NULL,
        metadata JSONB DEFAULT '{}',
        "values" JSONB DEFAULT '{}',
        created_at TIMESTAMP,
        updated_at TIMESTAMP,
        source_url TEXT,
        exported_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )""",
    """CREATE TABLE langgraph_checkpoints (
        id INTEGER PRIMARY KEY,
        thread_id VARCHAR(255) REFERENCES langgraph_threads(thread_id),
        checkpoint_id VARCHAR(255),
        parent_checkpoint_id VARCHAR(255),
        checkpoint_data JSONB DEFAULT '{}',
        "values" JSONB DEFAULT '{}',
        metadata JSONB DEFAULT '{}',
        created_at TIMESTAMP
    )""",
)


async def test_queries_for_the_older_tables_work(shop: Any) -> None:
    """Every column that the older tool had is there, under its name, with what it held."""
    await shop.write(shop.thread("t", checkpoints=2))
    threads = shop.query(
        'SELECT id, thread_id, metadata, "values", created_at, updated_at, source_url, '
        "exported_at IS NOT NULL FROM langgraph_threads"
    )
    assert threads == [
        (
            1,
            "t",
            '{"owner":"alice","note":""}',
            '{"messages":[{"type":"human","id":"m1","content":"hi"}]}',
            "2026-01-01T00:00:00+00:00",
            "2026-01-02T00:00:00+00:00",
            "http://one",
            1,
        )
    ]
    checkpoints = shop.query(
        "SELECT c.id, c.thread_id, c.checkpoint_id, c.parent_checkpoint_id, c.checkpoint_data, "
        'c."values", c.metadata, c.created_at FROM langgraph_checkpoints AS c '
        "JOIN langgraph_threads AS t ON t.thread_id = c.thread_id "
        "WHERE json_extract(t.metadata, '$.owner') = 'alice' ORDER BY c.created_at"
    )
    place = '{{"checkpoint_id":"1f00000{}","thread_id":"t","checkpoint_ns":""}}'
    assert checkpoints == [
        (
            number + 1,
            "t",
            f"1f00000{number}",
            "1f000000" if number else None,
            place.format(number),
            f'{{"n":{number},"note":""}}',
            f'{{"step":{number}}}',
            f"2026-01-01T00:00:0{number}+00:00",
        )
        for number in range(2)
    ]


async def test_older_tables_are_read_as_far_as_they_go(shop: Any) -> None:
    """Parents before children, by time; namespaces where `checkpoint_data` tells them."""
    _fill_older(shop)
    assert await shop.lines() == {
        "a": [
            encode_line(one)
            for one in (
                Thread(
                    thread_id="a",
                    created_at="2026-01-01 00:00:00",
                    updated_at="2026-01-02 00:00:00",
                    metadata=raw({"owner": "alice"}),
                    values=raw({"messages": []}),
                ),
                Checkpoint(
                    thread_id="a",
                    checkpoint_ns="",
                    checkpoint_id="c1",
                    created_at="2026-01-01 00:00:01",
                    values=raw({"n": 1}),
                    metadata=raw({}),
                ),
                Checkpoint(
                    thread_id="a",
                    checkpoint_ns="sub:1",
                    checkpoint_id="c2",
                    parent_checkpoint_id="c1",
                    created_at="2026-01-01 00:00:02",
                    values=raw({"n": 2}),
                    metadata=raw({}),
                ),
            )
        ],
        "b": [encode_line(Thread(thread_id="b", metadata=raw({}), values=raw({})))],
    }
    async with shop.source() as source:
        assert await source.identity() == f"sqlite://{shop.path}"


async def test_the_version_of_an_older_thread_covers_its_content(shop: Any) -> None:
    """Nothing in such tables tells of a change but the rows themselves."""
    _fill_older(shop)
    before = {ref.thread_id: ref.version for ref in await shop.refs()}
    assert before == {ref.thread_id: ref.version for ref in await shop.refs()}
    shop.query(
        """UPDATE langgraph_checkpoints SET "values" = '{"n":3}' WHERE checkpoint_id = 'c2'"""
    )
    after = {ref.thread_id: ref.version for ref in await shop.refs()}
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


async def test_older_tables_are_not_written_to(shop: Any) -> None:
    """They lack what a sink needs; another prefix stands beside them."""
    _fill_older(shop)
    with pytest.raises(UsageError) as refused:
        await shop.write(shop.thread("t"))
    assert str(refused.value) == (
        f"{str(shop.path)!r} has a table 'langgraph_threads' that lgx did not make; "
        "choose another file or --sink-table-prefix"
    )
    await shop.write(shop.thread("t"), table_prefix="lgx_")
    assert list(await shop.lines(table_prefix="lgx_")) == ["t"]
    assert list(await shop.lines()) == ["a", "b"]


def _fill_older(shop: Any) -> None:
    for statement in OLDER_TABLES:
        shop.query(statement)
    shop.query(
        'INSERT INTO langgraph_threads (thread_id, metadata, "values", created_at, updated_at, '
        "source_url) VALUES ('a', '{\"owner\":\"alice\"}', '{\"messages\":[]}', "
        "'2026-01-01 00:00:00', '2026-01-02 00:00:00', 'http://old')"
    )
    shop.query("INSERT INTO langgraph_threads (thread_id, source_url) VALUES ('b', 'http://old')")
    for number, namespace in ((2, "sub:1"), (1, "")):  # histories came newest first
        data = {"checkpoint_ns": namespace, "checkpoint_id": f"c{number}"}
        shop.query(
            "INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, parent_checkpoint_id, "
            'checkpoint_data, "values", created_at) VALUES (?, ?, ?, ?, ?, ?)',
            "a",
            f"c{number}",
            "c1" if number == 2 else None,
            json.dumps(data),
            f'{{"n":{number}}}',
            f"2026-01-01 00:00:0{number}",
        )


@pytest.mark.parametrize("kind", ["INTEGER", "NUMERIC", ""])
async def test_ids_that_are_numbers_are_read_as_text(shop: Any, kind: str) -> None:
    """A table that somebody else made may hold them so; they are listed in the order of texts."""
    shop.query(f"CREATE TABLE langgraph_threads (thread_id {kind}, status TEXT)")
    shop.query("CREATE TABLE langgraph_checkpoints (thread_id TEXT, checkpoint_id TEXT)")
    shop.query("INSERT INTO langgraph_threads VALUES (9, 'idle'), (10, 'idle')")
    shop.query("INSERT INTO langgraph_checkpoints VALUES ('9', 'c')")
    found = await shop.lines()
    assert [*found] == ["10", "9"]
    assert [len(lines) for lines in found.values()] == [1, 1 + (kind != "")]
