"""What a checkpointer shows, as records; and checkpointers that show it in ways of their own."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from dataclasses import make_dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

import lgx
from lgx import Query, RawCheckpoint, Stop, UsageError
from lgx.testing import make_context
from lgx_plugins.checkpointers.saver import SaverSource
from lgx_plugins.checkpointers.saver.config import SaverSourceConfig


def put(
    saver: Any, thread_id: str, checkpoint_id: str, parent: str | None = None, ns: str = ""
) -> Any:
    """A checkpoint of a chosen id, with a value that tells it."""
    version = saver.get_next_version(None, None)
    checkpoint = {
        **empty_checkpoint(),
        "id": checkpoint_id,
        "channel_values": {"name": checkpoint_id},
        "channel_versions": {"name": version},
    }
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ns}}
    if parent:
        config["configurable"]["checkpoint_id"] = parent
    return saver.put(config, checkpoint, {"source": "loop", "of": thread_id}, {"name": version})


def _held(saver: InMemorySaver, config: Any) -> Any:
    return saver.get_tuple(config)


@pytest.fixture
def chain(savers: Any) -> Any:
    """A checkpointer with a thread of eight checkpoints, the last two of a subgraph."""
    saver = savers.Odd()
    for at in range(6):
        put(saver, "t", f"c{at}", f"c{at - 1}" if at else None)
    put(saver, "t", "s0", ns="child:1")
    put(saver, "t", "s1", "s0", ns="child:1")
    return saver


NAMES = ["c0", "c1", "c2", "c3", "c4", "c5", "s0", "s1"]


def checkpoints(records: Any) -> list[str]:
    return [one.checkpoint_id for one in records if isinstance(one, RawCheckpoint)]


async def test_a_checkpoint_comes_whole_with_its_metadata_parent_and_numbered_writes(
    savers: Any,
) -> None:
    saver = InMemorySaver()
    config = put(saver, "t", "c1", "c0")
    saver.put_writes(config, [("a", 1), ("__interrupt__", 2), ("b", b"3")], "task", "~path")

    records, ends, losses, notes = await savers.read(saver)

    checkpoint, *writes = records["t"]
    assert (checkpoint.checkpoint_ns, checkpoint.parent_checkpoint_id) == ("", "c0")
    assert json.loads(bytes(checkpoint.metadata)) == {"source": "loop", "of": "t"}
    found = JsonPlusSerializer().loads_typed((checkpoint.type, checkpoint.blob))
    assert found == _held(saver, config).checkpoint
    assert [(one.idx, one.channel, one.type, one.task_path) for one in writes] == [
        (-3, "__interrupt__", "msgpack", None),
        (0, "a", "msgpack", None),
        (1, "b", "bytes", None),
    ]
    assert (ends["t"].outcome, ends["t"].losses, losses) == ("complete", (), [])
    assert [note for note in notes if "task_path" in note] == notes


async def test_the_version_covers_keys_and_bytes_and_no_more(savers: Any, zoo: Any) -> None:
    """It is the same however often it is taken, by the list and by the read; a write that is
    answered under an old id changes it."""
    saver = InMemorySaver()
    put(saver, "other", "o")
    config = put(saver, "t", "c0")
    put(saver, "t", "c1", "c0")

    async def versions() -> dict[str, str]:
        async with savers.source(saver) as source:
            context = make_context()
            refs = [ref async for ref in source.list(Query(), context)]
            for ref in refs:
                *_, end = [item async for item in source.read([ref], context)]
                assert end.version == ref.version
            return {ref.thread_id: ref.version for ref in refs}

    first = await versions()
    assert await versions() == first
    saver.put_writes(config, [("__resume__", {"a", "b", "c"})], "task")
    second = await versions()
    assert (second["other"], second["t"] == first["t"]) == (first["other"], False)
    saver.put_writes(config, [("__resume__", {"a", "b", "d"})], "task")
    assert (await versions())["t"] != second["t"]


async def test_parents_come_before_children_whatever_the_list_s_order_and_ids(savers: Any) -> None:
    saver = InMemorySaver()
    for name, parent in (("z", None), ("m", "z"), ("a", "m"), ("b", "z"), ("y", "a")):
        put(saver, "t", name, parent)

    records, *_ = await savers.read(saver)

    order = checkpoints(records["t"])
    assert sorted(order) == ["a", "b", "m", "y", "z"]
    for child, parent in (("m", "z"), ("a", "m"), ("b", "z"), ("y", "a")):
        assert order.index(parent) < order.index(child)


async def test_threads_come_in_the_order_of_their_bytes(savers: Any, zoo: Any) -> None:
    saver = InMemorySaver()
    for name in (*zoo.AWKWARD, "with \0 in it", ""):
        put(saver, name, "c")

    records, ends, losses, _ = await savers.read(saver)

    assert list(records) == sorted((*zoo.AWKWARD, "with \0 in it", ""), key=str.encode)
    assert {end.outcome for end in ends.values()} == {"complete"}
    assert losses == []


async def test_a_list_that_is_cut_off_is_completed(savers: Any, chain: Any) -> None:
    chain.capped = 2
    records, ends, *_ = await savers.read(chain)
    assert checkpoints(records["t"]) == NAMES
    assert ends["t"].outcome == "complete"


async def test_a_list_that_is_cut_off_is_completed_by_parents_where_nothing_else_tells(
    savers: Any, chain: Any
) -> None:
    chain.capped, chain.unlisted = 2, True
    records, *_ = await savers.read(chain, Query(thread_ids=("t",)))
    assert checkpoints(records["t"]) == NAMES[:6]


async def test_namespaces_that_a_thread_s_list_hides_are_found(savers: Any, chain: Any) -> None:
    chain.one_namespace = True
    records, *_ = await savers.read(chain)
    assert checkpoints(records["t"]) == NAMES


async def test_objects_that_a_list_gives_again_and_again_are_told_apart(
    savers: Any, chain: Any
) -> None:
    chain.shares = True
    records, *_ = await savers.read(chain)
    values = [
        JsonPlusSerializer().loads_typed((one.type, one.blob))["channel_values"]["name"]
        for one in records["t"]
    ]
    assert values == NAMES


async def test_a_list_that_raises_in_the_middle_makes_its_thread_partial(
    savers: Any, chain: Any
) -> None:
    chain.breaks_after = 3
    chain.unlisted = True
    records, ends, *_ = await savers.read(chain, Query(thread_ids=("t",)))
    assert ends["t"].outcome == "partial"
    (loss,) = ends["t"].losses
    assert loss.what == "the rest of it"
    assert "Odd.list raised ConnectionError: the line is dead" in loss.why
    assert checkpoints(records["t"]) == ["c3", "c4", "c5"]


async def test_a_list_of_everything_that_raises_in_the_middle_is_a_loss(
    savers: Any, chain: Any
) -> None:
    chain.breaks_after = 3
    report = await lgx.run_async(savers.use(chain), savers.use(InMemorySaver()))
    assert report.exit_code == 3
    assert any("after 3 checkpoints" in loss.why for loss in report.losses)


async def test_a_checkpointer_that_cannot_list_is_told_so_and_read_by_ids(
    savers: Any, chain: Any, tmp_path: Path
) -> None:
    chain.unlisted = True
    put(chain, "other", "o")
    with pytest.raises(
        UsageError, match=r"cannot list .* ValueError: a thread_id is .*--thread-id"
    ):
        await savers.read(chain)
    lines, in_json = tmp_path / "ids.txt", tmp_path / "ids.json"
    lines.write_text("other\nt\n\n")
    in_json.write_text('["t"]')

    for options, query, threads in (
        ({}, Query(thread_ids=("t",)), ["t"]),
        ({"thread_ids": lines}, Query(), ["other", "t"]),
        ({"thread_ids": lines}, Query(thread_ids=("t", "third")), ["t"]),
        ({"thread_ids": in_json}, Query(), ["t"]),
    ):
        records, ends, losses, _ = await savers.read(chain, query, **options)
        assert list(records) == threads
        assert {end.outcome for end in ends.values()} == {"complete"}
        assert losses == []


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_list_without_end_ends_with_the_run(savers: Any, asynchronous: bool) -> None:
    saver = InMemorySaver()
    item = _held(saver, put(saver, "t", "c"))
    stop, loop = Stop(), asyncio.get_running_loop()
    left: list[str] = []

    def shown(number: int) -> Any:
        if number == 1000:
            loop.call_soon_threadsafe(stop.request)
        given = {**item.config["configurable"], "checkpoint_id": f"c{number}"}
        return item._replace(config={"configurable": given})

    class Endless(InMemorySaver):
        def list(self, config: Any, **options: Any) -> Any:
            try:
                for number in itertools.count():
                    yield shown(number)
            finally:
                left.append("left")

    class AsyncEndless(savers.AsyncOnly):  # type: ignore[misc]
        async def alist(self, config: Any, **options: Any) -> Any:
            try:
                for number in itertools.count():
                    yield shown(number)
            finally:
                left.append("left")

    context = make_context(stop=stop)
    async with savers.source(AsyncEndless() if asynchronous else Endless()) as source:
        assert [item async for item in source.list(Query(), context)] == []
    assert left == ["left"]


async def test_an_empty_list_is_noted(savers: Any) -> None:
    *_, notes = await savers.read(InMemorySaver())
    assert any("gave nothing" in note and "--thread-id" in note for note in notes)


async def test_a_thread_that_has_gone_ends_as_deleted(savers: Any) -> None:
    saver = InMemorySaver()
    put(saver, "t", "c")
    context = make_context()
    async with savers.source(saver) as source:
        (ref,) = [item async for item in source.list(Query(), context)]
        saver.delete_thread("t")
        (end,) = [item async for item in source.read([ref], context)]
    assert end.outcome == "deleted"


async def test_filters_look_at_the_latest_checkpoint(savers: Any) -> None:
    saver = InMemorySaver()
    put(saver, "a", "c0")
    put(saver, "b", "c0")
    wanted = Query(metadata={"of": msgspec.Raw(b'"b"')})
    assert list((await savers.read(saver, wanted))[0]) == ["b"]
    now = datetime.now(UTC).year
    assert list((await savers.read(saver, Query(since=f"{now + 1}-01-01")))[0]) == []
    assert list((await savers.read(saver, Query(until=f"{now + 1}-01-01")))[0]) == ["a", "b"]
    with pytest.raises(UsageError, match="keeps no status"):
        await savers.read(saver, Query(status="idle"))


async def test_what_has_no_form_is_a_loss_and_the_rest_comes(savers: Any) -> None:
    """Metadata that JSON does not know, a checkpoint that no serializer writes, ids that are no
    texts."""
    saver = InMemorySaver()
    config = put(saver, "t", "c0")
    item = _held(saver, config)

    class Giving(InMemorySaver):
        def list(self, config: Any, **options: Any) -> Any:
            yield item._replace(metadata={"at": datetime(2026, 1, 1, tzinfo=UTC), "n": 1})
            bad = {"configurable": {**item.config["configurable"], "checkpoint_id": "c1"}}
            yield item._replace(config=bad, checkpoint={**item.checkpoint, "v": object()})
            yield item._replace(config={"configurable": {"thread_id": 7}})

    records, ends, losses, _ = await savers.read(Giving())

    (checkpoint,) = records["t"]
    assert json.loads(bytes(checkpoint.metadata)) == {"n": 1}
    found = sorted(loss.what for loss in ends["t"].losses)
    assert found == [
        "a checkpoint",
        "checkpoint 'c1' of namespace ''",
        "metadata 'at' of checkpoint 'c0' of namespace ''",
    ]
    assert ["the id of its thread is 7" in loss.why for loss in losses] == [True]


@pytest.mark.parametrize("encrypted", [False, True])
async def test_objects_whose_class_is_not_there_are_a_loss(savers: Any, encrypted: bool) -> None:
    """LangGraph gives what is stored of them, and the checkpointer is what it was afterwards."""
    module: Any = ModuleType("gone_since")
    module.Thing = make_dataclass("Thing", ["x"], namespace={"__module__": "gone_since"})
    module.Thing.__module__ = "gone_since"
    serde: Any = JsonPlusSerializer()
    if encrypted:
        serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0123456789abcdef")
    saver = InMemorySaver(serde=serde)
    sys.modules["gone_since"] = module
    config = put(saver, "t", "c0")
    saver.put_writes(config, [("a", module.Thing(1))], "task")
    put(saver, "other", "c0")
    whole = (await savers.read(saver))[1]
    del sys.modules["gone_since"]
    partial = (await savers.read(saver))[1]

    assert [(end.outcome, end.losses) for end in whole.values()] == [("complete", ())] * 2
    assert (partial["other"].outcome, partial["t"].outcome) == ("complete", "partial")
    (loss,) = partial["t"].losses
    assert loss.what == "objects of gone_since.Thing in checkpoint 'c0' of namespace ''"
    assert saver.serde is serde
    assert type(getattr(serde, "serde", serde)) is JsonPlusSerializer


async def test_a_serializer_of_another_kind_is_noted(savers: Any) -> None:
    class Own(JsonPlusSerializer):
        pass

    *_, notes = await savers.read(InMemorySaver(serde=Own()))
    assert any("not LangGraph's own" in note for note in notes)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("nothing", "not of the form package.module:name"),
        ("no_such_module:make", "module 'no_such_module' .* cannot be imported"),
        ("json:nothing", "names 'nothing', which module json does not have"),
        ("json:JSONDecoder", "gives a json.decoder.JSONDecoder, which is no BaseCheckpointSaver"),
    ],
)
async def test_a_factory_that_gives_no_checkpointer_is_refused(factory: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        async with SaverSource(SaverSourceConfig(factory=factory)):
            pass
