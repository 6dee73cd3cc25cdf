"""Rows that nobody honest wrote: their thread fails by an error of lgx's own, and no other."""

from __future__ import annotations

import json
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from msgspec import Raw

from lgx import Bundle, ChannelBlob, CheckpointWrite, RawCheckpoint, ThreadError, ThreadRef
from lgx.testing import make_context
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.rows.splitting import Splitter
from lgx_plugins.checkpointers.serde import meaning

_DOCUMENT: dict[str, Any] = {
    "v": 3,
    "id": "1",
    "ts": "2026-01-01T00:00:00+00:00",
    "channel_values": {"a": [{1, 2}, "x"], "b": b"y", "n": 5, "f": 1.5, "d": _DeltaSnapshot([1])},
    "channel_versions": {"a": "1", "b": "2", "n": 3, "f": 1.5, "d": "1"},
    "versions_seen": {"node": {"a": "1"}},
    "pending_sends": [["x"]],
}
_PLAIN = {**_DOCUMENT, "channel_values": {"a": ["x"], "n": 5, "f": 1.5}}

_Change = tuple[float, int, bytes]
_CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=4)), max_size=3
)


def _changed(data: bytes, changes: list[_Change]) -> bytes:
    for at, cut, put in changes:
        place = int(at * len(data))
        data = data[:place] + put + data[place + cut :]
    return data


@pytest.fixture(
    params=[250, pytest.param(10_000, marks=pytest.mark.nightly)], ids=["short", "long"]
)
def examples(request: pytest.FixtureRequest) -> int:
    """How many a fuzzing test tries."""
    count: int = request.param
    return count


def _joined(records: list[Any]) -> None:
    spool = make_context().spool()
    try:
        spool.extend(records)
    except ThreadError:  # whoever reads it fails as well
        return
    bundle = Bundle(spool, ref=ThreadRef(thread_id="t", version="1"), mark=None)
    with closing(bundle), closing(Joiner(Cipher(None))) as joiner, suppress(ThreadError):
        joiner.begin(bundle)
        for record in bundle:
            if isinstance(record, RawCheckpoint):
                joiner.join(record)


@pytest.mark.parametrize("kind", ["msgpack", "json"])
def test_damaged_documents_are_cut_up_or_refused(kind: str, examples: int) -> None:
    """Bytes changed, cut out and put in, anywhere; what comes out can be joined, or is refused."""
    whole = (
        JsonPlusSerializer().dumps_typed(_DOCUMENT)[1]
        if kind == "msgpack"
        else json.dumps(_PLAIN).encode()
    )

    @settings(max_examples=examples, deadline=None)
    @given(changes=_CHANGES)
    def check(changes: list[_Change]) -> None:
        record = RawCheckpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="1",
            type=kind,
            blob=_changed(whole, changes),
        )
        with closing(Splitter("t", Cipher(None))) as splitter:
            try:
                split = splitter.split(record)
            except ThreadError:
                return
        _joined([split.record, *split.blobs])

    check()


def test_damaged_values_and_documents_are_joined_or_refused(examples: int) -> None:
    """Of every type, also what was sent before version 4."""
    document = json.dumps({**_PLAIN, "channel_values": {"n": 5}}).encode()
    values = [JsonPlusSerializer().dumps_typed(_DOCUMENT["channel_values"]["a"])[1], b'{"a": [1]}']

    @settings(max_examples=examples, deadline=None)
    @given(
        changes=_CHANGES,
        others=_CHANGES,
        kind=st.sampled_from(["msgpack", "json", "bytes", "null", "empty", "msgpack+aes", "x"]),
        value=st.sampled_from([*values, None]),
    )
    def check(
        changes: list[_Change], others: list[_Change], kind: str, value: bytes | None
    ) -> None:
        blob = None if value is None else _changed(value, others)
        text = _changed(document, changes)
        _joined(
            [
                RawCheckpoint(
                    thread_id="t",
                    checkpoint_ns="",
                    checkpoint_id="1",
                    parent_checkpoint_id="0",
                    document=Raw(text),
                ),
                ChannelBlob(
                    thread_id="t", checkpoint_ns="", channel="a", version="1", type=kind, blob=blob
                ),
                CheckpointWrite(
                    thread_id="t",
                    checkpoint_ns="",
                    checkpoint_id="0",
                    task_id="task",
                    idx=0,
                    channel="__pregel_tasks",
                    type=kind,
                    blob=blob,
                ),
            ]
        )

    check()


def test_whatever_the_bytes_they_mean_something(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(changes=_CHANGES)
    def check(changes: list[_Change]) -> None:
        blob = _changed(JsonPlusSerializer().dumps_typed(_DOCUMENT)[1], changes)
        assert meaning(blob) == meaning(bytes(blob))

    check()
