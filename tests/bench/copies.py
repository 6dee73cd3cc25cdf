"""Copies of checkpointers beside a bare COPY or INSERT of the same rows, beside pg_dump, and beside
the loop over `list` and `put`."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from measure import Figure, peak_memory

import lgx
from lgx.testing import PostgresProcess

_WORDS = ("thread", "state", "message", "tool", "result", "answer", "question", "model", "agent")
_MOST = 250
_ROUNDS = 3
_STEPS = 25
_DIFFERENT = 200

_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

_COPY = """
from lgx.cli import main
source, origin, sink, target = sys.argv[1:]
names = {"postgres-saver": "DSN", "sqlite-saver": "PATH"}
os.environ[f"LGX_SOURCE_{names[source]}"] = origin
os.environ[f"LGX_SINK_{names[sink]}"] = target
assert main(["run", "--source", source, "--sink", sink, "--quiet"]) == 0
"""


def figures(*, quick: bool = False) -> list[Figure]:
    with PostgresProcess(fsync="on") as server, tempfile.TemporaryDirectory() as folder:
        return [
            *_speed(server, Path(folder), 30 if quick else 1000),
            *_memory(server, Path(folder), quick=quick),
        ]


# -- speed ---------------------------------------------------------------------------


def _speed(server: PostgresProcess, folder: Path, threads: int) -> list[Figure]:
    """Conversations of 25 steps, each with all messages so far."""
    origin = _database(server)
    with PostgresSaver.from_conn_string(origin) as saver:
        cast("Any", saver.conn).execute("SET synchronous_commit = off")
        for number in range(min(threads, _DIFFERENT)):
            _converse(saver, number)
    _multiply(server, origin, threads)
    ((size,),) = server.execute(origin, "SELECT sum(octet_length(blob)) FROM checkpoint_blobs")
    path = folder / "copy.db"
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        times.setdefault(name, []).append(time.perf_counter() - begun)

    for _ in range(_ROUNDS):
        with _empty(server) as target:
            timed("pg_dump", lambda: _dump(server, origin, target))
        with _empty(server, tables=False) as target:
            timed("postgres", lambda: _copy(_postgres(origin), _postgres(target)))
        with _file(path):
            timed("to sqlite", lambda: _copy(_postgres(origin), _sqlite(path)))
            timed("read postgres", partial(_run, _bare_read(origin)))
            timed("read sqlite", partial(_sqlite_rows, path))
            rows = _sqlite_rows(path)
            with _file(path.with_suffix(".bare")) as bare:
                timed("executemany", partial(_executemany, bare, rows))
            with _file(path.with_suffix(".second")) as second:
                timed("sqlite", partial(_copy, _sqlite(path), _sqlite(second)))
            with _empty(server, tables=False) as target:
                timed("to postgres", lambda: _copy(_sqlite(path), _postgres(target)))
                copied = asyncio.run(_postgres_rows(target))
            with _empty(server) as target:
                timed("COPY", partial(_run, _bare_copy(target, copied)))
    with _file(path):
        timed("loop to sqlite", lambda: _loop(PostgresSaver, origin, SqliteSaver, str(path)))
        with _empty(server) as target:
            timed("loop to postgres", lambda: _loop(SqliteSaver, str(path), PostgresSaver, target))
    best = {name: min(found) for name, found in times.items()}
    to_sqlite = best["read postgres"] + best["executemany"]
    to_postgres = best["read sqlite"] + best["COPY"]
    return [
        Figure(
            f"postgres to postgres, {size / 1e6:.0f} MB: lgx", _speed_of(size, best["postgres"])
        ),
        Figure("  pg_dump | psql", _speed_of(size, best["pg_dump"])),
        _ratio("  lgx / pg_dump | psql", best["pg_dump"] / best["postgres"], 0.5),
        Figure("postgres to sqlite: lgx", _speed_of(size, best["to sqlite"])),
        Figure("  COPY out and executemany, bare rows", _speed_of(size, to_sqlite)),
        _ratio("  lgx / COPY and executemany", to_sqlite / best["to sqlite"], 0.5),
        Figure("  lgx / executemany alone", f"{best['executemany'] / best['to sqlite']:.2f}"),
        _ratio("  lgx / loop over list and put", best["loop to sqlite"] / best["to sqlite"], 6),
        Figure("sqlite to sqlite: lgx", _speed_of(size, best["sqlite"])),
        Figure("  lgx / executemany alone", f"{best['executemany'] / best['sqlite']:.2f}"),
        Figure("sqlite to postgres: lgx", _speed_of(size, best["to postgres"])),
        Figure("  SELECT and COPY in, bare rows", _speed_of(size, to_postgres)),
        _ratio("  lgx / SELECT and COPY", to_postgres / best["to postgres"], 0.5),
        Figure("  lgx / COPY alone", f"{best['COPY'] / best['to postgres']:.2f}"),
        _ratio("  lgx / loop over list and put", best["loop to postgres"] / best["to postgres"], 6),
    ]


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _speed_of(size: int, seconds: float) -> str:
    return f"{size / 1e6 / seconds:.0f} MB/s"


def _ratio(name: str, ratio: float, bar: float) -> Figure:
    return Figure(name, f"{ratio:.2f}", f">= {bar:.2f}", met=ratio >= bar)


def _converse(saver: BaseCheckpointSaver[Any], number: int) -> None:
    dice = random.Random(number)
    messages: list[Any] = []
    parent: str | None = None
    versions: dict[str, Any] = {}
    for step in range(_STEPS):
        text = " ".join(dice.choices(_WORDS, k=90))
        kind = AIMessage if step % 2 else HumanMessage
        messages.append(kind(content=text, id=f"{dice.getrandbits(128):032x}"))
        checkpoint = empty_checkpoint()
        checkpoint["v"] = 4  # as graphs write them
        version = f"{step + 1:032}.{dice.random():.16f}"
        new: dict[str, Any] = {"messages": version, "step": version}
        if not step:
            new["profile"] = version
        versions |= new
        checkpoint["channel_values"] = {
            "messages": [*messages],
            "step": step,
            "profile": {"name": f"user {number}", "tags": ["a", "b"]},
        }
        checkpoint["channel_versions"] = dict(versions)
        configurable: dict[str, Any] = {"thread_id": f"thread {number}", "checkpoint_ns": ""}
        if parent is not None:
            configurable["checkpoint_id"] = parent
        config: Any = {"configurable": configurable}
        saved = saver.put(config, checkpoint, {"source": "loop", "step": step, "parents": {}}, new)
        task = str(uuid.UUID(int=dice.getrandbits(128)))
        saver.put_writes(saved, [("messages", messages[-1]), ("step", step)], task)
        parent = checkpoint["id"]


def _multiply(server: PostgresProcess, dsn: str, threads: int) -> None:
    """The same conversations under further names, up to so many."""
    for table in _TABLES if threads > _DIFFERENT else ():
        rows = server.execute(
            dsn,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' "
            f"AND table_name = '{table}' AND column_name <> 'thread_id'",
        )
        columns = ", ".join(name for (name,) in rows)
        server.execute(
            dsn,
            f"INSERT INTO {table} (thread_id, {columns}) SELECT thread_id || '.' || n, {columns} "
            f"FROM {table}, generate_series(1, {threads // _DIFFERENT - 1}) AS n",
        )
        server.execute(dsn, f"ANALYZE {table}")


def _postgres(dsn: str) -> lgx.Use:
    return lgx.use("postgres-saver", dsn=dsn)


def _sqlite(path: Path) -> lgx.Use:
    return lgx.use("sqlite-saver", path=str(path))


def _copy(source: lgx.Use, sink: lgx.Use) -> None:
    report = lgx.run(source, sink)
    assert report.exit_code == 0, report.failures[:3]


def _database(server: PostgresProcess) -> str:
    dsn = server.new_database()
    with PostgresSaver.from_conn_string(dsn) as saver:
        saver.setup()
    return dsn


@contextmanager
def _empty(server: PostgresProcess, *, tables: bool = True) -> Iterator[str]:
    dsn = _database(server) if tables else server.new_database()
    yield dsn
    server.drop_database(dsn)


@contextmanager
def _file(path: Path) -> Iterator[Path]:
    """A place for a file of SqliteSaver's."""
    yield path
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _dump(server: PostgresProcess, origin: str, target: str) -> None:
    """The three tables, by the programs that come with the server."""
    tables = [option for table in _TABLES for option in ("-t", table)]
    with subprocess.Popen(
        [str(server._programs / "pg_dump"), "--data-only", *tables, origin], stdout=subprocess.PIPE
    ) as dump:
        subprocess.run(
            [str(server._programs / "psql"), "-q", "-1", target],
            stdin=dump.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    assert dump.returncode == 0


def _sqlite_rows(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as file:
        return {t: file.execute(f"SELECT * FROM {t}").fetchall() for t in ("checkpoints", "writes")}


def _executemany(path: Path, rows: dict[str, list[Any]]) -> None:
    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.setup()
    with closing(sqlite3.connect(path)) as file, file:
        for table, held in rows.items():
            marks = ", ".join("?" * len(held[0]))
            file.executemany(f"INSERT INTO {table} VALUES ({marks})", held)


async def _postgres_rows(dsn: str) -> dict[str, list[Any]]:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        return {t: [*map(tuple, await connection.fetch(f"SELECT * FROM {t}"))] for t in _TABLES}
    finally:
        await connection.close()


async def _bare_read(dsn: str) -> None:
    import asyncpg

    async def drop(_: bytes) -> None:
        pass

    connection = await asyncpg.connect(dsn)
    try:
        for table in _TABLES:
            await connection.copy_from_table(table, output=drop, format="binary")
    finally:
        await connection.close()


async def _bare_copy(dsn: str, rows: dict[str, list[Any]]) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            for table, held in rows.items():
                await connection.copy_records_to_table(table, records=held)
    finally:
        await connection.close()


def _loop(source: Any, origin: str, sink: Any, target: str) -> None:
    """As documents recommend it; which loses writes, and whose parents are others."""
    with source.from_conn_string(origin) as one, sink.from_conn_string(target) as other:
        other.setup()
        for item in one.list(None):
            config = item.parent_config or {
                "configurable": {**item.config["configurable"], "checkpoint_id": None}
            }
            other.put(config, item.checkpoint, item.metadata, item.checkpoint["channel_versions"])


# -- memory --------------------------------------------------------------------------


def _memory(server: PostgresProcess, folder: Path, *, quick: bool) -> list[Figure]:
    """One thread whose values are all different."""
    steps, step = 200 if quick else 4000, 256 << 10
    origin, path = _database(server), folder / "large.db"
    server.execute(
        origin,
        f"""
        INSERT INTO checkpoints SELECT 't', '', n::text, nullif(n - 1, 0)::text, NULL,
            jsonb_build_object('v', 4, 'id', n::text, 'ts', '2026-01-01T00:00:00+00:00',
            'channel_values', '{{}}'::jsonb, 'versions_seen', '{{}}'::jsonb,
            'channel_versions', jsonb_build_object('a', n::text)), '{{}}'
            FROM generate_series(1, {steps}) AS n;
        INSERT INTO checkpoint_blobs SELECT 't', '', 'a', n::text, 'bytes',
            decode(repeat(md5(n::text), {step // 16}), 'hex') FROM generate_series(1, {steps}) AS n;
        """,
    )
    size = steps * step >> 20
    found = []
    with _empty(server, tables=False) as target, _empty(server, tables=False) as back:
        for name, source, sink in (
            ("postgres to postgres", ("postgres-saver", origin), ("postgres-saver", target)),
            ("to sqlite", ("postgres-saver", origin), ("sqlite-saver", str(path))),
            ("sqlite to postgres", ("sqlite-saver", str(path)), ("postgres-saver", back)),
        ):
            peak = peak_memory(_COPY, *source, *sink)
            found.append(
                Figure(
                    f"one thread of {size} MB: {name}",
                    f"{peak:.0f} MB",
                    f"<= {_MOST} MB",
                    met=peak <= _MOST,
                )
            )
    return found
