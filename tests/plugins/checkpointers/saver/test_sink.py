"""What is put into a checkpointer, what stands there already, and what may not be loaded."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

import lgx
from lgx import CheckpointWrite, RawCheckpoint, ThreadError, UsageError
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.saver.loading import Allowed, Loader


class Recording(InMemorySaver):
    """Keeps the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        given = config["configurable"]
        place = (given["checkpoint_ns"], given.get("checkpoint_id"), checkpoint["id"])
        self.calls.append((*place, dict(new_versions)))
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = config["configurable"]["checkpoint_id"]
        self.calls.append((place, task_id, task_path, list(writes)))
        super().put_writes(config, writes, task_id, task_path)


def whole(
    checkpoint_id: str, parent: str | None = None, ns: str = "", /, **values: Any
) -> RawCheckpoint:
    """A checkpoint with values of channels, each by its version and what it is."""
    checkpoint = {
        **empty_checkpoint(),
        "id": checkpoint_id,
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": {name: one[1] for name, one in values.items() if len(one) > 1},
        "channel_versions": {name: one[0] for name, one in values.items()},
    }
    type_, blob = JsonPlusSerializer().dumps_typed(checkpoint)
    return RawCheckpoint(
        thread_id="t",
        checkpoint_ns=ns,
        checkpoint_id=checkpoint_id,
        parent_checkpoint_id=parent,
        type=type_,
        blob=blob,
        metadata=lgx.raw({"step": 1}),
    )


def write(idx: int, channel: str, value: Any, task: str = "task", path: str = "") -> Any:
    type_, blob = JsonPlusSerializer().dumps_typed(value)
    return CheckpointWrite(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c1",
        task_id=task,
        idx=idx,
        channel=channel,
        type=type_,
        blob=blob,
        task_path=path,
    )


CHAIN = (
    whole("c0", a=("1", "x"), empty=("1",)),
    whole("c1", "c0", a=("1", "x"), b=("2", [1]), empty=("2",)),
    whole("c2", "c0", a=("3", "y"), empty=("1",)),
    whole("s0", None, "child:1", a=("1", "s")),
    whole("c9", "gone", a=("9", "z"), empty=("9",)),
)


async def test_checkpoints_are_put_with_their_parents_and_what_is_new_in_them(savers: Any) -> None:
    saver = Recording()
    writes = (
        write(-3, "__interrupt__", "i", "one", "~2"),
        write(0, "a", 1, "one", "~2"),
        write(1, "a", 2, "one", "~2"),
        write(0, "a", 3, "two", "~1"),
    )

    (outcome,) = await savers.write(saver, (*CHAIN, *reversed(writes)))

    assert (outcome.error, outcome.losses, outcome.written) == (None, (), True)
    assert saver.calls == [
        ("", None, "c0", {"a": "1"}),
        ("", "c0", "c1", {"b": "2", "empty": "2"}),
        ("", "c0", "c2", {"a": "3"}),
        ("child:1", None, "s0", {"a": "1"}),
        ("", "gone", "c9", {"a": "9"}),
        ("c1", "two", "~1", [("a", 3)]),
        ("c1", "one", "~2", [("a", 1), ("a", 2), ("__interrupt__", "i")]),
    ]


# -- what stands there ---------------------------------------------------------------------


async def test_what_stands_there_with_the_same_content_is_left(savers: Any) -> None:
    """Though the values come in another order, and sets with other bytes."""
    saver = Recording()
    await savers.write(saver, CHAIN)
    saver.calls.clear()

    (outcome,) = await savers.write(saver, CHAIN)

    assert (outcome.error, outcome.losses, outcome.written) == (None, (), False)
    assert saver.calls == []


async def test_an_earlier_state_of_a_thread_is_replaced(savers: Any, zoo: Any) -> None:
    """A copy that was cut short is one, too."""
    saver, fresh = Recording(), InMemorySaver()
    await savers.write(saver, CHAIN[:2])
    (outcome,) = await savers.write(saver, (*CHAIN, write(0, "a", 1)))
    await savers.write(fresh, (*CHAIN, write(0, "a", 1)))

    assert (outcome.error, outcome.written) == (None, True)
    assert zoo.differences(zoo.held(fresh), zoo.held(saver)) == []


async def test_other_content_stays_unless_it_is_to_be_replaced(savers: Any, zoo: Any) -> None:
    saver = Recording()
    await savers.write(saver, CHAIN)
    before = zoo.held(saver)
    other = whole("c0", a=("1", "another"))

    (failed,) = await savers.write(saver, (other,))
    (skipped,) = await savers.write(saver, (other,), on_conflict="skip")
    assert "--sink-on-conflict replace or skip" in failed.error
    assert (skipped.error, skipped.written, skipped.losses[0].left) == (None, False, True)
    assert zoo.differences(before, zoo.held(saver)) == []

    (replaced,) = await savers.write(saver, (other,), on_conflict="replace")
    assert (replaced.error, replaced.written) == (None, True)
    assert [place[2] for place in zoo.held(saver)] == ["c0"]


async def test_what_a_list_does_not_show_is_neither_overwritten_nor_taken_for_lost(
    savers: Any, zoo: Any
) -> None:
    """It may be cut off, and show one namespace."""
    saver = savers.Odd()
    saver.capped, saver.one_namespace = 1, True
    chain = (whole("c0"), whole("c1", "c0"), whole("c2", "c1"), whole("s0", None, "child:1"))
    (written,) = await savers.write(saver, chain)
    assert (written.error, written.losses) == (None, ())
    assert len(zoo.held(saver)) == 4

    (outcome,) = await savers.write(saver, (chain[2], whole("c3", "c2")))

    assert "with content that is no part of what comes" in outcome.error
    assert len(zoo.held(saver)) == 4


async def test_a_thread_that_cannot_be_removed_is_not_replaced_by_another(
    savers: Any, zoo: Any
) -> None:
    """But it is completed."""
    saver = savers.Odd()
    saver.undeletable = True
    await savers.write(saver, CHAIN[:2])
    before = zoo.held(saver)

    (refused,) = await savers.write(saver, CHAIN[1:], on_conflict="replace")
    assert "has no delete_thread" in refused.error
    assert zoo.differences(before, zoo.held(saver)) == []
    (completed,) = await savers.write(saver, CHAIN)
    assert (completed.error, completed.losses) == (None, ())
    assert len(zoo.held(saver)) == len(CHAIN)


@pytest.mark.parametrize("undeletable", [False, True])
async def test_a_thread_whose_writing_breaks_off_is_taken_away_or_told_of(
    savers: Any, zoo: Any, undeletable: bool
) -> None:
    saver = savers.Odd()
    saver.put_breaks_after, saver.undeletable = 2, undeletable

    (outcome,) = await savers.write(saver, CHAIN)

    assert "Odd.put raised ConnectionError: the line is dead" in outcome.error
    if undeletable:
        assert "part of it stands there" in outcome.error
        assert len(zoo.held(saver)) == 2
    else:
        assert "nothing of it stands there" in outcome.error
        assert zoo.held(saver) == {}
    saver.put_breaks_after = None
    (again,) = await savers.write(saver, CHAIN)
    assert (again.error, again.losses) == (None, ())
    assert len(zoo.held(saver)) == len(CHAIN)


async def test_a_cancelled_write_leaves_nothing(savers: Any, zoo: Any) -> None:
    reached = asyncio.Event()

    class Slow(savers.AsyncOnly):  # type: ignore[misc]
        async def aput(self, *args: Any) -> Any:
            if len(self.inner.storage["t"][""]) == 2:
                reached.set()
                await asyncio.Event().wait()
            return await super().aput(*args)

    saver = Slow()
    task = asyncio.create_task(savers.write(saver, CHAIN))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert zoo.held(saver.inner) == {}


async def test_what_a_checkpointer_does_not_give_back_is_a_loss(savers: Any) -> None:
    class Forgetful(InMemorySaver):
        def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
            new_versions.pop("b", None)
            return super().put(config, checkpoint, metadata, new_versions)

    (outcome,) = await savers.write(Forgetful(), CHAIN)

    assert outcome.error is None
    (loss,) = outcome.losses
    assert loss.holdable
    assert "does not give them back as they were put, first checkpoint 'c1'" in loss.why


async def test_a_dry_run_says_what_would_become_of_threads_and_changes_nothing(
    savers: Any, memory: InMemorySaver
) -> None:
    saver = Recording()
    await savers.write(saver, (whole("c0"),))
    saver.calls.clear()
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    memory.put(config, {**empty_checkpoint(), "id": "c5"}, {"step": 1}, {})
    report = await lgx.run_async(
        savers.use(memory), savers.use(saver, allow_modules=("all",)), dry_run=True
    )
    assert [failure.thread_id for failure in report.failures] == ["t"]
    assert saver.calls == []


async def test_threads_are_forgotten(savers: Any, zoo: Any) -> None:
    saver, fixed = InMemorySaver(), savers.Odd()
    await savers.write(saver, CHAIN)
    async with savers.sink(saver) as sink:
        await sink.forget(["t", "unknown"])
    assert zoo.held(saver) == {}
    fixed.undeletable = True
    async with savers.sink(fixed) as sink:
        with pytest.raises(UsageError, match="no delete_thread"):
            await sink.forget(["t"])


# -- what may not be loaded ----------------------------------------------------------------


def hostile(module: str, name: str, argument: str) -> RawCheckpoint:
    call = ormsgpack.packb([module, name, argument])
    blob = ormsgpack.packb({"id": "c0", "channel_values": {"a": ormsgpack.Ext(0, call)}})
    return RawCheckpoint(
        thread_id="t", checkpoint_ns="", checkpoint_id="c0", type="msgpack", blob=blob
    )


async def test_what_data_names_is_not_imported_unless_it_is_allowed(
    savers: Any, zoo: Any, tmp_path: Path
) -> None:
    """In checkpoints and in writes; the thread fails with the modules, the others go on."""
    saver = InMemorySaver()
    touched = tmp_path / "touched"
    named = hostile("os", "mkdir", str(touched))
    in_write = CheckpointWrite(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c0",
        task_id="task",
        idx=0,
        channel="a",
        type="msgpack",
        blob=ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(["os", "mkdir", str(touched)]))),
    )

    for records in ((named,), (CHAIN[0], in_write)):
        (outcome,) = await savers.write(saver, records, allow_modules=("pathlib,collections",))
        assert "have os imported and called (os.mkdir)" in outcome.error
        assert "--sink-allow-modules os" in outcome.error
        assert zoo.held(saver) == {}
        assert not touched.exists()


def test_nothing_is_loaded_that_was_not_looked_at(tmp_path: Path) -> None:
    """Whoever asks for a value without asking for its names first gets an error."""
    touched = tmp_path / "touched"
    record = hostile("os", "mkdir", str(touched))
    loader = Loader(Allowed(()), Cipher(None), JsonPlusSerializer())
    with pytest.raises(ThreadError, match=r"it names os\.mkdir, which may not be imported"):
        loader.value(record.type, record.blob, "it")
    assert not touched.exists()


async def test_classes_of_modules_that_are_allowed_come_as_they_are(
    savers: Any, memory: InMemorySaver, zoo: Any
) -> None:
    copy = InMemorySaver()
    source = savers.use(memory)
    refused = await lgx.run_async(source, savers.use(copy))
    assert [failure.thread_id for failure in refused.failures] == ["values"]
    assert f"--sink-allow-modules {zoo.__name__}" in refused.failures[0].why
    assert not any(place[0] == "values" for place in zoo.held(copy))

    report = await lgx.run_async(source, savers.use(copy, allow_modules=("json", zoo.__name__)))
    assert (report.exit_code, report.threads.written) == (0, 1)
    assert zoo.differences(zoo.held(memory), zoo.held(copy)) == []


async def test_pickles_are_loaded_only_where_everything_is_allowed(savers: Any) -> None:
    serde = JsonPlusSerializer(pickle_fallback=True)
    type_, blob = "pickle", pickle.dumps(5)
    rows = (
        *CHAIN[:2],
        lgx.CheckpointWrite(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="c1",
            task_id="x",
            idx=0,
            channel="a",
            type=type_,
            blob=blob,
        ),
    )
    saver = InMemorySaver(serde=serde)
    (refused,) = await savers.write(saver, rows, allow_modules=("builtins",))
    assert "pickle" in refused.error
    (written,) = await savers.write(saver, rows, allow_modules=("all",))
    assert (written.error, written.losses) == (None, ())


async def test_a_class_that_is_not_there_fails_its_thread(savers: Any, zoo: Any) -> None:
    """LangGraph would put what it finds in the bytes in place of the object."""
    (gone,) = await savers.write(
        InMemorySaver(), (hostile("no_such", "Thing", "x"),), allow_modules=("no_such",)
    )
    assert "needs no_such.Thing, which cannot be imported here" in gone.error


async def test_a_class_that_no_longer_takes_what_was_stored_fails_its_thread(savers: Any) -> None:
    module: Any = ModuleType("changed_since")
    module.Thing = type("Thing", (), {"__module__": "changed_since"})
    sys.modules["changed_since"] = module
    try:
        (changed,) = await savers.write(
            InMemorySaver(), (hostile("changed_since", "Thing", "x"),), allow_modules=("all",)
        )
    finally:
        del sys.modules["changed_since"]
    assert "objects of changed_since.Thing cannot be made" in changed.error


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (lambda: RawCheckpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c"), "no type"),
        (
            lambda: RawCheckpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="c", type="msgpack", blob=b"\x93"
            ),
            "",
        ),
        (
            lambda: RawCheckpoint(
                thread_id="t", checkpoint_ns="", checkpoint_id="c", type="msgpack", blob=b"\x80"
            ),
            "no checkpoint of LangGraph's",
        ),
        (lambda: lgx.Run(thread_id="t", run_id="r"), "no place for"),
        (
            lambda: lgx.RawCheckpoint(
                thread_id="t",
                checkpoint_ns="",
                checkpoint_id="other",
                type="msgpack",
                blob=CHAIN[0].blob,
            ),
            "says that its id is 'c0'",
        ),
    ],
)
async def test_records_that_are_no_checkpoints_fail_their_thread(
    savers: Any, zoo: Any, record: Callable[[], Any], words: str
) -> None:
    saver = InMemorySaver()
    (outcome,) = await savers.write(saver, (record(),))
    assert words in outcome.error
    assert zoo.held(saver) == {}


# -- what does not fit ---------------------------------------------------------------------


async def test_states_of_a_server_are_refused_without_a_graph(savers: Any) -> None:
    with pytest.raises(UsageError, match="which saver takes only with --sink-graph"):
        await lgx.run_async(lgx.use("cloud", url="http://127.0.0.1:9"), savers.use(InMemorySaver()))


async def test_the_source_itself_is_refused(savers: Any) -> None:
    factory = savers.name(InMemorySaver())
    with pytest.raises(UsageError, match="is the source, too"):
        await lgx.run_async(lgx.use("saver", factory=factory), lgx.use("saver", factory=factory))


async def test_a_saver_without_any_method_says_so(savers: Any) -> None:
    (outcome,) = await savers.write(BaseCheckpointSaver(), CHAIN)
    assert "raised NotImplementedError" in outcome.error
