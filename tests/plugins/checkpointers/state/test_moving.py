"""States of checkpointers in files, tables and archives, by whole runs."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import ormsgpack
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph
from msgspec import UNSET, structs

import lgx
from lgx import Checkpoint, Config, Record, RecordTransform, Registry, Report, Secret
from lgx.cli import main

KEY = "0123456789abcdef"

SAVERS: dict[str, Any] = {}
"""What `saver` opens, by name: the source asks for a function of a module."""


class Said(TypedDict, total=False):
    said: str


class Hush(RecordTransform[Config]):
    """Knows states, and nothing else."""

    name = "hush"
    config_type = Config
    handles = frozenset({"thread", "checkpoint"})

    def apply(self, record: Record) -> Iterable[Record]:
        assert record.kind in self.handles
        if isinstance(record, Checkpoint):
            record = structs.replace(record, values=UNSET)
        return (record,)


class WithHush(Registry):
    """The installed plugins, and one more."""

    def transform(self, name: str) -> Any:
        return Hush


def zoo_saver() -> Any:
    """For the source `saver`."""
    return SAVERS["zoo"]


async def moved(source: Any, sink: Any, **options: Any) -> Report:
    report = await lgx.run_async(source, sink, **options)
    assert report.failures == []
    assert report.exit_code == 0
    return report


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of an NDJSON file, without what a run says of itself."""
    found = [json.loads(line) for line in path.read_text().split("\n") if line]
    return [line for line in found if line["kind"] in ("thread", "checkpoint")]


def said(path: Path, *, key: str | None = None) -> None:
    """One thread of one short run."""
    graph: Any = StateGraph(Said)
    graph.add_node("say", lambda _: {"said": "tea"})
    graph.add_edge(START, "say")
    with SqliteSaver.from_conn_string(str(path)) as saver:
        if key is not None:
            saver.serde = EncryptedSerializer.from_pycryptodome_aes(key=key.encode())
        graph.compile(checkpointer=saver).invoke(
            {"said": "in"}, {"configurable": {"thread_id": "one"}}
        )


@pytest.mark.parametrize("name", ["ndjson", "json", "sqlite", "archive"])
async def test_states_of_a_checkpointer_are_read_out_of_what_was_made_of_them(
    name: str, sqlite_zoo: Path, tmp_path: Path
) -> None:
    """What is in the file afterwards is what the checkpointer's states are: read again, both are
    the same, record by record."""
    source = lgx.use("sqlite-saver", path=sqlite_zoo)
    sink = lgx.use(name, path=tmp_path / f"states.{name}")
    direct, again = tmp_path / "direct.ndjson", tmp_path / "again.ndjson"
    await moved(source, sink, fidelity="state")
    await moved(source, lgx.use("ndjson", path=direct), fidelity="state")
    await moved(sink, lgx.use("ndjson", path=again))
    by_place = [
        {(r["kind"], r["thread_id"], r.get("checkpoint_ns"), r.get("checkpoint_id")): r}
        for path in (direct, again)
        for r in lines(path)
    ]
    assert len(by_place) > 200
    wanted: dict[Any, Any] = {}
    found: dict[Any, Any] = {}
    for one in by_place[: len(by_place) // 2]:
        wanted |= one
    for one in by_place[len(by_place) // 2 :]:
        found |= one
    assert found == wanted


async def test_states_of_all_layouts_are_the_same(
    filled: Any, sqlite_zoo: Path, tmp_path: Path, zoo: ModuleType
) -> None:
    """The zoo in PostgreSQL, copied to SQLite and to memory: one export of states of each."""
    postgres = lgx.use("postgres-saver", dsn=filled.dsn)
    copy = lgx.use("sqlite-saver", path=tmp_path / "copy.db")
    await moved(postgres, copy)
    with SqliteSaver.from_conn_string(str(tmp_path / "copy.db")) as saver:
        memory = InMemorySaver()
        _fill(memory, saver)
    SAVERS["zoo"] = memory
    factory = f"{__name__}:zoo_saver"
    sys.modules.setdefault(__name__, sys.modules[zoo_saver.__module__])
    exports = []
    for number, source in enumerate((postgres, copy, lgx.use("saver", factory=factory))):
        path = tmp_path / f"{number}.ndjson"
        await moved(source, lgx.use("ndjson", path=path), fidelity="state")
        found = lines(path)
        for line in found:
            if line["kind"] == "checkpoint":
                _sort_sets(line)
        exports.append(sorted(found, key=lambda r: json.dumps(r, sort_keys=True)))
    assert exports[0] == exports[1]
    assert exports[0] == exports[2]


def _fill(memory: InMemorySaver, saver: Any) -> None:
    """What another checkpointer holds, writes and all."""
    for item in reversed(list(saver.list(None))):
        config: Any = {**item.config, "configurable": dict(item.config["configurable"])}
        place = config["configurable"]
        parent = item.parent_config and item.parent_config["configurable"]["checkpoint_id"]
        place["checkpoint_id"] = parent
        versions = item.checkpoint["channel_versions"]
        new = memory.put(config, item.checkpoint, item.metadata, versions)
        by_task: dict[str, list[Any]] = {}
        for task, channel, value in item.pending_writes or ():
            by_task.setdefault(task, []).append((channel, value))
        for task, writes in by_task.items():
            memory.put_writes(new, writes, task)


def _sort_sets(line: dict[str, Any]) -> None:
    """Sets have no order, and a state shows them as lists."""
    for values in (line["values"], *(task["result"] for task in line["tasks"])):
        if isinstance(values, dict) and isinstance(values.get("labels"), list):
            values["labels"].sort()


async def test_states_go_into_tables_of_lgx(filled: Any, new_store: Callable[[], Any]) -> None:
    """`postgres` takes them as it takes a server's, and a second run finds nothing new."""
    source, target = lgx.use("postgres-saver", dsn=filled.dsn), new_store()
    sink = lgx.use("postgres", dsn=target.dsn)
    first = await moved(source, sink, fidelity="state")
    second = await moved(source, sink, fidelity="state")
    assert (first.threads.written, second.threads.written) == (28, 0)
    ((count,),) = target.sql(
        "SELECT count(*) FROM langgraph_checkpoints WHERE checkpoint_ns LIKE 'child:%'"
    )
    assert count > 2
    ((status,),) = target.sql(
        "SELECT status FROM langgraph_threads WHERE thread_id = 'interrupted'"
    )
    assert status == "interrupted"


async def test_rows_move_where_nothing_is_said(sqlite_zoo: Path, tmp_path: Path) -> None:
    """A file can hold rows as well as states: it gets the most that there is, rows."""
    report = await moved(
        lgx.use("sqlite-saver", path=sqlite_zoo), lgx.use("ndjson", path=tmp_path / "rows.ndjson")
    )
    assert report.fidelity == {"raw": 28}
    text = (tmp_path / "rows.ndjson").read_text()
    kinds = {json.loads(line)["kind"] for line in text.split("\n") if line}
    assert kinds >= {"raw_checkpoint", "checkpoint_write"}
    assert "checkpoint" not in kinds


async def test_transforms_see_checkpoints(tmp_path: Path) -> None:
    """One that knows states alone is refused for rows, and sees every state."""
    said(tmp_path / "one.db")
    source = lgx.use("sqlite-saver", path=tmp_path / "one.db")
    sink = lgx.use("ndjson", path=tmp_path / "out.ndjson")
    registry = WithHush.from_environment()
    given: dict[str, Any] = {"transforms": ["hush"], "registry": registry, "extras": False}
    with pytest.raises(lgx.UsageError, match="does not handle channel_blob"):
        await lgx.run_async(source, sink, **given)
    await moved(source, sink, fidelity="state", **given)
    states = [line for line in lines(tmp_path / "out.ndjson") if line["kind"] == "checkpoint"]
    assert [("values" in state, state["next"]) for state in states] == [
        (False, ["__start__"]),
        (False, ["say"]),
        (False, []),
    ]


async def test_encrypted_checkpoints_are_shown_with_their_key_alone(tmp_path: Path) -> None:
    """Without it the thread fails, and the message names the variable."""
    said(tmp_path / "one.db", key=KEY)
    sink = lgx.use("ndjson", path=tmp_path / "out.ndjson")
    source = lgx.use("sqlite-saver", path=tmp_path / "one.db")
    report = await lgx.run_async(source, sink, fidelity="state")
    assert report.exit_code == 3
    (failure,) = report.failures
    assert failure.thread_id == "one"
    assert "LANGGRAPH_AES_KEY" in failure.why
    source = lgx.use("sqlite-saver", path=tmp_path / "one.db", aes_key=Secret(KEY))
    await moved(source, sink, fidelity="state")
    states = [line for line in lines(tmp_path / "out.ndjson") if line["kind"] == "checkpoint"]
    assert [state["values"] for state in states] == [{}, {"said": "in"}, {"said": "tea"}]


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"\x81\xa5", id="cut short"),
        pytest.param(b"\xc1", id="no msgpack"),
        pytest.param(b"\x91" * 100_000 + b"\xc0", id="deep"),
        pytest.param(b"\xdd\xff\xff\xff\xff\xc0", id="lying about its length"),
    ],
)
async def test_a_thread_with_damaged_bytes_fails_alone(blob: bytes, tmp_path: Path) -> None:
    """The others go on, and nothing of it is stored."""
    path = tmp_path / "some.db"
    said(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE c AS SELECT * FROM checkpoints")
        connection.execute("UPDATE c SET thread_id = 'bad'")
        connection.execute("INSERT INTO checkpoints SELECT * FROM c")
        connection.execute("DROP TABLE c")
        checkpoint = ormsgpack.packb(
            {"v": 4, "ts": "2026-01-01T00:00:00+00:00", "id": "1", "channel_values": {}}
        )
        damaged = checkpoint[:-1] + b"\x81\xa4said" + blob
        connection.execute(
            "UPDATE checkpoints SET checkpoint = ? WHERE thread_id = 'bad' AND checkpoint_id = "
            "(SELECT min(checkpoint_id) FROM checkpoints)",
            (damaged,),
        )
    report = await lgx.run_async(
        lgx.use("sqlite-saver", path=path),
        lgx.use("ndjson", path=tmp_path / "out.ndjson"),
        fidelity="state",
    )
    assert [failure.thread_id for failure in report.failures] == ["bad"]
    assert report.exit_code == 3
    assert {line["thread_id"] for line in lines(tmp_path / "out.ndjson")} == {"one"}


@pytest.mark.parametrize("name", ["sqlite-saver", "saver"])
def test_a_filter_by_status_is_a_usage_error(name: str, tmp_path: Path) -> None:
    """Nothing keeps it: exit 2, whichever checkpointer is asked."""
    said(tmp_path / "one.db")
    option = ["--source-path", str(tmp_path / "one.db")]
    if name == "saver":
        option = ["--source-factory", "langgraph.checkpoint.memory:InMemorySaver"]
    code = main(
        [
            *("run", "--source", name, *option, "--status", "idle"),
            *("--sink", "ndjson", "--sink-path", str(tmp_path / "out.ndjson")),
        ]
    )
    assert code == 2
