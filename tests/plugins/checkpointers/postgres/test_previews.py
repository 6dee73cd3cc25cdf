"""A dry run foretells what a run would say of each thread, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import UNSET, Raw

from lgx import CheckpointWrite, RawCheckpoint, Record, WriteOutcome
from lgx.testing import make_bundle, make_context, make_run


def thread(thread_id: str, *, n: int = 1, **fields: Any) -> list[Record]:
    """A checkpoint with a write."""
    known: dict[str, Any] = {
        "document": Raw(b'{"v":4,"id":"1","channel_versions":{"a":"1"},"n":%d}' % n),
        "metadata": Raw(b'{"step": 1}'),
        **fields,
    }
    return [
        RawCheckpoint(thread_id=thread_id, checkpoint_ns="", checkpoint_id="1", **known),
        CheckpointWrite(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id="1",
            task_id="task",
            idx=0,
            channel="a",
            type="bytes",
            blob=b"x",
            task_path="~p",
        ),
    ]


THREADS = (
    thread("new"),
    thread("ours", n=2),
    thread("changed"),
    thread("same"),
    thread("somebody's", n=2),
    thread("another's"),
    thread("with \0 in it"),
    thread("nul", metadata=Raw(b'{"a": "\\u0000"}')),
    thread("sealed", document=UNSET, type="msgpack+aes", blob=b"x" * 64),
    thread("odd", metadata=Raw(b'{"a": -0.0}')),
)


@pytest.fixture
def store(new_store: Callable[[], Any]) -> Any:
    return new_store()


async def _fill(store: Any) -> None:
    """Copies of this source and of another, one that was changed, and somebody's own threads."""
    async with store.writing() as write:
        await write(thread("ours"), thread("changed"))
    async with store.writing(make_run(source="kit://other", merge=True)) as write:
        await write(thread("another's"))
    store.sql("UPDATE checkpoint_writes SET blob = 'y' WHERE thread_id = 'changed'")
    for name in ("same", "somebody's"):
        store.sql(
            "INSERT INTO checkpoints SELECT $1, checkpoint_ns, checkpoint_id, NULL, NULL, "
            "checkpoint, metadata FROM checkpoints WHERE thread_id = 'ours'",
            name,
        )
        store.sql(
            "INSERT INTO checkpoint_writes SELECT $1, '', '1', 'task', 0, 'a', 'bytes', 'x', '~p'",
            name,
        )


async def _previewed(
    store: Any, threads: Sequence[Sequence[Record]], **options: Any
) -> list[WriteOutcome]:
    context = make_context(spool_directory=store.directory)
    found = []
    async with store.sink(**options) as sink:
        await sink.begin(make_run(dry_run=True, merge=True), context)
        for records in threads:
            bundle = make_bundle(context, records, version="1")
            found.append(await sink.preview(bundle, context))
            bundle.close()
    return found


def _all(store: Any) -> Any:
    objects = "SELECT oid, relname::text FROM pg_class WHERE relnamespace <> 99 ORDER BY 1"
    return store.rows(), store.sql("SELECT * FROM lgx_marks ORDER BY 1"), store.sql(objects)


@pytest.mark.parametrize("policy", ["fail", "skip", "replace"])
async def test_previews_are_what_the_run_says(store: Any, policy: str) -> None:
    """New threads, copies, conflicts, what is there already, and what PostgreSQL cannot hold."""
    await _fill(store)
    before = _all(store)

    foretold = await _previewed(store, THREADS, on_conflict=policy)

    assert _all(store) == before
    async with store.writing(make_run(merge=True), on_conflict=policy) as write:
        said = await write(*THREADS)
    assert foretold == list(said)
    assert [one.error is None for one in said] == [
        *(True, True, policy != "fail", True, policy != "fail", policy != "fail"),
        *(False, False, False, True),
    ]


@pytest.mark.parametrize("tables", [False, True])
async def test_where_no_run_was_before_there_is_nothing_to_make(
    store: Any, *, tables: bool
) -> None:
    """With the tables of a checkpointer, or without: threads of others are found all the same."""
    if tables:
        async with store.writing() as write:
            await write(thread("t"))
        store.sql("DROP TABLE lgx_marks")
    before = store.sql("SELECT relname::text FROM pg_class WHERE relnamespace = 2200")

    found = await _previewed(store, [thread("t", n=2), thread("u"), THREADS[7]])

    assert [one.error is None for one in found] == [not tables, True, False]
    assert store.sql("SELECT relname::text FROM pg_class WHERE relnamespace = 2200") == before


async def test_a_look_waits_for_no_graph_at_work(store: Any) -> None:
    """It takes no lock that others wait for, or that waits for others."""
    await _fill(store)
    import asyncpg

    other = await asyncpg.connect(store.dsn)
    try:
        await other.execute("BEGIN; SET LOCAL lock_timeout = '2s'")
        await other.execute("UPDATE checkpoints SET metadata = '{}' WHERE thread_id = 'new'")
        found = await _previewed(store, [THREADS[4]])
        await other.execute("COMMIT")
    finally:
        await other.close()

    assert found[0].error is not None
