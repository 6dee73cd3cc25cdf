"""From every layout into every other: what the saver of one wrote, that of the other reads."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Send

import lgx
from lgx import Report, Secret, Use
from lgx.testing import S3Process

KEY = "0123456789abcdef"


def postgres(store: Any, **options: Any) -> Use:
    return lgx.use("postgres-saver", dsn=store.dsn, **options)


def sqlite(path: Path, **options: Any) -> Use:
    return lgx.use("sqlite-saver", path=str(path), **options)


async def moved(source: Use, sink: Use, **options: Any) -> Report:
    """A run of which all must arrive, and nothing may be told."""
    report = await lgx.run_async(source, sink, **options)
    assert report.exit_code == 0, report
    assert report.threads.written == report.threads.listed > 0
    assert report.losses == []
    return report


def as_postgres_reads(held: Any) -> Any:
    """What PostgresSaver makes of the same rows: it finds a snapshot wherever a checkpoint has
    its version, and takes backslashes in the ids of tasks for escapes."""
    snapshots = {
        (thread, namespace, channel, item.checkpoint["channel_versions"][channel]): value
        for (thread, namespace, _), item in held.items()
        for channel, value in item.checkpoint["channel_values"].items()
        if isinstance(value, _DeltaSnapshot)
    }
    read = copy.deepcopy(held)
    for (thread, namespace, _), item in read.items():
        for channel, version in item.checkpoint["channel_versions"].items():
            found = snapshots.get((thread, namespace, channel, version))
            if found is not None:
                item.checkpoint["channel_values"][channel] = found
    return {
        place: item._replace(
            pending_writes=[
                (task.replace("\\x41", "A"), *rest) for task, *rest in item.pending_writes
            ]
        )
        for place, item in read.items()
    }


async def test_sqlite_to_postgres(
    sqlite_zoo: Path, in_sqlite: Any, new_store: Callable[[], Any], zoo: Any
) -> None:
    store = new_store()
    await moved(sqlite(sqlite_zoo), postgres(store))

    with store.saver() as saver:
        found = zoo.held(saver)
        before = in_sqlite(sqlite_zoo)
        assert len(found) > 80
        assert zoo.differences(as_postgres_reads(before), found) == []
        with SqliteSaver.from_conn_string(str(sqlite_zoo)) as original:
            assert zoo.differences(zoo.resume(original), zoo.resume(saver)) == []


async def test_postgres_to_sqlite(filled: Any, in_sqlite: Any, tmp_path: Path, zoo: Any) -> None:
    path = tmp_path / "copy.db"
    await moved(postgres(filled), sqlite(path))

    with filled.saver() as original:
        before = zoo.held(original)
        assert len(before) > 80
        assert zoo.differences(before, as_postgres_reads(in_sqlite(path))) == []
        with SqliteSaver.from_conn_string(str(path)) as saver:
            assert zoo.differences(zoo.resume(original), zoo.resume(saver)) == []


async def test_postgres_to_sqlite_and_back(
    filled: Any, new_store: Callable[[], Any], tmp_path: Path, zoo: Any
) -> None:
    path, back = tmp_path / "copy.db", new_store()
    await moved(postgres(filled), sqlite(path))
    await moved(sqlite(path), postgres(back))

    with filled.saver() as original, back.saver() as saver:
        assert zoo.differences(zoo.held(original), zoo.held(saver)) == []
        assert zoo.differences(zoo.resume(original), zoo.resume(saver)) == []


async def test_sqlite_to_postgres_and_back(
    sqlite_zoo: Path, in_sqlite: Any, new_store: Callable[[], Any], tmp_path: Path, zoo: Any
) -> None:
    store, path = new_store(), tmp_path / "copy.db"
    await moved(sqlite(sqlite_zoo), postgres(store))
    await moved(postgres(store), sqlite(path))

    before, after = in_sqlite(sqlite_zoo), in_sqlite(path)
    assert zoo.differences(as_postgres_reads(before), as_postgres_reads(after)) == []
    with (
        SqliteSaver.from_conn_string(str(sqlite_zoo)) as original,
        SqliteSaver.from_conn_string(str(path)) as saver,
    ):
        assert zoo.differences(zoo.resume(original), zoo.resume(saver)) == []


@pytest.mark.parametrize("form", ["archive", "ndjson", "ndjson.zst"])
async def test_postgres_through_a_file_and_back(
    filled: Any, new_store: Callable[[], Any], tmp_path: Path, form: str
) -> None:
    """Byte by byte."""
    name, _, suffix = form.partition(".")
    between = lgx.use(name, path=str(tmp_path / f"between.{suffix or name}"))
    back = new_store()

    await moved(postgres(filled), between)
    await moved(between, postgres(back))

    assert back.rows() == filled.rows()


async def test_postgres_through_a_bucket_and_back(
    filled: Any, new_store: Callable[[], Any], s3_server: S3Process
) -> None:
    """Byte by byte."""
    bucket = s3_server.new_bucket()
    between = lgx.use("s3", url=f"s3://{bucket}/kept", endpoint_url=s3_server.endpoint_url)
    back = new_store()
    try:
        await moved(postgres(filled), between)
        await moved(between, postgres(back))
    finally:
        s3_server.remove_bucket(bucket)

    assert back.rows() == filled.rows()


async def test_sqlite_through_an_archive_to_postgres(
    sqlite_zoo: Path, in_sqlite: Any, new_store: Callable[[], Any], tmp_path: Path, zoo: Any
) -> None:
    """An archive holds whole checkpoints as well as split ones."""
    between, store = lgx.use("archive", path=str(tmp_path / "archive")), new_store()

    await moved(sqlite(sqlite_zoo), between)
    await moved(between, postgres(store))

    with store.saver() as saver:
        before = in_sqlite(sqlite_zoo)
        assert zoo.differences(as_postgres_reads(before), zoo.held(saver)) == []


# -- encrypted ---------------------------------------------------------------------------


@pytest.fixture
def encrypted() -> EncryptedSerializer:
    return EncryptedSerializer.from_pycryptodome_aes(key=KEY.encode())


async def test_encrypted_rows_are_copied_within_a_layout_without_a_key(
    new_store: Callable[[], Any], zoo: Any, encrypted: Any
) -> None:
    store, other = new_store(), new_store()
    with store.saver(serde=encrypted) as saver:
        zoo.run(saver)

    await moved(postgres(store), postgres(other))

    assert other.rows() == store.rows()


async def test_doctor_looks_into_encrypted_values_with_the_key_that_it_is_given(
    new_store: Callable[[], Any], tmp_path: Path, zoo: Any, encrypted: Any
) -> None:
    path, store = tmp_path / "encrypted.db", new_store()
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"point": zoo.Point(1, 2.0)}
    checkpoint["channel_versions"] = {"point": "1"}
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with SqliteSaver.from_conn_string(str(path)) as one, store.saver() as other:
        for saver in (one, other):
            saver.serde = encrypted
            saver.put(config, checkpoint, {"source": "input", "step": -1}, {"point": "1"})

    for use in (sqlite, postgres):
        place = path if use is sqlite else store
        told = {
            key: [fact.value for fact in found.facts if fact.name == "imports"]
            for key in (None, KEY)
            for found in [await lgx.probe_async(source=use(place, aes_key=key))]
        }
        assert told[None] == [
            "0 names that LangGraph knows to be harmless",
            "1 values are encrypted, and were not looked into; set LANGGRAPH_AES_KEY to their key",
        ]
        assert told[KEY] == [
            "0 names that LangGraph knows to be harmless",
            f"{zoo.Point.__module__}.Point is imported when the data is loaded",
        ]


async def test_encrypted_rows_change_their_layout_with_the_key_and_stay_encrypted(
    new_store: Callable[[], Any], tmp_path: Path, zoo: Any, encrypted: Any
) -> None:
    path, store = tmp_path / "encrypted.db", new_store()
    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.serde = encrypted
        zoo.run(saver)
        before = zoo.held(saver)

    refused = await lgx.run_async(sqlite(path), postgres(store))
    assert refused.exit_code == 3
    assert refused.threads.failed == refused.threads.listed
    assert all("set LANGGRAPH_AES_KEY" in failure.why for failure in refused.failures)
    assert store.sql("SELECT count(*) FROM checkpoints") == [(0,)]

    await moved(sqlite(path), postgres(store, aes_key=Secret(KEY)))

    with store.saver(serde=encrypted) as saver:
        assert zoo.differences(as_postgres_reads(before), zoo.held(saver)) == []
    inline = store.sql(
        "SELECT count(*) FROM checkpoints AS c, "
        "LATERAL jsonb_each(c.checkpoint -> 'channel_values') AS v WHERE v.value <> 'true'"
    )
    assert inline == [(0,)]
    types = store.sql("SELECT DISTINCT type FROM checkpoint_blobs ORDER BY 1")
    assert [row[0].partition("+")[2] for row in types] == ["aes"] * len(types)


async def test_encrypted_values_of_postgres_come_together_in_sqlite_and_go_apart_again(
    new_store: Callable[[], Any], tmp_path: Path, zoo: Any, encrypted: Any
) -> None:
    store, path, back = new_store(), tmp_path / "encrypted.db", new_store()
    with store.saver(serde=encrypted) as saver:
        zoo.run(saver)
        before = zoo.held(saver)

    await moved(postgres(store), sqlite(path, aes_key=Secret(KEY)))
    await moved(sqlite(path), postgres(back, aes_key=Secret(KEY)))

    with SqliteSaver.from_conn_string(str(path)) as saver:
        saver.serde = encrypted
        assert zoo.differences(before, as_postgres_reads(zoo.held(saver))) == []
    with back.saver(serde=encrypted) as saver:
        assert zoo.differences(before, zoo.held(saver)) == []


# -- what upstream asks of a checkpointer ------------------------------------------------


async def test_upstream_s_conformance_tests_pass_on_tables_that_lgx_made(
    new_store: Callable[[], Any],
) -> None:
    store = new_store()
    async with store.writing():
        pass

    @checkpointer_test(name="postgres")
    async def saver() -> Any:
        async with AsyncPostgresSaver.from_conn_string(store.dsn) as saver:
            yield saver

    report = await validate(saver)

    assert report.passed_all_base(), report.to_dict()


# -- older checkpoints ---------------------------------------------------------------------


def put_old(saver: Any, v: int) -> None:
    """Three checkpoints of that version, of which the first one's tasks sent something."""
    parent: dict[str, Any] = {"configurable": {"thread_id": f"v{v}", "checkpoint_ns": ""}}
    for step in range(3):
        checkpoint: Any = {
            **empty_checkpoint(),
            "v": v,
            "channel_values": {"a": [step]},
            "channel_versions": {"a": saver.get_next_version(None, None)},
            "pending_sends": [],
        }
        parent = saver.put(parent, checkpoint, {"step": step}, checkpoint["channel_versions"])
        if step == 0:
            saver.put_writes(parent, [("__pregel_tasks", Send("node", {"x": 1}))], "task 1", "~b")
            saver.put_writes(parent, [("__pregel_tasks", Send("node", {"x": 2}))], "task 2", "~a")


@pytest.mark.parametrize("v", [1, 2, 3])
async def test_what_tasks_sent_before_version_4_is_found_in_every_layout(
    new_store: Callable[[], Any], in_sqlite: Any, tmp_path: Path, zoo: Any, v: int
) -> None:
    """It lies among the writes of the parent, where PostgresSaver looks for it; SqliteSaver does
    not."""
    store, path, other, back = new_store(), tmp_path / "old.db", new_store(), new_store()
    with store.saver() as saver:
        put_old(saver, v)
        before = zoo.held(saver)

    await moved(postgres(store), postgres(other))
    await moved(postgres(store), sqlite(path))
    await moved(sqlite(path), postgres(back))

    assert other.rows() == store.rows()
    sent = [item.checkpoint["channel_values"].get("__pregel_tasks") for item in before.values()]
    assert sorted(sent, key=str) == [None, None, [Send("node", {"x": 2}), Send("node", {"x": 1})]]
    for after in (in_sqlite(path), _read(back, zoo)):
        assert after.keys() == before.keys()
        for place, item in before.items():
            old, new = item.checkpoint, after[place].checkpoint
            assert new["channel_values"] == old["channel_values"]
            assert (new["v"], new["id"], new["ts"]) == (old["v"], old["id"], old["ts"])
            assert after[place].pending_writes == item.pending_writes


def _read(store: Any, zoo: Any) -> Any:
    with store.saver() as saver:
        return zoo.held(saver)


# -- what proves it ------------------------------------------------------------------------


async def test_verify_finds_no_difference_in_a_copy_and_every_one_in_a_changed_one(
    filled: Any, new_store: Callable[[], Any]
) -> None:
    copy_ = new_store()
    await moved(postgres(filled), postgres(copy_))

    same = await lgx.verify_async(postgres(filled), postgres(copy_))
    copy_.sql("UPDATE checkpoint_writes SET blob = 'x' WHERE thread_id = 'chat'")
    copy_.sql("DELETE FROM checkpoints WHERE thread_id = 'failed'")
    other = await lgx.verify_async(postgres(filled), postgres(copy_))

    assert same.exit_code == 0, same
    assert other.exit_code == 1
    assert {difference.thread_id for difference in other.differences} == {"chat", "failed"}
