"""What is written, kept, replaced, left and refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import (
    ChannelBlob,
    CheckpointWrite,
    FatalError,
    LockedError,
    RawCheckpoint,
    Record,
    ThreadRef,
    UsageError,
)
from lgx.testing import TransactionPooler, make_context, make_run


def thread(thread_id: str = "t", *, n: int = 1, metadata: str = '{"step": 1}') -> list[Record]:
    """A checkpoint with a blob and a write."""
    return [
        ChannelBlob(
            thread_id=thread_id,
            checkpoint_ns="",
            channel="a",
            version="1",
            type="msgpack",
            blob=b"\x91" + bytes([n]),
        ),
        RawCheckpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id="1",
            document=Raw(b'{"v":4,"id":"1","channel_versions":{"a":"1"},"n":%d}' % n),
            metadata=Raw(metadata.encode()),
        ),
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


def refs(*thread_ids: str) -> list[ThreadRef]:
    return [ThreadRef(thread_id=one, version="1") for one in thread_ids]


@pytest.fixture
def store(new_store: Callable[[], Any]) -> Any:
    return new_store()


def ns(store: Any) -> Any:
    """The number in each document, by thread."""
    return store.sql("SELECT thread_id, (checkpoint ->> 'n')::int FROM checkpoints ORDER BY 1")


# -- marks -------------------------------------------------------------------------------


async def test_a_mark_stands_beside_a_whole_thread_as_long_as_it_stands(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("t"), thread("u"))
        await write(thread("p"), partial=True)
        held = await write.sink.held(refs("t", "u", "p", "none", "a\0b"))
        assert {one: mark.version for one, mark in held.items()} == {"t": "1", "u": "1"}
        assert held["t"].checkpoints == 1
        for table in ("checkpoints", "checkpoint_writes", "checkpoint_blobs"):
            store.sql(f"DELETE FROM {table} WHERE thread_id = 't'")
        assert [*await write.sink.held(refs("t", "u"))] == ["u"]
        assert (await write(thread("t")))[0].error is None  # which nobody else has put there


async def test_what_lgx_wrote_it_replaces_also_where_it_was_not_whole(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("t", n=1))
        await write(thread("p", n=1), partial=True)
        outcomes = await write(thread("t", n=2), thread("p", n=2), version="2")

    assert [outcome.error for outcome in outcomes] == [None, None]
    assert ns(store) == [("p", 2), ("t", 2)]


async def test_forgotten_threads_are_this_source_s_own(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("t"), thread("u"))
        await write.sink.forget(["t", "none"])
    async with store.writing(make_run(source="kit://other", merge=True)) as write:
        await write(thread("v"))
        await write.sink.forget(["u", "v"])

    assert ns(store) == [("u", 1)]
    assert store.sql("SELECT thread_id FROM lgx_marks") == [("u",)]


# -- conflicts ---------------------------------------------------------------------------

GONE_ON = (
    "INSERT INTO checkpoint_writes VALUES ('t', '', '1', 'task', 9, 'a', 'bytes', 'y', '')",
    "UPDATE checkpoint_writes SET blob = 'y'",
    "UPDATE checkpoint_blobs SET blob = 'y'",
    "UPDATE checkpoints SET metadata = '{}'",
    "UPDATE checkpoints SET checkpoint = checkpoint || '{\"n\": 7}'",
)


@pytest.mark.parametrize("change", GONE_ON)
async def test_a_copy_that_somebody_has_gone_on_with_is_not_replaced(
    store: Any, change: str
) -> None:
    async with store.writing() as write:
        await write(thread("t"))
    store.sql(change)
    before = store.rows()
    async with store.writing() as write:
        ours, other = await write(thread("t", n=2), thread("u"), version="2")

    assert ours.error == (
        "it stands there as a copy that was changed there after lgx wrote it; "
        "--sink-on-conflict replace or skip says what becomes of it"
    )
    assert other.error is None
    after = store.rows()
    assert {table: [row for row in rows if row[0] == "t"] for table, rows in after.items()} == {
        table: [*rows] for table, rows in before.items()
    }


async def test_somebody_else_s_thread_is_left_replaced_or_adopted(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("same"), thread("other"))
    store.sql("DROP TABLE lgx_marks")

    async with store.writing() as write:
        same, other = await write(thread("same"), thread("other", n=2))
        held = await write.sink.held(refs("same", "other"))
    assert (same.error, same.written) == (None, False)
    assert other.error is not None
    assert "with other content, which lgx did not write" in other.error
    assert [*held] == ["same"]

    async with store.writing(on_conflict="skip") as write:
        (skipped,) = await write(thread("other", n=2))
    assert (skipped.error, skipped.written) == (None, False)
    assert [(loss.left, loss.holdable) for loss in skipped.losses] == [(True, False)]
    assert ns(store) == [("other", 1), ("same", 1)]

    async with store.writing(on_conflict="replace") as write:
        (replaced,) = await write(thread("other", n=2))
    assert (replaced.error, replaced.written) == (None, True)
    assert ns(store) == [("other", 2), ("same", 1)]


async def test_what_jsonb_spells_otherwise_is_the_same(store: Any) -> None:
    """Its order of keys, white space and the last of two keys are its own."""
    async with store.writing() as write:
        await write(thread("t", metadata='{"bb":1,"a": 2,"a":1.50, "c":"\\u00e9"}'))
    store.sql("DROP TABLE lgx_marks")
    async with store.writing() as write:
        (outcome,) = await write(thread("t", metadata='{ "a":1.50,"c":"é","bb":1}'))
    assert (outcome.error, outcome.written) == (None, False)


async def test_threads_of_a_second_source_need_merge_and_ids_of_their_own(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("t"))

    with pytest.raises(UsageError, match=r"hold copies from 'kit://first'.*--merge"):
        async with store.writing(make_run(source="kit://other")):
            pass

    async with store.writing(make_run(source="kit://other", merge=True)) as write:
        taken, own = await write(thread("t", n=2), thread("u", n=2))
        assert own.error is None
        assert taken.error is not None
        assert "as a copy from kit://first" in taken.error
        assert [*await write.sink.held(refs("t", "u"))] == ["u"]
    assert ns(store) == [("t", 1), ("u", 2)]


# -- what cannot be held -----------------------------------------------------------------


def _changed(kind: type[Record], **fields: Any) -> list[Record]:
    return [
        msgspec.structs.replace(record, **fields) if isinstance(record, kind) else record
        for record in thread("bad")
    ]


UNHOLDABLE = {
    "NUL in an id": (
        [msgspec.structs.replace(one, thread_id="a\0b") for one in thread()],
        "thread id 'a\\x00b'",
    ),
    "NUL in a namespace": (_changed(ChannelBlob, checkpoint_ns="a\0b"), "the text 'a\\x00b'"),
    "NUL in metadata": (
        thread("bad", metadata='{"a": "\\\\\\u0000"}'),
        "metadata of checkpoint '1' of namespace '' has the character NUL",
    ),
    "NUL in a document": (
        _changed(RawCheckpoint, document=Raw(b'{"a\\u0000":1}')),
        "checkpoint '1' of namespace '' has the character NUL",
    ),
    "metadata that is no JSON": (
        _changed(RawCheckpoint, metadata=msgspec.UNSET, metadata_blob=b'{"a": NaN}'),
        "metadata of checkpoint '1' of namespace '' is no JSON",
    ),
    "a surrogate in metadata": (
        thread("bad", metadata='{"a": "\\ud800"}'),
        "PostgreSQL cannot hold a value",
    ),
    "one key twice": ([*thread("bad"), thread("bad")[-1]], "under a key that another row has"),
    "a row of another thread": ([*thread("bad"), thread("u")[-1]], "came with thread 'bad'"),
    "fields that no table has": (
        _changed(CheckpointWrite, extra={"colour": Raw(b'"red"')}),
        "came with the fields 'colour'",
    ),
    "a number beyond its column": (
        _changed(CheckpointWrite, idx=1 << 31),
        "a number that the column idx cannot hold",
    ),
}


@pytest.mark.parametrize("case", UNHOLDABLE)
async def test_what_cannot_be_held_fails_its_thread_alone(store: Any, case: str) -> None:
    records, why = UNHOLDABLE[case]
    async with store.writing() as write:
        outcomes = await write(thread("t"), records, thread("v"))
        held = await write.sink.held(refs("t", "bad", "v"))

    errors = [outcome.error for outcome in outcomes]
    assert errors[0] is errors[2] is None
    assert errors[1] is not None
    assert why in errors[1]
    assert [*held] == ["t", "v"]
    assert ns(store) == [("t", 1), ("v", 1)]


async def test_backslashes_before_u0000_are_no_nul(store: Any) -> None:
    async with store.writing() as write:
        (outcome,) = await write(thread("t", metadata='{"a": "\\\\u0000"}'))
    assert outcome.error is None
    assert store.sql("SELECT metadata ->> 'a' FROM checkpoints") == [("\\u0000",)]


async def test_numbers_that_jsonb_changes_are_told(store: Any) -> None:
    async with store.writing() as write:
        (outcome,) = await write(
            thread("t", metadata='{"a": [1e16, -0.0, 1.5, 1e-7, 1.0], "b": "1e16"}')
        )
    assert [(loss.what, loss.holdable) for loss in outcome.losses] == [
        ("the form of 1e16, -0.0 in the metadata of checkpoint '1' of namespace ''", False)
    ]


# -- others ------------------------------------------------------------------------------


async def test_a_second_run_is_refused_while_the_first_one_writes(store: Any) -> None:
    async with store.writing() as write:
        await write(thread("t"))
        with pytest.raises(LockedError, match="--sink-lock wait"):
            async with store.writing():
                pass
        await write(thread("u"))
    async with store.writing():
        pass


async def test_a_run_into_the_tables_that_it_reads_is_refused(store: Any) -> None:
    async with store.writing():
        pass
    with pytest.raises(UsageError, match="reads the tables in schema 'public'"):
        await store.copy_to(store)


async def test_a_graph_at_work_is_neither_blocked_nor_overwritten(store: Any) -> None:
    """While a batch is being looked at nobody adds to what stands there."""
    async with store.writing() as write:
        await write(thread("t"))
        sink = write.sink
        async with sink._transactions.writing(again=False) as connection:
            from lgx_plugins.checkpointers.postgres.writing import Writer

            writer = Writer(
                connection,
                sink._known,
                sink._marks,
                source="kit://first",
                policy="fail",
                cipher=sink._cipher,
            )
            there: dict[str, Any] = {"t": None, "new": None}
            await writer._judged(there)
            adding = asyncio.create_task(
                asyncio.to_thread(
                    store.sql,
                    "INSERT INTO checkpoint_writes VALUES "
                    "('t', '', '2', 'task', 0, 'a', 'bytes', 'x', '')",
                )
            )
            reading = await asyncio.to_thread(store.sql, "SELECT count(*) FROM checkpoint_writes")
            assert reading == [(1,)]
            waits = "SELECT count(*) FROM pg_catalog.pg_locks WHERE NOT granted"
            while not adding.done() and not await connection.fetchval(waits):
                pass
            assert not adding.done()
        await adding
        (outcome,) = await write(thread("t", n=2), version="2")
    assert outcome.error is not None
    assert "changed there after lgx wrote it" in outcome.error


async def test_a_row_that_comes_from_elsewhere_meanwhile_undoes_the_batch(store: Any) -> None:
    """A trigger stands for a graph that writes between the look and the commit."""
    async with store.writing() as write:
        store.sql("""
            CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO public.checkpoint_blobs VALUES (new.thread_id, '', 'z', '1', 'null', '')
                    ON CONFLICT DO NOTHING;
                RETURN new;
            END $$;
            CREATE TRIGGER add AFTER INSERT ON checkpoint_writes FOR EACH ROW
                EXECUTE FUNCTION add();
        """)
        with pytest.raises(Exception, match="another program wrote to thread 't'"):
            await write(thread("t"))
    assert ns(store) == []


async def test_a_server_that_goes_away_ends_nothing(store: Any) -> None:
    """The transaction is tried again as a whole."""
    async with store.writing() as write:
        await write(thread("t"))
        store.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        (outcome,) = await write(thread("u"))
    assert outcome.error is None
    assert ns(store) == [("t", 1), ("u", 1)]


async def test_all_of_it_works_behind_a_pooler(filled: Any, new_store: Callable[[], Any]) -> None:
    """PgBouncer in transaction mode: each transaction may have another session."""
    store, copy = filled, new_store()
    async with TransactionPooler(store.dsn) as before, TransactionPooler(copy.dsn) as behind:
        direct = store.dsn, copy.dsn
        store.dsn, copy.dsn = before.dsn, behind.dsn
        first = await store.copy_to(copy)
        second = await store.copy_to(copy, full=True)
        store.dsn, copy.dsn = direct
        assert (before.leaks, behind.leaks) == ([], [])
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert copy.rows() == store.rows()


async def test_a_database_that_may_not_be_written_to_is_refused(
    store: Any,
) -> None:
    name = store.sql("SELECT current_database()")[0][0]
    store.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(FatalError, match="can only be read"):
        async with store.writing():
            pass


async def test_a_probe_tells_of_server_tables_and_lock_and_makes_nothing(
    store: Any, filled: Any
) -> None:
    async with store.sink() as sink:
        facts = (await sink.probe(make_context())).facts
    assert [fact.name for fact in facts] == ["postgresql", "database", "tables", "lock"]
    assert "none in schema 'public'; a run makes those of PostgresSaver" in facts[2].value
    assert store.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]

    async with filled.source() as source:
        facts = (await source.probe(make_context())).facts
    said = {fact.name: fact.value for fact in facts}
    assert said["tables"] == "of PostgresSaver in schema 'public'"
    assert said["content"].startswith("28 threads, ")
    assert "'msgpack'" in said["types"]


async def test_a_full_disk_for_temporary_files_ends_the_run_and_says_where(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents beyond memory wait there for the turn of their table."""
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    text = "x" * (1 << 20)
    records = [
        record
        for number in range(6)
        for record in _changed(
            RawCheckpoint, checkpoint_id=str(number), document=Raw(b'{"a":"%s"}' % text.encode())
        )
        if isinstance(record, RawCheckpoint)
    ]
    async with store.writing() as write:
        with pytest.raises(FatalError, match="/nonexistent"):
            await write(records)
    assert ns(store) == []


async def test_writers_that_replace_and_writers_that_add_do_not_stand_in_each_other_s_way(
    store: Any,
) -> None:
    """As many at once as the sink allows, each with threads that stand there and new ones."""
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    before = store.sql(deadlocks)
    async with store.writing() as write:
        count = 4 * write.sink.max_writers
        await write(*(thread(f"old {number}") for number in range(count)))
        for n in (2, 3):
            outcomes = await asyncio.gather(
                *(
                    write(thread(f"old {number}", n=n), thread(f"new {n} {number}"), version=str(n))
                    for number in range(count)
                )
            )
            assert [outcome.error for pair in outcomes for outcome in pair] == [None] * 2 * count
    assert len(ns(store)) == 3 * count
    assert {n for name, n in ns(store) if name.startswith("old")} == {3}
    assert store.sql(deadlocks) == before
