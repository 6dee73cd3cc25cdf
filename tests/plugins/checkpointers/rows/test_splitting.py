"""Whole checkpoints taken apart: nothing of their values is encoded again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.types import Send
from msgspec import Raw

from lgx import ChannelBlob, RawCheckpoint, Secret, ThreadError
from lgx_plugins.checkpointers.rows import seen
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.splitting import Split, Splitter

KEY = "0123456789abcdef"
serde = JsonPlusSerializer()


@pytest.fixture
def splitter() -> Iterator[Splitter]:
    one = Splitter("t", Cipher(None))
    yield one
    one.close()


def whole(
    values: dict[str, Any], *, one: str = "1", kind: str = "msgpack", **fields: Any
) -> RawCheckpoint:
    """A checkpoint as SqliteSaver keeps it, each value under version "1" of its channel."""
    checkpoint = {
        "v": 4,
        "ts": "2026-01-01T00:00:00+00:00",
        "id": one,
        "channel_values": values,
        "channel_versions": dict.fromkeys(values, "1"),
        "versions_seen": {"__input__": {}, "n": {"a": "1"}},
        "updated_channels": None,
        **fields,
    }
    if kind == "json":
        blob = json.dumps(checkpoint).encode()
    else:
        kind, blob = serde.dumps_typed(checkpoint)
    return RawCheckpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id=one,
        parent_checkpoint_id="0",
        type=kind,
        blob=blob,
        metadata=Raw(b'{"step":1}'),
    )


def document(split: Split) -> Any:
    return json.loads(bytes(split.record.document))  # type: ignore[arg-type]


def blob(channel: str, value: Any, version: str = "1") -> ChannelBlob:
    type_, data = serde.dumps_typed(value)
    return ChannelBlob(
        thread_id="t", checkpoint_ns="", channel=channel, version=version, type=type_, blob=data
    )


def test_the_last_of_duplicate_fields_counts(splitter: Splitter) -> None:
    """As LangGraph loads it: bytes that no honest program wrote, and nothing that it does not
    show."""
    fields = (
        b"\xaechannel_values\x82\xa1b\x91\x01\xa1a\x91\x02"
        b"\xadpending_sends\x91\x01\xadpending_sends\x90"
        b"\xb0channel_versions\x81\xa1b\xa13"
        b"\xaechannel_values\x82\xa1a\x91\x03\xa1a\x91\x04"
        b"\xb0channel_versions\x81\xa1a\xa11"
    )
    record = whole({})

    split = splitter.split(msgspec.structs.replace(record, blob=b"\x86" + fields))

    assert document(split) == {
        "pending_sends": [],
        "channel_values": {},
        "channel_versions": {"a": "1"},
    }
    assert (split.blobs, split.losses) == ([blob("a", [4])], [])


def test_all_but_the_values_is_json_and_the_record_s_other_fields_stay(splitter: Splitter) -> None:
    split = splitter.split(whole({"a": [1]}))

    assert split.record == msgspec.structs.replace(
        whole({}), type=None, blob=None, document=split.record.document
    )
    assert document(split) == {
        "v": 4,
        "ts": "2026-01-01T00:00:00+00:00",
        "id": "1",
        "channel_values": {},
        "channel_versions": {"a": "1"},
        "versions_seen": {"__input__": {}, "n": {"a": "1"}},
        "updated_channels": None,
    }
    assert (split.blobs, split.losses) == ([blob("a", [1])], [])


INLINE = [
    None,
    True,
    False,
    0,
    127,
    128,
    -1,
    -32,
    -33,
    -(1 << 15),
    1 << 40,
    (1 << 63) - 1,
    -(1 << 63),
    "",
    'Zoë 🎈 \u2028 \\ "',
    "x" * 31,
    "x" * 32,
    "x" * 300,
    "x" * 70_000,
]


@pytest.mark.parametrize("value", INLINE, ids=lambda value: repr(value)[:20])
def test_what_jsonb_keeps_exactly_stays_in_the_document(splitter: Splitter, value: Any) -> None:
    split = splitter.split(whole({"a": value}))

    held = document(split)["channel_values"]
    assert (held, type(held["a"])) == ({"a": value}, type(value))
    assert split.blobs == []


APART = [
    0.5,
    1e16,
    -0.0,
    float("nan"),
    1 << 63,
    "a\0b",
    b"",
    b"abc",
    b"x" * 300,
    b"x" * 70_000,
    [],
    {},
    [None, {"a": b"x"}],
    {1: "a"},
    {1, 2, 3},
    Send("node", {"x": 1}),
]


@pytest.mark.parametrize("value", APART, ids=lambda value: repr(value)[:20])
def test_all_else_is_the_blob_that_the_serializer_would_make_of_it(
    splitter: Splitter, value: Any
) -> None:
    split = splitter.split(whole({"a": value}))

    assert split.blobs == [blob("a", value)]
    assert document(split)["channel_values"] == {}


def test_a_snapshot_is_a_blob_and_marked_in_the_document(splitter: Splitter) -> None:
    """As PostgresSaver marks it, which looks for it there."""
    for size in (1, 20, 300, 70_000):
        snapshot = _DeltaSnapshot(["x" * size])
        split = splitter.split(whole({f"d{size}": snapshot}))
        assert split.blobs == [blob(f"d{size}", snapshot)]
        assert document(split)["channel_values"] == {f"d{size}": True}


def test_a_value_comes_once_for_each_version(splitter: Splitter) -> None:
    first = splitter.split(whole({"a": [1], "b": [2]}))
    again = splitter.split(
        whole({"a": [1], "b": [3]}, one="2", channel_versions={"a": "1", "b": 2})
    )

    assert [one.channel for one in first.blobs] == ["a", "b"]
    assert again.blobs == [blob("b", [3], "2")]
    assert document(again)["channel_versions"] == {"a": "1", "b": 2}


def test_another_value_under_the_same_version_fails_the_thread_and_names_the_channel(
    splitter: Splitter,
) -> None:
    splitter.split(whole({"a": [1]}))
    with pytest.raises(ThreadError, match="'2' of namespace '' has another value of channel 'a'"):
        splitter.split(whole({"a": [2]}, one="2"))


def _set(*items: Any, name: str = "set") -> ormsgpack.Ext:
    return ormsgpack.Ext(0, ormsgpack.packb(["builtins", name, list(items)]))


def _packed(value: Any) -> RawCheckpoint:
    fields = {"id": "1", "channel_values": {"a": value}, "channel_versions": {"a": "1"}}
    return msgspec.structs.replace(whole({}), blob=ormsgpack.packb(fields))


def test_the_same_set_in_another_order_is_the_same_value(splitter: Splitter) -> None:
    """Python orders the elements anew in each process; also deep inside of other values."""

    def inside(*items: Any) -> Any:
        model = ormsgpack.Ext(5, ormsgpack.packb(["m", "Order", {"tags": _set(*items)}, "v"]))
        return [{"x": model}, _set("é", name="frozenset")]

    assert len(splitter.split(_packed(inside("a", "b", "c"))).blobs) == 1
    assert splitter.split(_packed(inside("c", "a", "b"))).blobs == []
    for other in (inside("a", "b"), inside("a", "b", "d"), [*reversed(inside("a", "b", "c"))]):
        with pytest.raises(ThreadError, match="another value"):
            splitter.split(_packed(other))


def test_what_was_seen_is_known_again_when_it_lies_on_disk(
    splitter: Splitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "_IN_MEMORY", 2)
    values = {f"c{number}": [number] for number in range(7)} | {"s": {1, 2}}

    assert len(splitter.split(whole(values)).blobs) == 8
    assert splitter.split(whole(values)).blobs == []
    with pytest.raises(ThreadError, match="channel 'c0'"):
        splitter.split(whole({"c0": [9]}))


def test_a_value_without_a_version_is_told_unless_it_can_stand_in_the_document(
    splitter: Splitter,
) -> None:
    """PostgresSaver itself would leave it out without a word."""
    split = splitter.split(whole({"a": [1], "n": 1}, channel_versions={}))

    assert document(split)["channel_values"] == {"n": 1}
    assert split.blobs == []
    assert [(loss.what, loss.holdable) for loss in split.losses] == [
        ("value of channel 'a' in checkpoint '1' of namespace ''", False)
    ]


def test_what_was_sent_before_version_4_becomes_the_value_of_a_channel(splitter: Splitter) -> None:
    """As LangGraph itself migrates it, under the newest version."""
    sends = [Send("node", 1)]
    versions = {"a": "1", "b": "2"}
    split = splitter.split(whole({"a": [1]}, v=3, channel_versions=versions, pending_sends=sends))
    none = splitter.split(whole({}, v=3, pending_sends=[]))

    assert split.blobs == [blob("a", [1]), blob("__pregel_tasks", sends, "2")]
    assert document(split)["channel_versions"] == {**versions, "__pregel_tasks": "2"}
    assert "pending_sends" not in document(split)
    assert document(none)["pending_sends"] == []


def test_documents_in_json_are_taken_apart_as_json(splitter: Splitter) -> None:
    """Of old savers, and of JavaScript's: whole numbers as versions."""
    values = {
        "n": 1,
        "big": 1 << 70,
        "half": 0.5,
        "text": "Zoë",
        "nul": "a\0",
        "none": None,
        "list": [1, {"lc": 2}],
    }
    split = splitter.split(whole(values, kind="json", channel_versions=dict.fromkeys(values, 3)))

    assert document(split)["channel_values"] == {"n": 1, "text": "Zoë", "none": None}
    assert {one.channel: (one.type, one.version) for one in split.blobs} == dict.fromkeys(
        ("big", "half", "nul", "list"), ("json", "3")
    )
    for one in split.blobs:
        assert one.blob is not None
        assert json.loads(one.blob) == values[one.channel]


def test_encrypted_documents_become_encrypted_values_and_nothing_is_left_in_clear() -> None:
    """PostgresSaver itself would leave text and numbers in clear."""
    encrypted = EncryptedSerializer.from_pycryptodome_aes(key=KEY.encode())
    plain = whole({"a": [1], "text": "secret", "n": 5})
    assert plain.blob is not None
    type_, data = encrypted.dumps_typed(serde.loads_typed((plain.type or "", plain.blob)))
    sealed = msgspec.structs.replace(plain, type=type_, blob=data)

    splitter = Splitter("t", Cipher(Secret(KEY)))
    split = splitter.split(sealed)
    again = splitter.split(sealed)
    splitter.close()

    assert {
        one.channel: encrypted.loads_typed((one.type, one.blob or b"")) for one in split.blobs
    } == {"a": [1], "text": "secret", "n": 5}
    assert {one.type for one in split.blobs} == {"msgpack+aes"}
    assert document(split)["channel_values"] == {}
    assert again.blobs == []
    for key, why in ((None, "set LANGGRAPH_AES_KEY"), ("f" * 16, "another key")):
        other = Splitter("t", Cipher(None if key is None else Secret(key)))
        with pytest.raises(ThreadError, match=why):
            other.split(sealed)
        other.close()


REFUSED = {
    "pickle": (msgspec.structs.replace(whole({}), type="pickle"), "of type 'pickle'"),
    "no type": (msgspec.structs.replace(whole({}), type=None), "none whose type is known"),
    "no document": (msgspec.structs.replace(whole({}), blob=None), "no document"),
    "cut short": (
        msgspec.structs.replace(whole({}), blob=(whole({"a": "xyz"}).blob or b"")[:-5]),
        "no checkpoint in msgpack; copy it as it is, into tables of its own layout or an archive",
    ),
    "empty": (msgspec.structs.replace(whole({}), blob=b""), "no checkpoint in msgpack"),
    "more than one": (
        msgspec.structs.replace(whole({}), blob=(whole({}).blob or b"") * 2),
        "something follows its end",
    ),
    "a list": (msgspec.structs.replace(whole({}), blob=b"\x90"), "no checkpoint in msgpack"),
    "a length that lies": (
        msgspec.structs.replace(whole({}), blob=b"\x81\xaechannel_values\xdf\xff\xff\xff\xff"),
        "no checkpoint in msgpack",
    ),
    "nested deep": (
        msgspec.structs.replace(
            whole({}), blob=b"\x81\xaechannel_values\x81\xa1a" + b"\x91" * 100_000 + b"\x90"
        ),
        "no checkpoint in msgpack",
    ),
    "a set beside the values": (whole({}, odd={1}), "what JSON has no form for"),
    "bytes beside the values": (whole({}, odd=b"x"), "what JSON has no form for"),
    "a version that is a list": (whole({"a": [1]}, channel_versions={"a": [1]}), "the version"),
    "a version of a number": (whole({}, channel_versions={1: "1"}), "whose name is no text"),
    "no JSON": (msgspec.structs.replace(whole({}, kind="json"), blob=b'{"a":'), "is not|cut short"),
    "sends of version 4": (whole({}, pending_sends=[1]), "in the way of versions before 4"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_apart_fails_the_thread_and_says_why(
    splitter: Splitter, case: str
) -> None:
    record, why = REFUSED[case]
    with pytest.raises(ThreadError, match=why):
        splitter.split(record)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(values=st.dictionaries(st.text(), _VALUES, max_size=4))
def test_what_is_read_of_both_parts_is_what_was_one(values: dict[str, Any]) -> None:
    """As PostgresSaver reads it: what is inline, and over that the blobs. Numbers of the same
    value and other types are told apart."""
    splitter = Splitter("t", Cipher(None))
    split = splitter.split(whole(values))
    splitter.close()

    read = document(split)["channel_values"]
    for one in split.blobs:
        read[one.channel] = serde.loads_typed((one.type, one.blob or b""))
    assert serde.dumps_typed(dict(sorted(read.items()))) == serde.dumps_typed(
        dict(sorted(values.items()))
    )


@given(data=st.data())
def test_damaged_documents_raise_their_own_error_alone(data: st.DataObject) -> None:
    blob = bytearray(whole({"a": [1, {"b": b"x"}], "n": 5, "t": "text"}).blob or b"")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(blob) - 1))
        blob[at] = data.draw(st.integers(0, 255))
    damaged = bytes(blob[: data.draw(st.integers(0, len(blob)))])
    splitter = Splitter("t", Cipher(None))
    with contextlib.suppress(ThreadError):
        splitter.split(msgspec.structs.replace(whole({}), blob=damaged))
    with contextlib.suppress(ThreadError):
        splitter.split(msgspec.structs.replace(whole({}), type="json", blob=damaged))
    splitter.close()
