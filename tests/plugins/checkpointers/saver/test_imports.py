"""What `lgx doctor` tells of names in what a checkpointer holds."""

from __future__ import annotations

import sys
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgx.testing import make_context


def _call(module: str, name: str) -> bytes:
    payload = ormsgpack.packb((module, name, "touch /lgx-was-here"))
    return b"\xc7" + bytes((len(payload), 0)) + payload


def _fill(saver: Any) -> Any:
    """One thread, in which hostile bytes stand in place of a value, a write and metadata."""
    version = saver.get_next_version(None, None)
    checkpoint = {
        **empty_checkpoint(),
        "channel_values": {"a": {1, 2}},
        "channel_versions": {"a": version},
    }
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    put = saver.put(config, checkpoint, {"source": "loop"}, {"a": version})
    saver.put_writes(put, [("a", 1)], "task")
    return saver


def _spoil(saver: Any) -> None:
    sealed = isinstance(saver.serde, EncryptedSerializer)

    def stored(blob: bytes) -> tuple[str, bytes]:
        if not sealed:
            return "msgpack", blob
        name, data = saver.serde.cipher.encrypt(blob)
        return f"msgpack+{name}", data

    for value in saver.blobs:
        saver.blobs[value] = stored(_call("os", "system"))
    for rows in saver.writes.values():
        for key, (task, channel, _, path) in rows.items():
            rows[key] = (task, channel, stored(b"\x92" + _call("turtle", "Pen") + b"\xc1"), path)
    for namespaces in saver.storage.values():
        for rows in namespaces.values():
            for key, (checkpoint, _, parent) in rows.items():
                rows[key] = (checkpoint, stored(b"\x81\xa1a" + _call("this", "s")), parent)


async def _imports(savers: Any, saver: Any) -> list[tuple[str, str]]:
    async with savers.source(saver) as source:
        facts = (await source.probe(make_context())).facts
    return [(fact.value, fact.level) for fact in facts if fact.name == "imports"]


@pytest.mark.parametrize("sealed", [False, True])
async def test_every_name_is_told_and_none_is_imported(
    savers: Any, caplog: pytest.LogCaptureFixture, *, sealed: bool
) -> None:
    """In values, writes and metadata; also in what is damaged, and what was encrypted. LangGraph's
    log has nothing to add."""
    serde: Any = JsonPlusSerializer()
    if sealed:
        serde = EncryptedSerializer.from_pycryptodome_aes(serde, key=b"0123456789abcdef")
    saver = _fill(InMemorySaver(serde=serde))
    _spoil(saver)

    imports = await _imports(savers, saver)

    suffix = "is imported when the data is loaded"
    assert imports[1:4] == [
        (f"os.system {suffix}", "warn"),
        (f"this.s {suffix}", "warn"),
        (f"turtle.Pen {suffix}", "warn"),
    ]
    assert imports[4][0].startswith("1 values cannot be read: a msgpack value is damaged")
    assert len(imports) == 5
    assert not {"this", "turtle"} & {*sys.modules}
    assert saver.serde is serde
    assert caplog.records == []


async def test_what_is_harmless_is_named_and_the_checkpointer_reads_on_as_before(
    savers: Any,
) -> None:
    saver = _fill(savers.Odd())
    async with savers.source(saver) as source:
        facts = (await source.probe(make_context())).facts
    imports = [fact.value for fact in facts if fact.name == "imports"]
    assert imports == ["1 name that LangGraph knows to be harmless: builtins.set"]
    (found,) = saver.list(None)
    assert found.checkpoint["channel_values"] == {"a": {1, 2}}


async def test_it_is_told_where_not_all_can_be_looked_into(savers: Any) -> None:
    """By a checkpointer that lists no threads, and one with a serializer of its own."""

    class Own:
        def __init__(self) -> None:
            self.inner = JsonPlusSerializer()

        def dumps_typed(self, value: Any) -> tuple[str, bytes]:
            return self.inner.dumps_typed(value)

        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            return self.inner.loads_typed(data)

    unlisted = _fill(savers.Odd())
    unlisted.unlisted = True
    assert [text.partition(":")[0] for text, _ in await _imports(savers, unlisted)] == [
        "0 names that LangGraph knows to be harmless",
        "not all values could be looked into",
    ]
    (foreign,) = await _imports(savers, _fill(InMemorySaver(serde=Own())))
    assert foreign == (
        "what its values import cannot be told: only its own serializer reads them",
        "warn",
    )
