"""What the source finds, in which order, and what it says of what it cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.redis import RedisSaver

from lgx import (
    CheckpointWrite,
    Loss,
    Query,
    RawCheckpoint,
    ThreadEnd,
    UsageError,
    raw,
    run_async,
    use,
)
from lgx.testing import make_context
from lgx_plugins.checkpointers.rows.redisform import plain


async def _listed(store: Any, query: Query | None = None) -> list[Any]:
    async with store.source() as source:
        return [one async for one in source.list(query or Query(), make_context())]


async def test_records_are_the_documents(filled: Any) -> None:
    """Each document once, in its own text, checkpoints before writes, parents before children."""
    documents = filled.json()
    found = await filled.read()
    texts = []
    for records in found.values():
        seen: set[Any] = set()
        writes = False
        for record in records:
            if isinstance(record, RawCheckpoint):
                assert not writes
                parent = record.parent_checkpoint_id
                assert parent is None or (record.checkpoint_ns, parent) in seen
                seen.add((record.checkpoint_ns, record.checkpoint_id))
                texts.append(bytes(record.document))  # type: ignore[arg-type]
            else:
                assert isinstance(record, CheckpointWrite)
                writes = True
                texts.append(record.blob or b"")
    assert sorted(texts) == sorted(text for text in documents.values() if text)
    assert len(found) == 28


async def test_parents_come_first_whatever_the_ids(store: Any) -> None:
    """Ids need not be in the order of time."""
    with store.saver() as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        for name in ("c", "a", "b"):
            config = saver.put(config, {"id": name, "channel_values": {}}, {}, {})
    (records,) = (await store.read()).values()
    assert [record.checkpoint_id for record in records] == ["c", "a", "b"]


async def test_no_index_is_needed(filled: Any) -> None:
    """Threads are found where the search indexes are gone."""
    before = await filled.refs()
    for name in ("checkpoint", "checkpoint_write"):
        filled.client.execute_command("FT.DROPINDEX", name)
    assert await filled.refs() == before


async def test_any_change_is_another_version(store: Any, zoo: Any) -> None:
    """A document that changes, comes or goes; times to live do not count."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
        zoo.put_checkpoint(saver, "u")
    versions = set()
    first = await store.refs()
    (key,) = store.json("checkpoint_write:t:*0")
    for command in (
        ("JSON.SET", key, "$.blob", '"eA=="'),
        ("JSON.SET", key, "$.task_path", '"other"'),
        ("DEL", key),
        ("PEXPIRE", next(iter(store.json("checkpoint:t:*"))), 1_000_000),
    ):
        store.client.execute_command(*command)
        refs = {ref.thread_id: ref.version for ref in await store.refs()}
        versions.add(refs["t"])
        assert refs["u"] == first[1].version
    assert len(versions) == 3
    assert first[0].version not in versions


async def test_filters(store: Any, zoo: Any) -> None:
    """Ids, metadata and times of the latest checkpoint; a status nobody keeps."""
    with store.saver() as saver:
        for name in ("a", "a:b", "*", ""):
            zoo.put_checkpoint(saver, name)
        config: Any = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}
        old = {"id": "9", "ts": "2020-01-01T00:00:00+00:00", "channel_values": {}}
        saver.put(config, old, {"user": {"name": "Zoë", "n": 1}}, {})
    for query, wanted in (
        (Query(thread_ids=("a",)), ["a"]),
        (Query(thread_ids=("*", "", "none")), ["", "*"]),
        (Query(thread_ids=("\ud800",)), []),
        (Query(metadata={"user": raw({"n": 1})}), ["a"]),
        (Query(until="2021-01-01"), ["a"]),
        (Query(since="2021-01-01"), ["", "*", "a:b"]),
    ):
        assert [ref.thread_id for ref in await _listed(store, query)] == wanted
    with pytest.raises(UsageError, match="keeps no status"):
        await _listed(store, Query(status="idle"))


async def test_what_is_no_document_is_told(store: Any, zoo: Any) -> None:
    """Keys of other programs under the same prefix are listed as missing; other types of values,
    such as RedisSaver's own pointers, are passed over."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    for key, text in (
        ("checkpoint:other", '{"a":1}'),
        ("checkpoint:x:y:z", '{"thread_id":"t","checkpoint_ns":"__empty__","checkpoint_id":"1"}'),
        ("checkpoint_write:x", "[]"),
    ):
        store.client.execute_command("JSON.SET", key, "$", text)
    store.client.set("checkpoint:a", "text")
    thread, loss = await _listed(store)
    assert thread.thread_id == "t"
    assert isinstance(loss, Loss)
    assert loss.what.startswith("3 keys: ")
    assert "'checkpoint:x:y:z'" in loss.what


async def test_what_changes_after_it_was_listed(store: Any, zoo: Any) -> None:
    """A thread that is gone ends as deleted; one that changed has the version of what was read."""
    with store.saver() as saver:
        for name in ("a", "b", "c"):
            zoo.put_checkpoint(saver, name)
    context = make_context()
    async with store.source() as source:
        refs = [one async for one in source.list(Query(), context)]
        with store.saver() as saver:
            saver.delete_thread("a")
        (key,) = store.json("checkpoint_write:b:*0")
        store.client.execute_command("JSON.SET", key, "$.blob", '"eA=="')
        ends = {}
        async for item in source.read(refs, context):
            if isinstance(item, ThreadEnd):
                ends[item.thread_id] = item
    assert ends["a"].outcome == "deleted"
    assert (ends["b"].outcome, ends["c"].outcome) == ("complete", "complete")
    again = {ref.thread_id: ref.version for ref in await store.refs()}
    assert ends["b"].version == again["b"] != refs[1].version
    assert ends["c"].version == again["c"] == refs[2].version
    assert context.budget.used == 0


async def test_doctor_names_what_the_data_would_import(filled: Any) -> None:
    """Classes in documents and writes, and those outside of LangGraph's own list as warnings."""
    async with filled.source() as source:
        facts = (await source.probe(make_context())).facts
    values = [fact.value for fact in facts if fact.name == "imports"]
    assert any("harmless" in value for value in values)
    assert [fact.level for fact in facts if "zoo.Point is imported" in fact.value] == ["warn"]
    assert ("checkpoints", "88") in [(fact.name, fact.value) for fact in facts]
    assert any(fact.name == "serializer" and fact.level == "warn" for fact in facts)


async def test_hostile_documents_are_data(store: Any) -> None:
    """What names `os.system` is neither imported nor called, here or in the copy's making: it
    becomes what LangGraph's msgpack has for it, or stays an object."""
    hostile = {
        "call": {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": ["touch /x"]},
        "model": {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"a": 1}},
        "broken": {"lc": 2, "type": "constructor", "id": [1, None], "kwargs": 7},
        "set": {"lc": 2, "type": "constructor", "id": ["builtins", "set"], "kwargs": {}},
        "bytes": {"__bytes__": "***"},
        "send": {"__send__": True, "node": 1, "arg": {"__send__": True}},
        "delta": {"__delta_snapshot__": True},
    }
    with store.saver() as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        saver.put(config, {"id": "1", "channel_values": {}}, {}, {})
    (key,) = store.json("checkpoint:t:*")
    store.client.execute_command(
        "JSON.SET", key, "$.checkpoint.channel_values", msgspec.json.encode(hostile)
    )
    (records,) = (await store.read()).values()
    found = plain(records[0])
    assert (found.type, b"touch /x" in (found.blob or b"")) == ("msgpack", True)
    async with store.source() as source:
        facts = (await source.probe(make_context())).facts
    assert [fact.level for fact in facts if "os.system is imported" in fact.value] == ["warn"]


async def test_early_releases_are_told(store: Any, zoo: Any, tmp_path: Path) -> None:
    """Documents without values, of a time when those lay under keys of their own, fail with a
    sentence where they would have to be translated."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    (key,) = store.json("checkpoint:t:*")
    store.client.execute_command("JSON.DEL", key, "$.checkpoint.channel_values")
    report = await run_async(store.use(), use("sqlite-saver", path=tmp_path / "x.db"))
    assert report.threads.written == 0
    assert "langgraph-checkpoint-redis before 0.1" in report.failures[0].why


async def test_keys_without_sizes(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server does not say how large documents are, they are read one at a time."""
    before = await filled.refs()
    filled.client.execute_command(
        "ACL", "SETUSER", "plain", "on", "nopass", "~*", "+@all", "-json.debug"
    )
    filled.url = filled.url.replace("//", "//plain:x@")
    assert await filled.refs() == before


async def test_prefixes_that_are_patterns(store: Any, zoo: Any) -> None:
    """A prefix is taken literally."""
    with RedisSaver.from_conn_string(store.url, checkpoint_prefix="c*") as saver:
        saver.setup()
        zoo.put_checkpoint(saver, "t")
    with RedisSaver.from_conn_string(store.url, checkpoint_prefix="cx") as saver:
        saver.setup()
        zoo.put_checkpoint(saver, "u")
    async with store.source(checkpoint_prefix="c*", checkpoint_write_prefix="none") as source:
        found = [one.thread_id async for one in source.list(Query(), make_context())]
    assert found == ["t"]
