"""PostgreSQL: writing and reading beside a bare COPY of the same rows, memory, and `dedup`."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from measure import Figure, peak_memory

import lgx
from lgx.testing import PostgresProcess, StubProcess

_WORDS = ("thread", "state", "message", "tool", "result", "answer", "question", "model", "agent")
_MOST = 250
_ROUNDS = 3

_EXPORT = """
from lgx.cli import main
url, dsn = sys.argv[1:]
os.environ["LGX_SINK_DSN"] = dsn
assert main(
    ["run", "--source", "cloud", "--source-url", url, "--sink", "postgres", "--quiet"]
    + ["--no-extras"]
) == 0
"""
_READ_BACK = """
from lgx.cli import main
dsn, target = sys.argv[1:]
os.environ["LGX_SOURCE_DSN"] = dsn
assert main(
    ["run", "--source", "postgres", "--sink", "ndjson", "--sink-path", target, "--quiet"]
    + ["--no-extras"]
) == 0
"""

_COLUMNS = {
    "threads": "id, thread_id, status, created_at, updated_at, source_url, exported_at, "
    "source_version, fingerprint, checkpoints, size, metadata, config, interrupts, values, extra, "
    "exact, digest",
    "checkpoints": "thread, position, thread_id, checkpoint_ns, checkpoint_id, "
    "parent_checkpoint_id, created_at, next, checkpoint_data, metadata, interrupts, tasks, "
    "values, extra, exact, digest",
}


def figures(*, quick: bool = False) -> list[Figure]:
    with PostgresProcess() as server, tempfile.TemporaryDirectory() as folder:
        return [
            *_speed(server, Path(folder), 60 if quick else 1800),
            *_dedup(server, Path(folder), 60 if quick else 300),
            *_memory(server, Path(folder), quick=quick),
        ]


# -- speed ---------------------------------------------------------------------------


def _speed(server: PostgresProcess, folder: Path, count: int) -> list[Figure]:
    """Histories of 80 checkpoints, 2.8 kB each."""
    lines, out, copy = folder / "in.ndjson", folder / "out.ndjson", folder / "copy"
    threads = [_thread(number) for number in range(count)]
    _write_lines(lines, threads)
    size = lines.stat().st_size / 1e6
    write, bare, read, copied = [], [], [], []
    rows: dict[str, list[Any]] = {}

    async def copy_in(connection: Any) -> float:
        return await _copy_in(connection, rows)

    async def copy_out(connection: Any) -> float:
        return await _copy_out(connection, copy)

    for turn in range(_ROUNDS):
        dsn, other = server.new_database(), _empty(server)
        write.append(_run("ndjson", "postgres", path=lines, dsn=dsn))
        for mine in (turn % 2 == 0, turn % 2 == 1):  # who comes first finds what nobody has read
            if mine:
                read.append(_run("postgres", "ndjson", path=out, dsn=dsn))
            else:
                copied.append(asyncio.run(_connected(dsn, copy_out)))
            (out if mine else copy).unlink()  # to free what is replaced takes its time, too
        if not rows:
            rows |= asyncio.run(_connected(dsn, _rows))
        bare.append(asyncio.run(_connected(other, copy_in)))
        server.drop_database(dsn)
        server.drop_database(other)
    some = threads[: max(count // 8, 10)]
    slow = asyncio.run(_timed_rows(_empty(server), some)) * count / len(some)
    wrote, bare_in, got, bare_out = min(write), min(bare), min(read), min(copied)
    return [
        Figure(f"ndjson to postgres, {size:.0f} MB: lgx", f"{size / wrote:.0f} MB/s"),
        Figure("  asyncpg's binary COPY of the same rows", f"{size / bare_in:.0f} MB/s"),
        Figure(
            "  lgx / that COPY", f"{bare_in / wrote:.2f}", ">= 0.50", met=bare_in / wrote >= 0.5
        ),
        Figure("  SQLAlchemy, row by row", f"{size / slow:.1f} MB/s"),
        Figure("  lgx / SQLAlchemy", f"{slow / wrote:.0f}", ">= 10", met=slow / wrote >= 10),
        Figure("postgres to ndjson: lgx", f"{size / got:.0f} MB/s"),
        Figure("  COPY (SELECT ...) TO STDOUT", f"{size / bare_out:.0f} MB/s"),
        Figure("  lgx / that COPY", f"{bare_out / got:.2f}", ">= 0.50", met=bare_out / got >= 0.5),
    ]


def _thread(number: int) -> list[dict[str, Any]]:
    dice = random.Random(number)
    thread_id = str(uuid.UUID(int=dice.getrandbits(128)))
    text = " ".join(dice.choice(_WORDS) for _ in range(330))
    records: list[dict[str, Any]] = [
        {
            "kind": "thread",
            "thread_id": thread_id,
            "created_at": "2026-01-01T12:00:00.000001+00:00",
            "updated_at": "2026-01-01T12:00:00.123456+00:00",
            "status": "idle",
            "metadata": {"graph_id": "agent", "owner": f"user {number % 100}"},
            "values": {"messages": [{"type": "human", "content": text, "id": thread_id}]},
            "interrupts": {},
            "config": {},
        }
    ]
    for step in range(80):
        message = {"type": "ai", "id": str(uuid.UUID(int=dice.getrandbits(128)))}
        message["content"] = text[step:]
        records.append(
            {
                "kind": "checkpoint",
                "thread_id": thread_id,
                "checkpoint_ns": "",
                "checkpoint_id": _checkpoint_id(step, number),
                "parent_checkpoint_id": _checkpoint_id(step - 1, number) if step else None,
                "created_at": f"2026-01-01T12:00:00.{step + 1:06}+00:00",
                "values": {"messages": [message]},
                "next": ["model"],
                "tasks": [{"id": "1", "name": "model", "result": {"n": 1}}],
                "metadata": {"source": "loop", "step": step, "parents": {}},
                "interrupts": [],
            }
        )
    return records


def _checkpoint_id(step: int, number: int) -> str:
    return f"1f0a0000-{step:04x}-6000-8000-{number:012x}"


def _write_lines(path: Path, threads: list[list[dict[str, Any]]]) -> None:
    with path.open("w") as file:
        for records in threads:
            file.writelines(json.dumps(record) + "\n" for record in records)


def _run(source: str, sink: str, *, path: Path, dsn: str, **options: Any) -> float:
    """How long it takes."""
    known: dict[str, dict[str, Any]] = {"ndjson": {"path": str(path)}, "postgres": {"dsn": dsn}}
    known[sink] |= options
    begun = time.perf_counter()
    report = lgx.run(lgx.use(source, **known[source]), lgx.use(sink, **known[sink]), extras=False)
    assert report.exit_code == 0, report.failures[:3]
    return time.perf_counter() - begun


def _empty(server: PostgresProcess) -> str:
    """A database with lgx's tables and nothing in them."""
    dsn = server.new_database()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.ndjson"
        _write_lines(path, [_thread(0)])
        _run("ndjson", "postgres", path=path, dsn=dsn)
    server.execute(dsn, "TRUNCATE langgraph_threads RESTART IDENTITY CASCADE")
    return dsn


async def _connected(dsn: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        return await work(connection)
    finally:
        await connection.close()


def _select(table: str) -> str:
    return f"SELECT {_COLUMNS[table]} FROM langgraph_{table}"


async def _rows(connection: Any) -> dict[str, list[Any]]:
    return {
        table: [tuple(row) for row in await connection.fetch(_select(table))] for table in _COLUMNS
    }


async def _copy_in(connection: Any, rows: dict[str, list[Any]]) -> float:
    begun = time.perf_counter()
    async with connection.transaction():
        for table, columns in _COLUMNS.items():
            await connection.copy_records_to_table(
                f"langgraph_{table}", records=rows[table], columns=columns.split(", ")
            )
    return time.perf_counter() - begun


async def _copy_out(connection: Any, path: Path) -> float:
    begun = time.perf_counter()
    for table in _COLUMNS:
        await connection.copy_from_query(_select(table), output=path)
    return time.perf_counter() - begun


async def _timed_rows(dsn: str, threads: list[list[dict[str, Any]]]) -> float:
    """INSERT ... ON CONFLICT for each row, a commit for each thread, by the older tool's driver."""
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import insert
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    meta = sa.MetaData()
    async with engine.connect() as connection:
        await connection.run_sync(meta.reflect)
        heads, states = (meta.tables[f"langgraph_{name}"] for name in _COLUMNS)
        await connection.rollback()
        begun = time.perf_counter()
        for head, *checkpoints in threads:
            row = insert(heads).values(**_typed(head), source_url="bench")
            upsert = row.on_conflict_do_update(
                index_elements=["thread_id", "source_url"], set_={"values": row.excluded["values"]}
            )
            inserted = await connection.execute(upsert.returning(heads.c.id))
            thread = inserted.scalar_one()
            for position, one in enumerate(checkpoints):
                row = insert(states).values(**_typed(one), thread=thread, position=position)
                await connection.execute(
                    row.on_conflict_do_update(
                        index_elements=["thread", "checkpoint_ns", "checkpoint_id"],
                        set_={"values": row.excluded["values"]},
                    )
                )
            await connection.commit()
        seconds = time.perf_counter() - begun
    await engine.dispose()
    return seconds


def _typed(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: datetime.fromisoformat(value) if key.endswith("_at") else value
        for key, value in record.items()
        if key != "kind"
    }


# -- the layout that keeps each value once -------------------------------------------


def _dedup(server: PostgresProcess, folder: Path, turns: int) -> list[Figure]:
    """One conversation; every step repeats all messages so far."""
    lines, sizes = folder / "conversation.ndjson", {}
    _write_lines(lines, [list(_conversation(turns))])
    for layout in ("plain", "dedup"):
        dsn = server.new_database()
        _run("ndjson", "postgres", path=lines, dsn=dsn, layout=layout)
        ((size,),) = server.execute(
            dsn,
            "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relkind = 'r' "
            "AND relname IN ('langgraph_checkpoints', 'langgraph_checkpoint_rows', "
            "'langgraph_channel_values')",
        )
        sizes[layout] = size / 1e6
    return [
        Figure(f"conversation of {turns} turns, as JSON", f"{lines.stat().st_size / 1e6:.1f} MB"),
        Figure("  tables of the plain layout", f"{sizes['plain']:.1f} MB"),
        Figure("  of dedup", f"{sizes['dedup']:.1f} MB"),
        Figure("  plain / dedup", f"{sizes['plain'] / sizes['dedup']:.1f}"),
    ]


def _conversation(turns: int) -> Iterator[dict[str, Any]]:
    dice = random.Random(turns)
    words = [f"{dice.getrandbits(28):x}" for _ in range(3000)]
    messages: list[dict[str, Any]] = []
    yield {"kind": "thread", "thread_id": "conversation"}
    for turn in range(turns):
        text = " ".join(dice.choice(words) for _ in range(60))
        messages.append({"id": f"{dice.getrandbits(128):032x}", "type": "ai", "content": text})
        for half in range(2):
            yield {
                "kind": "checkpoint",
                "thread_id": "conversation",
                "checkpoint_ns": "",
                "checkpoint_id": _checkpoint_id(2 * turn + half, 0),
                "values": {"messages": messages, "half": half},
                "metadata": {"step": 2 * turn + half},
            }


# -- memory --------------------------------------------------------------------------


def _memory(server: PostgresProcess, folder: Path, *, quick: bool) -> list[Figure]:
    size, many, step = 200 << 20 if quick else 2 << 30, 5_000 if quick else 100_000, 256 << 10
    found = []
    with StubProcess(threads=1, checkpoints=size // step, size=step, cache_bytes=0) as stub:
        found += _there_and_back(server, folder, f"one thread of {size >> 20} MB", stub.url)
    with StubProcess(threads=12, checkpoints=8 if quick else 120, size=step, cache_bytes=0) as stub:
        found += _there_and_back(server, folder, "12 large threads at once", stub.url)
    with StubProcess(threads=many, checkpoints=4, size=500) as stub:
        found += _there_and_back(server, folder, f"{many} small threads", stub.url)
    return found


def _there_and_back(server: PostgresProcess, folder: Path, name: str, url: str) -> list[Figure]:
    dsn, lines = server.new_database(), folder / "back.ndjson.zst"
    there = peak_memory(_EXPORT, url, dsn)
    back = peak_memory(_READ_BACK, dsn, str(lines))
    server.drop_database(dsn)
    return [
        Figure(f"{name}: to postgres", f"{there:.0f} MB", f"<= {_MOST} MB", met=there <= _MOST),
        Figure(f"{name}: read back", f"{back:.0f} MB", f"<= {_MOST} MB", met=back <= _MOST),
    ]
