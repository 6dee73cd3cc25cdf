"""Copies by way of the interface, and what graphs make of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph

import lgx
from lgx import Secret

ALL = ("all",)
KEY = "0123456789abcdef"


class Said(TypedDict, total=False):
    said: str


@pytest.fixture
def same(zoo: Any) -> Callable[..., None]:
    """Asserts that two checkpointers hold the same, and that graphs go on with both alike."""

    def check(original: Any, copy: Any) -> None:
        before = zoo.held(original)
        assert len(before) > 80
        assert zoo.differences(before, zoo.held(copy)) == []
        assert zoo.differences(zoo.resume(original), zoo.resume(copy)) == []

    return check


async def test_from_memory_to_sqlite_and_back(
    savers: Any, memory: Any, same: Any, tmp_path: Path
) -> None:
    path, back = tmp_path / "copy.db", InMemorySaver()
    await savers.moved(savers.use(memory), lgx.use("sqlite-saver", path=path))
    await savers.moved(lgx.use("sqlite-saver", path=path), savers.use(back, allow_modules=ALL))

    with SqliteSaver.from_conn_string(str(path)) as saver:
        assert len(list(saver.list(None))) > 80
    await asyncio.to_thread(same, memory, back)


async def test_from_memory_through_an_archive_to_memory(
    savers: Any, memory: Any, same: Any, tmp_path: Path
) -> None:
    between, back = lgx.use("archive", path=tmp_path / "archive"), InMemorySaver()
    await savers.moved(savers.use(memory), between)
    await savers.moved(between, savers.use(back, allow_modules=ALL))

    await asyncio.to_thread(same, memory, back)


async def test_from_a_sync_checkpointer_to_an_async_one_and_back(
    savers: Any, sqlite_zoo: Path, same: Any, tmp_path: Path
) -> None:
    """SqliteSaver, as a context manager, to AsyncSqliteSaver, as an async one."""
    between, path = tmp_path / "between.db", tmp_path / "back.db"
    original = savers.use(lambda: SqliteSaver.from_conn_string(str(sqlite_zoo)))
    asynchronous = savers.name(lambda: AsyncSqliteSaver.from_conn_string(str(between)))
    back = savers.use(lambda: SqliteSaver.from_conn_string(str(path)), allow_modules=ALL)
    await savers.moved(original, lgx.use("saver", factory=asynchronous, allow_modules=ALL))
    await savers.moved(lgx.use("saver", factory=asynchronous), back)

    with (
        SqliteSaver.from_conn_string(str(sqlite_zoo)) as one,
        SqliteSaver.from_conn_string(str(path)) as other,
    ):
        same(one, other)


async def test_a_checkpointer_that_is_async_only_is_read_and_written(
    savers: Any, memory: Any, same: Any
) -> None:
    saver, back = savers.AsyncOnly(), InMemorySaver()
    await savers.moved(savers.use(memory), savers.use(saver, allow_modules=ALL))
    await savers.moved(savers.use(saver), savers.use(back, allow_modules=ALL))

    await asyncio.to_thread(same, memory, back)


async def test_verify_compares_a_checkpointer_with_a_copy_of_it(
    savers: Any, memory: Any, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    source, copy = savers.use(memory), lgx.use("sqlite-saver", path=path)
    await savers.moved(source, copy)

    found = await lgx.verify_async(source, copy)
    assert found.equal, found.differences[:3]
    memory.delete_thread("chat")
    found = await lgx.verify_async(source, copy)
    assert [one.thread_id for one in found.differences] == ["chat"]


async def test_split_checkpoints_come_together(savers: Any, filled: Any, zoo: Any) -> None:
    """PostgresSaver's rows go into memory as PostgresSaver reads them."""
    copy = InMemorySaver()
    await savers.moved(
        lgx.use("postgres-saver", dsn=filled.dsn), savers.use(copy, allow_modules=ALL)
    )

    with filled.saver() as original:
        assert zoo.differences(_by_id(zoo.held(original)), _by_id(zoo.held(copy))) == []


def _by_id(held: Any) -> Any:
    """Tasks in the order of their ids, which PostgresSaver takes backslashes of for escapes."""
    return {
        place: item._replace(
            pending_writes=[
                (task.replace("\\x41", "A"), *rest) for task, *rest in item.pending_writes
            ]
        )
        for place, item in held.items()
    }


async def test_encrypted_checkpoints_are_opened_with_the_key(
    savers: Any, zoo: Any, tmp_path: Path
) -> None:
    """What comes from a checkpointer that encrypts is encrypted, anew each time, and yet has the
    same version."""
    serde = EncryptedSerializer.from_pycryptodome_aes(key=KEY.encode())
    original, copy = InMemorySaver(serde=serde), InMemorySaver()
    for name in ("one", "two"):
        zoo.put_checkpoint(original, name)
    source, archive = savers.use(original), lgx.use("archive", path=tmp_path / "archive")
    await savers.moved(source, archive)
    again = await lgx.run_async(source, archive)
    assert (again.threads.unchanged, again.threads.written) == (2, 0)

    refused = await lgx.run_async(archive, savers.use(copy))
    assert refused.threads.failed == 2
    assert all("LANGGRAPH_AES_KEY" in failure.why for failure in refused.failures)
    await savers.moved(archive, savers.use(copy, aes_key=Secret(KEY)))

    assert zoo.differences(zoo.held(original), zoo.held(copy)) == []


async def test_parallel_writes_to_a_channel_keep_their_order(
    savers: Any, zoo: Any, tmp_path: Path
) -> None:
    """Tasks are replayed in the order of their paths; a copy without the paths keeps the order."""
    original = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    zoo.put_checkpoint(original, "t")
    (item,) = original.list(None)
    for task, path in (("a", "~3"), ("b", "~2"), ("c", "~1")):
        original.put_writes(item.config, [("log", task), ("__error__", task)], task, path)
    path_, back = tmp_path / "copy.db", InMemorySaver()
    await savers.moved(savers.use(original), lgx.use("sqlite-saver", path=path_))
    await savers.moved(lgx.use("sqlite-saver", path=path_), savers.use(back))

    found: Any = back.get_tuple(config)
    assert [write[:2] for write in found.pending_writes] == [
        ("c", "__error__"),
        ("c", "log"),
        ("b", "__error__"),
        ("b", "log"),
        ("a", "__error__"),
        ("a", "log"),
        ("task", "name"),
        ("task", "in"),
    ]
    with SqliteSaver.from_conn_string(str(path_)) as saver:
        assert zoo.differences(zoo.held(original), zoo.held(saver)) == []


async def test_a_graph_that_lives_on_async_checkpointers_is_copied_from_an_async_factory(
    savers: Any,
) -> None:
    """The factory is awaited, entered and left on the event loop."""
    graph: Any = StateGraph(Said)
    graph.add_node("say", lambda _: {"said": "yes"})
    graph.add_edge(START, "say")
    original, copy = savers.AsyncOnly(), savers.AsyncOnly()
    await graph.compile(checkpointer=original).ainvoke(
        {"said": "no"}, {"configurable": {"thread_id": "t"}}
    )
    trail: list[str] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        trail.append("entered")
        await asyncio.sleep(0)
        yield original
        trail.append("left")

    async def made() -> Any:
        await asyncio.sleep(0)
        return copy

    await savers.moved(savers.use(opened), savers.use(made))

    assert trail == ["entered", "left"]
    before = await graph.compile(checkpointer=original).aget_state(
        {"configurable": {"thread_id": "t"}}
    )
    after = await graph.compile(checkpointer=copy).aget_state({"configurable": {"thread_id": "t"}})
    assert before == after
