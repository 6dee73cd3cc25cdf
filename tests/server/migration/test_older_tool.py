"""What the older export tool saved, restored into a deployment."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import PostgresServer
from lgx_plugins.demo.server import RealServer

from .cleaning import clear
from .comparison import same
from .moving import labels
from .requests import Server, State

APP = Path(__file__).with_name("older")
BACKUP = Path(__file__).parents[2] / "plugins" / "json" / "data" / "threads_backup.json.gz"

TABLES = """
CREATE TABLE langgraph_threads (id SERIAL PRIMARY KEY, thread_id TEXT UNIQUE NOT NULL,
    metadata JSONB DEFAULT '{}', values JSONB DEFAULT '{}', created_at TIMESTAMP,
    updated_at TIMESTAMP, source_url TEXT, exported_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE langgraph_checkpoints (id SERIAL PRIMARY KEY, thread_id TEXT, checkpoint_id TEXT,
    parent_checkpoint_id TEXT, checkpoint_data JSONB DEFAULT '{}', values JSONB DEFAULT '{}',
    metadata JSONB DEFAULT '{}', created_at TIMESTAMP, UNIQUE(thread_id, checkpoint_id));
"""


@pytest.fixture(scope="module")
def deployment(start_server: Callable[[Path], RealServer]) -> str:
    return start_server(APP).url


@pytest.fixture
def target(deployment: str) -> str:
    asyncio.run(clear(deployment))
    return deployment


@pytest.fixture(scope="module")
def backup() -> list[dict[str, Any]]:
    with gzip.open(BACKUP) as file:
        threads: list[dict[str, Any]] = json.load(file)["threads"]
    return threads


async def restored(target: str, thread_id: str, history: list[State]) -> list[str]:
    """What differs between a thread of the backup and the deployment's."""
    async with Server(target) as server:
        there = await server.history(thread_id)
    if len(there) != len(history):
        return [f"{thread_id}: {len(there)} of {len(history)} checkpoints"]
    return [
        f"{thread_id} {number} {name}: {old[name]} | {new[name]}"[:400]
        for number, (old, new) in enumerate(zip(history, there, strict=True))
        for name in ("values", "next")
        if not same(plain(old[name]), plain(new[name]))
    ]


def plain(value: Any) -> Any:
    """Without what servers add to messages, or move: nulls and empty lists."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None and v != []}
    return [plain(item) for item in value] if isinstance(value, list) else value


async def test_a_backup_in_json_is_restored(target: str, backup: list[dict[str, Any]]) -> None:
    """All checkpoints of all threads, with their ids and metadata; nothing the second time."""
    source = lgx.use("json", path=str(BACKUP))
    report = await lgx.run_async(source, lgx.use("cloud", url=target))
    assert report.threads.listed == len(backup)
    unlike = []
    async with Server(target) as server:
        for thread in backup:
            unlike += await restored(target, thread["thread_id"], thread["history"])
            held = (await server.get(f"/threads/{thread['thread_id']}"))["metadata"]
            wanted = {k: v for k, v in thread["metadata"].items() if k != "assistant_id"}
            assert {k: v for k, v in held.items() if k != "lgx"} == wanted
    assert unlike == []
    assert report.exit_code == 0, report.failures
    assert report.fidelity == {"replayed": len(backup)}
    again = await lgx.run_async(source, lgx.use("cloud", url=target))
    assert again.threads.unchanged == report.threads.written


async def test_questions_that_wait_in_a_backup_are_told(
    target: str, backup: list[dict[str, Any]]
) -> None:
    """Its history alone holds them; by a dry run, and by the run."""
    waiting = {
        thread["thread_id"]
        for thread in backup
        if thread["history"] and thread["history"][0]["interrupts"]
    }
    assert waiting
    source, sink = lgx.use("json", path=str(BACKUP)), lgx.use("cloud", url=target)
    for dry_run in (True, False):
        report = await lgx.run_async(source, sink, dry_run=dry_run)
        told = {loss.thread_id for loss in report.losses if loss.what == "its pending interrupts"}
        assert told == waiting, dry_run


async def test_what_a_graph_lacks_is_told_before_threads_come_in_part(
    target: str, backup: list[dict[str, Any]]
) -> None:
    """Once for the graph, with the remedy, by a dry run and by the run; and which threads."""
    source = lgx.use("json", path=str(BACKUP))
    sink = lgx.use("cloud", url=target, map_graph={"agent": "talk"})
    reports = [await lgx.run_async(source, sink, dry_run=dry_run) for dry_run in (True, False)]
    for report in reports:
        told = [n.message for n in report.notes if n.message.startswith("graph 'talk' there has")]
        for name in ("files", "n", "tool", "human", "sub"):
            assert sum(f" '{name}'" in message for message in told) == 1, told
        assert all("deploy the graph that wrote these threads" in message for message in told)
        assert all("--sink-map-graph agent=GRAPH" in message for message in told)
    dry, done = [{f.thread_id for f in report.failures} for report in reports]
    assert dry == done
    assert dry == {thread["thread_id"] for thread in backup if thread["history"]}
    fits = await lgx.run_async(source, lgx.use("cloud", url=target, on_conflict="replace"))
    assert not any("there has" in note.message for note in fits.notes)


async def test_messages_are_made_messages_under_other_nodes(
    target: str, backup: list[dict[str, Any]]
) -> None:
    """A graph that has none of the nodes, and whose channel makes messages: they are not put in
    place as data, nor are they said to be."""
    thread = next(thread for thread in backup if len(thread["history"]) > 3)
    sink = lgx.use("cloud", url=target, map_graph={"agent": "strange"})
    some = (thread["thread_id"],)
    report = await lgx.run_async(lgx.use("json", path=str(BACKUP)), sink, thread_ids=some)
    assert report.threads.partial == 1
    assert not any("messages" in failure.what for failure in report.failures)
    assert not any("messages of channel" in loss.what for loss in report.losses)
    async with Server(target) as server:
        for state in await server.history(thread["thread_id"]):
            written = [(task.get("result") or {}).get("messages") for task in state["tasks"]]
            assert "__overwrite__" not in json.dumps(written)


async def test_its_tables_in_postgresql_are_restored(
    target: str, backup: list[dict[str, Any]], postgres_server: PostgresServer, database: str
) -> None:
    """The states that they have room for, whatever the ids are; the tables stay as they are."""
    postgres_server.execute(database, TABLES)
    odd = "thread of user 7"
    some = [(odd, backup[0]), *((t["thread_id"], t) for t in backup[2:6])]
    for thread_id, thread in some:
        postgres_server.execute(
            database,
            "INSERT INTO langgraph_threads (thread_id, metadata, values, source_url) "
            "VALUES ($1, $2, $3, 'https://old.langgraph.app')",
            *(thread_id, json.dumps(thread["metadata"]), json.dumps(thread["values"])),
        )
        for state in thread["history"]:
            postgres_server.execute(
                database,
                "INSERT INTO langgraph_checkpoints (thread_id, checkpoint_id, "
                "parent_checkpoint_id, checkpoint_data, values, metadata) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                *(thread_id, state["checkpoint_id"], state["parent_checkpoint_id"]),
                *(json.dumps(state[k]) for k in ("checkpoint", "values", "metadata")),
            )
    before = postgres_server.execute(database, "SELECT * FROM langgraph_checkpoints")
    source = lgx.use("postgres", dsn=database)
    report = await lgx.run_async(source, lgx.use("cloud", url=target))
    assert report.threads.failed == 0, report.failures
    assert postgres_server.execute(database, "SELECT * FROM langgraph_checkpoints") == before
    found = await labels(target)
    assert len(found) == len(some)
    [made] = [thread_id for thread_id, label in found.items() if label.get("thread_id")]
    assert found[made]["thread_id"] == odd
    assert uuid.UUID(made).version == 5
    async with Server(target) as server:
        for thread_id, thread in some:
            there = await server.history(made if thread_id == odd else thread_id)
            assert len(there) == len(thread["history"])
            for old, new in zip(thread["history"], there, strict=True):
                assert same(plain(old["values"]), plain(new["values"]))
    again = await lgx.run_async(source, lgx.use("cloud", url=target))
    assert again.threads.unchanged + again.threads.partial == len(some)
    assert len(await labels(target)) == len(some)


async def test_a_damaged_backup_is_all_that_is_said_of_what_it_ends_in(
    target: str, tmp_path: Path
) -> None:
    """Its end would say where it came from: that the whole copies there came from elsewhere is
    not known, and nobody is to replace them by a part."""
    await lgx.run_async(lgx.use("json", path=str(BACKUP)), lgx.use("cloud", url=target))
    damaged = tmp_path / "threads_backup.json.gz"
    damaged.write_bytes(BACKUP.read_bytes()[: BACKUP.stat().st_size // 2])
    source, sink = lgx.use("json", path=str(damaged)), lgx.use("cloud", url=target)
    for dry_run in (True, False):
        report = await lgx.run_async(source, sink, dry_run=dry_run)
        assert report.exit_code == 3
        whys = [failure.why for failure in report.failures if failure.thread_id is not None]
        assert "it was read in part only, and the whole copy that stands there was left" in whys
        assert not any("--" in why for why in whys)
