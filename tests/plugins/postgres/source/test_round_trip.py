"""What goes into the tables comes out again, whatever it went through before and goes to next."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lgx import Record, Use, canonical, encode_line, run_async, use
from lgx.testing import Deployment, StubServer


def lines(path: Path) -> list[bytes]:
    """The records of a file in their canonical form, sorted."""
    return sorted(map(canonical, path.read_bytes().splitlines()[1:]))


def forms(records: Sequence[Record]) -> list[bytes]:
    return [canonical(encode_line(record)) for record in records]


async def move(source: Use, sink: Use, **options: Any) -> None:
    report = await run_async(source, sink, **options)
    assert (report.exit_code, report.failures, report.losses) == (0, [], [])


@pytest.fixture
def deployment() -> Deployment:
    """Threads with and without states, with subgraphs, and what belongs to a deployment."""
    return Deployment.sample(40, (0, 1, 5, 30), 1500, subgraphs=4, extras=True)


@pytest.mark.parametrize("layout", ["plain", "dedup"])
async def test_cloud_to_postgres_to_ndjson_is_cloud_to_ndjson(
    shop: Any, deployment: Deployment, layout: str
) -> None:
    """Record for record, in the canonical form, the deployment's own records among them."""
    straight, round_about = shop.directory / "straight", shop.directory / "round"
    async with StubServer(deployment) as server:
        cloud = use("cloud", url=server.url)
        await move(cloud, use("ndjson", path=straight))
        await move(cloud, use("postgres", dsn=shop.dsn, layout=layout))
    await move(use("postgres", dsn=shop.dsn), use("ndjson", path=round_about))
    assert lines(round_about) == lines(straight)
    assert len(lines(straight)) > 500


@pytest.mark.parametrize("sink", ["ndjson", "json", "archive", "sqlite", "postgres"])
async def test_postgres_leads_into_every_sink(shop: Any, deployment: Deployment, sink: str) -> None:
    """And what that one holds is what the tables hold."""
    first, last = shop.directory / "first", shop.directory / "last"
    async with StubServer(deployment) as server:
        await move(use("cloud", url=server.url), use("ndjson", path=first))
    await move(use("ndjson", path=first), use("postgres", dsn=shop.dsn))
    options = {"dsn": shop.dsn, "schema": "copy"} if sink == "postgres" else {}
    target = use(sink, **(options or {"path": shop.directory / "target"}))
    await move(use("postgres", dsn=shop.dsn), target)
    await move(target, use("ndjson", path=last))
    assert lines(last) == lines(first)


NAMES = ['we"ird ', "x; DROP TABLE y", "é😀.", "SELECT", "a'b", "$1", "%s", "\\", "tab\there"]


@pytest.mark.parametrize("name", NAMES)
async def test_any_schema_and_prefix_are_quoted(shop: Any, name: str) -> None:
    """They are parts of names, never SQL; nothing is made in another schema."""
    records = shop.thread("t")
    await shop.write(records, schema=name, table_prefix=name)
    assert await shop.records(schema=name, table_prefix=name) == {"t": forms(records)}
    tables = shop.query("SELECT schemaname, tablename FROM pg_tables WHERE tablename LIKE '%reads'")
    assert tables == [(name, f"{name}threads")]


async def test_two_prefixes_share_a_schema(shop: Any) -> None:
    """Tables of another prefix are another target, with an identity of its own."""
    await shop.write(shop.thread("one"), table_prefix="a_")
    await shop.write(shop.thread("two"), table_prefix="b_", origin="http://two")
    assert list(await shop.records(table_prefix="a_")) == ["one"]
    assert list(await shop.records(table_prefix="b_")) == ["two"]


async def test_a_thread_without_a_record_of_its_own_gets_none(shop: Any) -> None:
    """None is made up for it; one that somebody fills in by SQL comes."""
    bare = shop.thread("a", checkpoints=1)[1:2]
    await shop.write(bare)
    assert await shop.records() == {"a": forms(bare)}
    shop.query("UPDATE langgraph_threads SET status = 'idle'")
    (filled,) = [json.loads(line) for line in (await shop.records())["a"] if b'"thread",' in line]
    assert (filled["kind"], filled["status"]) == ("thread", "idle")


def test_the_command_line_reads_postgres(shop: Any) -> None:
    """With the address from the environment; no argument holds it."""
    shop.query("CREATE TABLE langgraph_threads (thread_id TEXT, metadata JSONB)")
    shop.query("INSERT INTO langgraph_threads VALUES ('a', '{\"n\": 1e2}'), ('b', NULL)")
    command = [sys.executable, "-m", "lgx", "run", "--source", "postgres", "--sink", "ndjson"]
    process = subprocess.run(
        [*command, "--source-dsn=env:WHERE", "--sink-path=-", "--quiet", "--metadata=n=100"],
        env={"WHERE": shop.dsn, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")
    (line,) = process.stdout.splitlines()[1:]
    assert json.loads(line) == {
        "kind": "thread",
        "thread_id": "a",
        "created_at": None,
        "updated_at": None,
        "status": None,
        "metadata": {"n": 100},
    }
