"""What is read of the tables, in which order, and what tells that it has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres.shallow import ShallowPostgresSaver
from msgspec import Raw

from lgx import ChannelBlob, CheckpointWrite, FatalError, Query, RawCheckpoint, UsageError, raw
from lgx.testing import make_context


@pytest.fixture
def store(new_store: Callable[[], Any]) -> Any:
    """Two threads, the first with two checkpoints, a write and a blob."""
    store = new_store()
    with store.saver():
        pass
    for thread, one, parent, ts in (
        ("t", "1", None, "2026-01-01T00:00:00+00:00"),
        ("t", "2", "1", "2026-01-03T00:00:00+00:00"),
        ("u", "1", None, "2026-01-02T00:00:00+00:00"),
    ):
        store.sql(
            "INSERT INTO checkpoints VALUES ($1, '', $2, $3, NULL, $4, $5)",
            thread,
            one,
            parent,
            json.dumps({"v": 4, "ts": ts, "id": one, "channel_versions": {"a": "1"}}),
            json.dumps({"step": int(one), "user": thread}),
        )
    store.sql("INSERT INTO checkpoint_blobs VALUES ('t', '', 'a', '1', 'bytes', 'abc')")
    store.sql("INSERT INTO checkpoint_blobs VALUES ('t', '', 'b', '1', 'empty', NULL)")
    store.sql(
        "INSERT INTO checkpoint_writes VALUES ('t', '', '2', 'task', 0, 'a', 'bytes', 'x', '~p')"
    )
    return store


async def test_rows_come_as_they_are_checkpoints_then_blobs_then_writes(store: Any) -> None:
    found = await store.read()

    assert [*found] == ["t", "u"]
    document = b'{"v": 4, "id": "%s", "ts": "%s", "channel_versions": {"a": "1"}}'
    assert found["t"] == [
        RawCheckpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="1",
            document=Raw(document % (b"1", b"2026-01-01T00:00:00+00:00")),
            metadata=Raw(b'{"step": 1, "user": "t"}'),
        ),
        RawCheckpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="2",
            parent_checkpoint_id="1",
            document=Raw(document % (b"2", b"2026-01-03T00:00:00+00:00")),
            metadata=Raw(b'{"step": 2, "user": "t"}'),
        ),
        ChannelBlob(
            thread_id="t", checkpoint_ns="", channel="a", version="1", type="bytes", blob=b"abc"
        ),
        ChannelBlob(thread_id="t", checkpoint_ns="", channel="b", version="1", type="empty"),
        CheckpointWrite(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="2",
            task_id="task",
            idx=0,
            channel="a",
            type="bytes",
            blob=b"x",
            task_path="~p",
        ),
    ]


CHANGES = [
    "UPDATE checkpoint_writes SET blob = 'y'",
    "UPDATE checkpoint_writes SET task_path = ''",
    "UPDATE checkpoint_writes SET idx = 1",
    "INSERT INTO checkpoint_writes VALUES ('t', '', '9', 'task', 0, 'a', 'bytes', 'x', '')",
    "DELETE FROM checkpoint_writes",
    "UPDATE checkpoint_blobs SET blob = 'abd' WHERE channel = 'a'",
    "DELETE FROM checkpoint_blobs WHERE channel = 'b'",
    "UPDATE checkpoints SET metadata = '{\"step\": 3}' WHERE thread_id = 't'",
    "UPDATE checkpoints SET parent_checkpoint_id = NULL WHERE thread_id = 't'",
    "DELETE FROM checkpoints WHERE thread_id = 't' AND checkpoint_id = '1'",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_version_covers_every_row_of_its_thread_and_no_other(
    store: Any, change: str
) -> None:
    before = {ref.thread_id: ref.version for ref in await store.refs()}
    again = {ref.thread_id: ref.version for ref in await store.refs()}
    store.sql(change)
    after = {ref.thread_id: ref.version for ref in await store.refs()}

    assert before == again
    assert after["t"] != before["t"]
    assert after["u"] == before["u"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(thread_ids=("u", "none", "a\0b", "\ud800")), ["u"]),
        (Query(thread_ids=("a\0b",)), []),
        (Query(metadata={"user": raw("t")}), ["t"]),
        (Query(metadata={"step": raw(1)}), ["u"]),
        (Query(since="2026-01-03"), ["t"]),
        (Query(until="2026-01-03"), ["u"]),
        (Query(since="2026-01-01", metadata={"user": raw("x")}), []),
    ],
)
async def test_filters_look_at_the_latest_checkpoint(
    store: Any, query: Query, wanted: list[str]
) -> None:
    assert [ref.thread_id for ref in await store.refs(query)] == wanted


async def test_a_status_cannot_be_asked_for(store: Any, new_store: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match="keeps no status"):
        await store.refs(Query(status="idle"))
    with pytest.raises(UsageError, match="keeps no status"):
        await store.copy_to(new_store(), status="idle")


async def test_threads_come_in_the_order_of_their_bytes(store: Any, zoo: Any) -> None:
    for name in zoo.AWKWARD:
        store.sql("INSERT INTO checkpoints VALUES ($1, '', '1', NULL, NULL, '{}', '{}')", name)

    ids = [ref.thread_id for ref in await store.refs()]

    assert ids == sorted([*zoo.AWKWARD, "t", "u"], key=str.encode)


async def test_writes_without_a_checkpoint_are_a_thread_too(store: Any) -> None:
    """They may be committed before it."""
    store.sql("INSERT INTO checkpoint_writes VALUES ('v', '', '1', 'task', 0, 'a', 'null', '', '')")

    assert [ref.thread_id for ref in await store.refs()] == ["t", "u", "v"]
    assert [record.kind for record in (await store.read())["v"]] == ["checkpoint_write"]


async def test_parents_come_first_whatever_their_ids_are(store: Any) -> None:
    """Ids of other programs say nothing about time."""
    for one, parent in (("a", "z"), ("z", "m"), ("m", None), ("b", "a"), ("orphan", "zzz")):
        for namespace in ("", "child:1"):
            store.sql(
                "INSERT INTO checkpoints VALUES ('w', $1, $2, $3, NULL, '{}', '{}')",
                namespace,
                one,
                parent,
            )

    seen: set[tuple[str, str | None]] = set()
    records = (await store.read())["w"]
    names = {record.checkpoint_id for record in records}
    for record in records:
        parent = record.parent_checkpoint_id
        assert parent not in names or (record.checkpoint_ns, parent) in seen
        seen.add((record.checkpoint_ns, record.checkpoint_id))
    assert len(seen) == 10


async def test_a_thread_that_is_not_there_ends_as_deleted(store: Any) -> None:
    refs = await store.refs()
    async with store.source() as source:
        store.sql("DELETE FROM checkpoints WHERE thread_id = 'u'")
        ends = [
            item.outcome
            async for item in source.read(refs, make_context())
            if not hasattr(item, "kind")
        ]
    assert ends == ["complete", "deleted"]


async def test_a_shallow_saver_s_threads_are_read_with_the_ids_that_their_documents_have(
    new_store: Callable[[], Any],
) -> None:
    """And written as whole threads of one checkpoint."""
    store, copy = new_store(), new_store()
    with pytest.deprecated_call(), ShallowPostgresSaver.from_conn_string(store.dsn) as shallow:
        shallow.setup()
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"a": [1, 2], "n": 1}
        checkpoint["channel_versions"] = {"a": "7", "n": "7"}
        config: Any = {"configurable": {"thread_id": "s", "checkpoint_ns": ""}}
        saved = shallow.put(config, checkpoint, {"source": "input"}, {"a": "7", "n": "7"})
        shallow.put_writes(saved, [("a", [3])], "task")
        wanted = shallow.get_tuple(config)

    assert (await store.copy_to(copy)).exit_code == 0

    with copy.saver() as saver:
        found = saver.get_tuple(config)
    assert wanted is not None
    assert (found.checkpoint, found.metadata, found.pending_writes) == (
        wanted.checkpoint,
        wanted.metadata,
        wanted.pending_writes,
    )
    with pytest.raises(UsageError, match="ShallowPostgresSaver"):
        async with store.writing():
            pass


async def test_tables_of_javascript_s_saver_are_read_and_copied(
    new_store: Callable[[], Any],
) -> None:
    """Values of type json, whole numbers as versions, no column task_path, in a schema."""
    store, copy = new_store(), new_store()
    store.sql("""
        CREATE SCHEMA js;
        CREATE TABLE js.checkpoint_migrations (v INTEGER PRIMARY KEY);
        CREATE TABLE js.checkpoints (thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL
            DEFAULT '', checkpoint_id TEXT NOT NULL, parent_checkpoint_id TEXT, type TEXT,
            checkpoint JSONB NOT NULL, metadata JSONB NOT NULL DEFAULT '{}',
            PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
        CREATE TABLE js.checkpoint_blobs (thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL
            DEFAULT '', channel TEXT NOT NULL, version TEXT NOT NULL, type TEXT NOT NULL,
            blob BYTEA, PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
        CREATE TABLE js.checkpoint_writes (thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL
            DEFAULT '', checkpoint_id TEXT NOT NULL, task_id TEXT NOT NULL, idx INTEGER NOT NULL,
            channel TEXT NOT NULL, type TEXT, blob BYTEA NOT NULL,
            PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
        INSERT INTO js.checkpoints VALUES ('j', '', '1', NULL, NULL, '{"v": 4, "id": "1", "ts":
            "2026-01-01T00:00:00Z", "channel_values": {}, "channel_versions": {"a": 3},
            "versions_seen": {}}', '{}');
        INSERT INTO js.checkpoint_blobs VALUES ('j', '', 'a', '3', 'json', '{"x":[1,null]}');
        INSERT INTO js.checkpoint_writes VALUES ('j', '', '1', 't', 0, 'a', 'json', '1');
    """)

    assert (await store.copy_to(copy, source_schema="js")).exit_code == 0

    with copy.saver() as saver:
        (found,) = saver.list(None)
    assert found.checkpoint["channel_values"] == {"a": {"x": [1, None]}}
    assert found.pending_writes == [("t", "a", 1)]


async def test_keys_of_type_uuid_are_read_as_text(store: Any) -> None:
    """As the self-hosted server has them."""
    key = "11111111-1111-4111-8111-111111111111"
    store.sql("UPDATE checkpoints SET thread_id = $1 WHERE thread_id = 't'", key)
    store.sql("DELETE FROM checkpoints WHERE thread_id = 'u'")
    store.sql("ALTER TABLE checkpoints ALTER thread_id TYPE uuid USING thread_id::uuid")
    store.sql("ALTER TABLE checkpoints ADD run_id uuid")
    store.sql("DELETE FROM checkpoint_blobs")
    store.sql("DELETE FROM checkpoint_writes")

    found = await store.read()

    assert [(thread, len(records)) for thread, records in found.items()] == [(key, 2)]
    context = make_context()
    async with store.source() as source:
        refs = [one async for one in source.list(Query(thread_ids=(key,)), context)]
    assert len(refs) == 1
    assert [note.message for note in context.notes.values()] == [
        "column 'run_id' of 'checkpoints' is not LangGraph's, and what it holds does not travel"
    ]


@pytest.mark.parametrize("connections", [1, 3])
async def test_a_connection_that_is_lost_in_the_middle_of_a_thread_costs_nothing(
    store: Any, connections: int
) -> None:
    """The same moment has the same rows, of which those that came are passed over; only the last
    connection takes the moment along."""
    store.sql(
        "INSERT INTO checkpoint_blobs SELECT 'w', '', 'a', n::text, 'bytes', "
        "decode(repeat(md5(n::text), 6400), 'hex') FROM generate_series(1, 60) AS n"
    )
    wanted = (await store.read())["w"]
    refs = [ref for ref in await store.refs() if ref.thread_id == "w"]
    context = make_context()
    found: list[Any] = []
    async with store.source(connections=connections) as source:
        reading = source.read(refs, context)
        found.append(await anext(reading))
        ended = store.sql(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'COPY%checkpoint_blobs%' "
            "AND pid <> pg_backend_pid()"
        )
        assert ended == [(1,)]
        if connections == 1:
            with pytest.raises(FatalError, match="the moment that was being read"):
                found += [item async for item in reading]
            return
        found += [item async for item in reading]

    assert found[:-1] == wanted
    assert found[-1].outcome == "complete"
