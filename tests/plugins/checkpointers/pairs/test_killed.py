"""Copies that are killed at any moment: each thread stands whole or not at all."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

_FILL = """
INSERT INTO {table} SELECT t.thread_id || ' ' || n, {columns}
FROM {table} AS t CROSS JOIN generate_series(2, {count}) AS n WHERE t.thread_id = '1'
"""


def make_store(new_store: Callable[[], Any], zoo: Any, threads: int) -> Any:
    """Many threads with all that a graph leaves: one's rows under many ids."""
    store = new_store()
    with store.saver() as saver:
        zoo.run(saver, prefix="")
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        store.sql(f"DELETE FROM {table} WHERE thread_id <> 'nested and answered'")
        store.sql(f"UPDATE {table} SET thread_id = '1'")
        columns = [
            row[0]
            for row in store.sql(
                "SELECT column_name FROM information_schema.columns WHERE table_name = $1 "
                "AND column_name <> 'thread_id' ORDER BY ordinal_position",
                table,
            )
        ]
        store.sql(
            _FILL.format(
                table=table, columns=", ".join(f't."{name}"' for name in columns), count=threads
            )
        )
    return store


def start(source: Any, sink: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "lgx", "run", "--quiet"),
            *("--source", "postgres-saver", "--sink", "postgres-saver"),
            *("--sink-lock", "wait"),
        ],
        env={**os.environ, "LGX_SOURCE_DSN": source.dsn, "LGX_SINK_DSN": sink.dsn},
        stderr=subprocess.PIPE,
    )


def complete(source: Any, sink: Any) -> float:
    """A run to its end; how long it took."""
    begun = time.monotonic()
    process = start(source, sink)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    return time.monotonic() - begun


def by_thread(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for table, held in rows.items():
        for row in held:
            found.setdefault(row[0], []).append((table, row))
    return found


def kill_and_finish(store: Any, new_store: Callable[[], Any], kills: int, seed: int) -> None:
    dice = random.Random(seed)
    wanted = store.rows()
    whole = by_thread(wanted)
    seconds = complete(store, new_store())
    copy = new_store()
    landed = 0
    for _ in range(kills):
        process = start(store, copy)
        try:
            process.wait(dice.uniform(0.4, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            landed += 1
        process.kill()
        process.communicate()
        there = copy.sql("SELECT 1 FROM pg_tables WHERE tablename = 'checkpoints'")
        found = by_thread(copy.rows()) if there else {}
        assert found.items() <= whole.items()
        if process.returncode == 0:
            assert copy.rows() == wanted
            copy = new_store()
    assert landed, "no kill came while the run was under way"
    complete(store, copy)

    assert copy.rows() == wanted
    marks = copy.sql("SELECT count(*) FROM lgx_marks WHERE version IS NOT NULL")
    assert marks == [(len(whole),)]


def test_a_killed_copy_is_finished_by_the_next_run(new_store: Callable[[], Any], zoo: Any) -> None:
    kill_and_finish(make_store(new_store, zoo, 150), new_store, 2, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_fifty_kills_change_nothing(new_store: Callable[[], Any], zoo: Any) -> None:
    """Of copies that take several transactions."""
    store = make_store(new_store, zoo, 2000)
    for seed in range(10):
        kill_and_finish(store, new_store, 5, seed=seed)
