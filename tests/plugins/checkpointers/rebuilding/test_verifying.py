"""`lgx verify` between an export of a server's states and the copy that a graph rebuilt of it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Verification

from .places import CASES, THREAD, Case, Place

OTHERWISE = {
    "join that waits": {"next"},
    "time travel": {"next"},
    "updates and copies": {"next"},
    "join in a loop": {"next"},
    "functions": {"next"},
}
"""Servers do not tell of steps that wait for several others, and here no later checkpoint does.
A function's name is in no row where it has not run: what comes next cannot be named."""


def of_a_server(path: Path) -> Path:
    """The file as an export of a server has it, which says where it comes from."""
    head, _, lines = path.read_bytes().partition(b"\n")
    path.write_bytes(head[:-1] + b',"source":"https://agent.example"}\n' + lines)
    return path


async def verified(exported: Path, path: Path) -> Verification:
    source, sink = lgx.use("ndjson", path=exported), lgx.use("sqlite-saver", path=path)
    one, other = await lgx.verify_async(source, sink), await lgx.verify_async(sink, source)
    assert {one.level, other.level} == {"states"}
    assert [d.fields for d in one.differences] == [d.fields for d in other.differences]
    assert one.exit_code == other.exit_code == bool(one.differences)
    return one


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_rebuilt_copy_is_equal_to_its_export(
    case: Case, write: Any, bring_with: Any, tmp_path: Path
) -> None:
    """But for what is told to be left out: what a graph that rebuilds a thread makes its own."""
    source = Place(case.build(), **case.options)
    await case.play(source)
    exported = of_a_server(await write((source, [THREAD])))
    await bring_with(case, exported)

    found = await verified(exported, tmp_path / "copy.db")

    assert {f for d in found.differences for f in d.fields} == OTHERWISE.get(case.name, set())
    assert found.checkpoints.missing == found.checkpoints.additional == 0
    assert "of checkpoints of 1 thread" in found.left_out[0].what


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ("UPDATE checkpoints SET checkpoint = replace_bytes(checkpoint)", ("values.log",)),
        ("DELETE FROM checkpoints WHERE rowid = (SELECT max(rowid) FROM checkpoints)", ()),
    ],
    ids=["a changed value", "a lost checkpoint"],
)
async def test_what_a_rebuilt_copy_lacks_is_found(
    change: str,
    fields: tuple[str, ...],
    app: ModuleType,
    write: Any,
    bring: Any,
    named: Any,
    tmp_path: Path,
) -> None:
    place, thread_id = Place(app.built(asks=False)), str(uuid4())
    await place.graph.ainvoke({"messages": "tea", "log": []}, place.head(thread_id))
    exported = of_a_server(await write((place, [thread_id])))
    await bring(exported, named("short"))
    before = await verified(exported, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection, connection:
        connection.create_function("replace_bytes", 1, lambda b: b.replace(b"thought", b"dreamed"))
        connection.execute(change)

    found = await verified(exported, tmp_path / "copy.db")

    assert (before.exit_code, found.exit_code) == (0, 1)
    (difference,) = found.differences
    assert difference.fields == fields
    assert difference.checkpoints > 0


async def test_joins_of_a_checkpointer_s_are_not_missed_on_a_server(
    write: Any, app: ModuleType, tmp_path: Path
) -> None:
    """Rows tell that a node is due that waits for several others, servers do not."""
    case = next(one for one in CASES if one.name == "join of sends")
    path = tmp_path / "rows.db"
    with SqliteSaver.from_conn_string(str(path)) as saver:
        config: Any = {"configurable": {"thread_id": THREAD}}
        case.build().compile(checkpointer=saver).invoke({"log": ["in"]}, config)
    server = Place(case.build())
    await server.graph.ainvoke({"log": ["in"]}, server.head())
    exported = of_a_server(await write((server, [THREAD])))
    head, thread, *states = exported.read_text().splitlines()
    label = {"source": f"sqlite-saver:{path}", "fidelity": "replayed"}
    own = {"metadata": {"lgx": label}, "status": "idle", "values": json.loads(states[-1])["values"]}
    thread = json.dumps({**json.loads(thread), **own})
    exported.write_text("\n".join([head, thread, *states]) + "\n")

    found = await lgx.verify_async(
        lgx.use("sqlite-saver", path=path), lgx.use("ndjson", path=exported)
    )

    assert found.differences == []
    assert (found.exit_code, found.replayed) == (0, {"replayed": 1})
    told = "next of steps that wait for several others"
    assert any(left.what.startswith(told) for left in found.left_out)


async def test_an_archive_of_a_server_is_compared_as_its_export_is(
    write: Any, bring_with: Any, tmp_path: Path
) -> None:
    case = CASES[0]
    source = Place(case.build(), **case.options)
    await case.play(source)
    exported = of_a_server(await write((source, [THREAD])))
    await bring_with(case, exported)
    archive = lgx.use("archive", path=tmp_path / "archive")
    await lgx.run_async(lgx.use("ndjson", path=exported), archive)

    found = await lgx.verify_async(archive, lgx.use("sqlite-saver", path=tmp_path / "copy.db"))

    assert (found.exit_code, found.differences) == (0, [])
