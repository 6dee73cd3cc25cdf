"""Reading files of every age, and what cannot be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from lgx import (
    CheckpointWrite,
    Loss,
    Query,
    RawCheckpoint,
    ThreadRef,
    UsageError,
    decode_line,
    encode_line,
)
from lgx.testing import make_context

_JSON = (
    b'{"v": 1, "ts": "2024-07-31T20:14:19.804150+00:00", "id": "1ef4f797", "channel_values": '
    b'{"messages": [{"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", '
    b'"HumanMessage"], "kwargs": {"content": "hi", "type": "human"}}]}, "channel_versions": '
    b'{"messages": 2}, "versions_seen": {}, "pending_sends": []}'
)


async def test_a_file_of_an_older_python_saver_is_read(files: Any, tmp_path: Path) -> None:
    """Documents of type "json", and writes without a path: the bytes as they stand, and what has
    no column is absent, not empty."""
    path = files.script(tmp_path / "old.db", files.older_tables)
    files.query(
        path,
        "INSERT INTO checkpoints VALUES ('t', '', '1ef4f797', NULL, 'json', ?, ?)",
        (_JSON, b'{"source": "input", "step": -1, "writes": {"x": NaN}}'),
    )
    files.query(
        path,
        "INSERT INTO writes VALUES ('t', '', '1ef4f797', 'task', -3, '__interrupt__', 'json', ?)",
        (b'[{"lc": 2}]',),
    )
    records, end = await files.records(path, "t")
    assert (end.outcome, end.losses) == ("complete", ())
    assert records == [
        RawCheckpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="1ef4f797",
            type="json",
            blob=_JSON,
            metadata_blob=b'{"source": "input", "step": -1, "writes": {"x": NaN}}',
        ),
        CheckpointWrite(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="1ef4f797",
            task_id="task",
            idx=-3,
            channel="__interrupt__",
            type="json",
            blob=b'[{"lc": 2}]',
        ),
    ]
    await files.copy(path)
    with SqliteSaver.from_conn_string(str(files.target)) as saver:
        (found,) = saver.list(None)
    assert found.checkpoint["channel_values"]["messages"][0].content == "hi"


async def test_a_file_of_the_javascript_saver_is_copied(files: Any, tmp_path: Path) -> None:
    """Its tables are laid out likewise, with whole numbers for versions and text for JSON."""
    path = files.script(
        tmp_path / "js.db",
        files.older_tables.replace("TEXT NOT NULL, task_id", "TEXT NOT NULL,\ntask_id")
        + "INSERT INTO checkpoints VALUES ('t', '', 'a', NULL, 'json', "
        'CAST(\'{"v":4,"id":"a","channel_versions":{"n":1}}\' AS BLOB), \'{"step":1}\');',
    )
    outcomes = await files.copy(path)
    assert [(one.error, one.losses) for one in outcomes] == [(None, ())]
    (row,) = files.rows(files.target)["checkpoints"]
    assert row[10] == b'{"v":4,"id":"a","channel_versions":{"n":1}}'
    assert row[12] == b'{"step":1}'


async def test_parents_come_first_whatever_their_ids(files: Any, tmp_path: Path) -> None:
    """Ids that do not sort by time, dangling parents and a circle: every checkpoint comes once,
    none before its parent where it has one in the thread."""
    path = files.script(tmp_path / "x.db", files.older_tables)
    parents = {f"{99 - n:02}": f"{100 - n:02}" if n else None for n in range(60)}
    parents |= {"00": "95", "01": "00", "zz": "gone", "p": "q", "q": "p", "zy": "p"}
    rows = [
        f"('t', '{ns}', '{key}', {repr(parent) if parent else 'NULL'}, 'null', x'', NULL)"
        for ns in ("", "sub:1")
        for key, parent in parents.items()
    ]
    files.script(path, f"INSERT INTO checkpoints VALUES {', '.join(rows)}")
    records, _ = await files.records(path, "t")
    places = [(one.checkpoint_ns, one.checkpoint_id) for one in records]
    assert sorted(places) == sorted((ns, key) for ns in ("", "sub:1") for key in parents)
    for one in records:
        place = (one.checkpoint_ns, one.parent_checkpoint_id)
        if place in places and one.checkpoint_id not in "pq":
            assert places.index(place) < places.index((one.checkpoint_ns, one.checkpoint_id))


async def test_records_come_in_the_order_of_the_contract(files: Any, sqlite_zoo: Path) -> None:
    """Checkpoints by namespace and id, then writes by checkpoint, path, task and index."""
    for thread_id in ("nested and answered", "spread", "delta"):
        records, _ = await files.records(sqlite_zoo, thread_id)
        kinds = [record.kind for record in records]
        assert kinds == sorted(kinds, key=["raw_checkpoint", "checkpoint_write"].index)
        assert set(kinds) == {"raw_checkpoint", "checkpoint_write"}
        keys = [
            (one.checkpoint_ns, one.checkpoint_id, one.task_path, one.task_id, one.idx)
            for one in records
            if isinstance(one, CheckpointWrite)
        ]
        assert keys == sorted(keys)


async def test_records_are_the_same_through_a_line(files: Any, sqlite_zoo: Path) -> None:
    """What a line of NDJSON keeps of a row is the row."""
    for ref in await files.refs(sqlite_zoo):
        records, _ = await files.records(sqlite_zoo, ref.thread_id)
        assert [decode_line(encode_line(record)) for record in records] == records


async def test_what_cannot_be_read_is_listed(
    files: Any, thread_rows: Callable[..., str], tmp_path: Path
) -> None:
    """A row with a cell that no saver writes costs itself, and is named; an id that is no text
    or no UTF-8 too; the rest of the file comes."""
    path = files.script(
        tmp_path / "x.db",
        files.older_tables
        + thread_rows("t")
        + """
        INSERT INTO checkpoints VALUES (x'01', '', 'a', NULL, 'null', x'', NULL);
        INSERT INTO checkpoints VALUES (CAST(x'ff' AS TEXT), '', 'a', NULL, 'null', x'', NULL);
        INSERT INTO checkpoints VALUES ('t', '', CAST(x'63fe' AS TEXT), NULL, 'null', x'', NULL);
        INSERT INTO checkpoints VALUES ('t', '', 'number', NULL, 'null', 5, NULL);
        INSERT INTO writes VALUES ('t', '', 'c0', 'other', 0, CAST(x'fe' AS TEXT), 'null', x'');
        """,
    )
    refs = await files.refs(path)
    losses = [item for item in refs if isinstance(item, Loss)]
    assert [item.what for item in losses] == ["thread '\\\\xff'", "1 rows of no thread"]
    assert [item.thread_id for item in refs if isinstance(item, ThreadRef)] == ["t"]
    records, end = await files.records(path, "t")
    assert len(records) == 4
    assert end.outcome == "partial"
    assert [loss.what for loss in end.losses] == [
        "checkpoint 'c\\\\xfe' of namespace ''",
        "checkpoint 'number' of namespace ''",
        "write 0 of task 'other' of 'c0' of namespace ''",
    ]


async def test_other_files_are_refused(files: Any, tmp_path: Path) -> None:
    """What is no database, or none of a SqliteSaver, is named in one sentence."""
    nothing = tmp_path / "none.db"
    with pytest.raises(UsageError, match="there is no database"):
        await files.refs(nothing)
    text = tmp_path / "text.db"
    text.write_text("hello, this is no database at all")
    with pytest.raises(UsageError, match="is not a SQLite database"):
        await files.refs(text)
    empty = files.script(tmp_path / "empty.db", "CREATE TABLE a (b)")
    with pytest.raises(UsageError, match="no SqliteSaver has written to it"):
        await files.refs(empty)
    first = files.script(
        tmp_path / "first.db",
        "CREATE TABLE checkpoints (thread_id TEXT, thread_ts TEXT, parent_ts TEXT, "
        "checkpoint BLOB, metadata BLOB)",
    )
    with pytest.raises(UsageError, match="has no column 'checkpoint_id'"):
        await files.refs(first)
    wide = files.script(tmp_path / "wide.db", "PRAGMA encoding = 'UTF-16'; " + files.older_tables)
    with pytest.raises(UsageError, match="keeps its text as UTF-16"):
        await files.refs(wide)


async def test_reading_leaves_no_trace(files: Any, sqlite_zoo: Path) -> None:
    """The file's bytes, its mode and its neighbours are what they were."""
    before = files.state()
    await files.refs(sqlite_zoo)
    await files.records(sqlite_zoo, "chat")
    assert files.state() == before


async def test_columns_of_others_are_told(
    files: Any, thread_rows: Callable[..., str], tmp_path: Path
) -> None:
    """A column that somebody added is not copied, and the report says so."""
    path = files.script(
        tmp_path / "x.db",
        files.older_tables + thread_rows("t") + "ALTER TABLE checkpoints ADD COLUMN tenant TEXT",
    )
    context = make_context()
    async with files.source(path) as source:
        assert len([ref async for ref in source.list(Query(), context)]) == 1
        facts = {fact.name: fact for fact in (await source.probe(context)).facts}
    assert [note.message for note in context.notes.values()] == [
        "column 'tenant' of table 'checkpoints' is none of LangGraph's, and was left out"
    ]
    assert facts["columns"].level == "warn"
    assert facts["threads"].value == "1"
    assert facts["checkpoints"].value == "2 of msgpack"


def test_nothing_of_langgraph_is_imported(sqlite_zoo: Path, tmp_path: Path) -> None:
    """A copy needs neither LangGraph nor the classes of the data, and decodes nothing."""
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from lgx import Query\n"
        "from lgx.testing.contexts import make_context\n"
        "from lgx_plugins.checkpointers.sqlite import SqliteSaverSource\n"
        "from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig\n"
        "async def main():\n"
        "    count = 0\n"
        "    async with SqliteSaverSource(SqliteSaverConfig(path=Path(sys.argv[1]))) as source:\n"
        "        refs = [ref async for ref in source.list(Query(), make_context())]\n"
        "        for ref in refs:\n"
        "            async for item in source.read([ref], make_context()):\n"
        "                count += 1\n"
        "    print(count, sorted(n for n in sys.modules if n.split('.')[0] in\n"
        "        ('langgraph', 'langchain_core', 'ormsgpack', 'numpy', 'pydantic')))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sqlite_zoo)], capture_output=True, text=True, check=True
    )
    count, _, modules = done.stdout.partition(" ")
    assert int(count) > 200
    assert modules == "[]\n"


async def test_doctor_tells_what_the_data_would_import(files: Any, sqlite_zoo: Path) -> None:
    """Each name outside LangGraph's own list is a warning; what cannot be looked into is told.
    Nothing is imported for it."""
    evil = b"\xc7\x15\x00\x93\xa2os\xa6system\xa9touch /xx"
    files.query(
        sqlite_zoo,
        "INSERT INTO writes VALUES ('chat', '', 'c', 't', '', 0, 'x', 'msgpack', ?), "
        "('chat', '', 'c', 't', '', 1, 'x', 'msgpack', x'92'), "
        "('chat', '', 'c', 't', '', 2, 'x', 'msgpack+aes', x'92')",
        (evil,),
    )
    files.query(
        sqlite_zoo,
        """UPDATE checkpoints SET metadata = CAST('{"writes": {"lc": 2, "type": "constructor",
            "id": ["turtle", "Pen"]}}' AS BLOB) WHERE thread_id = 'spread'""",
    )
    async with files.source(sqlite_zoo) as source:
        facts = (await source.probe(make_context())).facts
    imports = [(fact.value, fact.level) for fact in facts if fact.name == "imports"]
    module = "tests.plugins.checkpointers.zoo"
    suffix = "is imported when the data is loaded"
    said, _, harmless = imports[0][0].partition(": ")
    assert said == f"{len(harmless.split(', '))} names that LangGraph knows to be harmless"
    assert {"builtins.set", "langgraph.types.Send", "uuid.UUID"} <= {*harmless.split(", ")}
    assert imports[1:5] == [
        (f"os.system {suffix}", "warn"),
        *((f"{module}.{name} {suffix}", "warn") for name in ("Colour", "Order", "Point")),
    ]
    assert imports[5][0].startswith("turtle.Pen is imported when the metadata is loaded by a saver")
    assert [level for _, level in imports[5:]] == ["warn"] * 3
    assert imports[6][0].startswith("1 values are encrypted")
    assert imports[7][0].startswith("1 values cannot be read: ")
