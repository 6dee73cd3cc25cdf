"""Split checkpoints become the documents that SqliteSaver writes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from msgspec import UNSET, Raw

from lgx import (
    Bundle,
    ChannelBlob,
    CheckpointWrite,
    RawCheckpoint,
    Record,
    Secret,
    ThreadError,
    ThreadRef,
    UsageError,
)
from lgx.testing import make_context
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.joining import Joiner

_KEY = "0123456789abcdef"
_SERDE = JsonPlusSerializer()


@pytest.fixture
def joiner() -> Iterator[Joiner]:
    one = Joiner(Cipher(None))
    yield one
    one.close()


def _split(checkpoint: dict[str, Any], ns: str = "", serde: Any = _SERDE) -> list[Record]:
    """What PostgresSaver makes of a checkpoint: small values inline, the others as blobs; a JSONB
    document has its keys by length."""
    copy = {**checkpoint, "channel_values": dict(checkpoint["channel_values"])}
    blobs: list[Record] = []
    for channel, value in checkpoint["channel_values"].items():
        if not isinstance(value, _DeltaSnapshot) and (
            value is None or isinstance(value, str | int | float)
        ):
            continue
        del copy["channel_values"][channel]
        if isinstance(value, _DeltaSnapshot):
            copy["channel_values"][channel] = True
        type_, blob = serde.dumps_typed(value)
        version = str(checkpoint["channel_versions"][channel])
        blobs.append(_blob(channel, version, type_, blob, ns=ns))
    document = json.dumps(_by_length(copy), ensure_ascii=False)
    return [*blobs, _checkpoint(document, checkpoint["id"], ns=ns)]


def _by_length(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return {key: _by_length(value[key]) for key in keys}
    return [_by_length(one) for one in value] if isinstance(value, list) else value


def _checkpoint(
    document: str, checkpoint_id: str = "c", *, ns: str = "", parent: str | None = None
) -> RawCheckpoint:
    return RawCheckpoint(
        thread_id="t",
        checkpoint_ns=ns,
        checkpoint_id=checkpoint_id,
        parent_checkpoint_id=parent,
        document=Raw(document.encode()),
        metadata=Raw(b"{}"),
    )


def _blob(
    channel: str, version: str, type_: str, blob: bytes | None, *, ns: str = ""
) -> ChannelBlob:
    return ChannelBlob(
        thread_id="t", checkpoint_ns=ns, channel=channel, version=version, type=type_, blob=blob
    )


def _write(parent: str, task: str, path: str, value: Any, idx: int = 0) -> CheckpointWrite:
    type_, blob = _SERDE.dumps_typed(value)
    return CheckpointWrite(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id=parent,
        task_id=task,
        idx=idx,
        channel="__pregel_tasks",
        type=type_,
        blob=blob,
        task_path=path,
    )


def _join(joiner: Joiner, records: Sequence[Record]) -> list[RawCheckpoint]:
    spool = make_context().spool()
    spool.extend(records)
    bundle = Bundle(spool, ref=ThreadRef(thread_id="t", version="1"), mark=None)
    joiner.begin(bundle)
    joined = []
    for record in bundle:
        if isinstance(record, ChannelBlob):
            joiner.keep(record)
        elif isinstance(record, RawCheckpoint):
            joined.append(joiner.join(record))
    bundle.close()
    return joined


def _document(channels: dict[str, Any], inline: dict[str, Any] | None = None, **more: Any) -> str:
    return json.dumps(
        {
            "v": 4,
            "ts": "2026",
            "id": "c",
            "channel_values": inline or {},
            "channel_versions": channels,
            "versions_seen": {},
            **more,
        }
    )


def _loaded(record: RawCheckpoint) -> Any:
    assert record.type is not None
    assert record.blob is not None
    return _SERDE.loads_typed((record.type, record.blob))


async def test_every_checkpoint_of_the_zoo_is_what_the_saver_writes(
    sqlite_zoo: Path, in_sqlite: Any, joiner: Joiner
) -> None:
    """The bytes are those that SqliteSaver's serializer makes of the same checkpoint, fields in
    LangGraph's order, values in the order in which PostgresSaver reads them."""
    count = 0
    for (_, ns, _), held in in_sqlite(sqlite_zoo).items():
        checkpoint = held.checkpoint
        (joined,) = _join(joiner, _split(checkpoint, ns))
        values = checkpoint["channel_values"]
        blobs = [
            channel
            for channel in _by_length(checkpoint["channel_versions"])
            if channel in values
            and not isinstance(values[channel], str | int | float | None)
            and not isinstance(values[channel], _DeltaSnapshot)
        ]
        order = [key for key in _by_length(dict.fromkeys(values)) if key not in blobs] + blobs
        wanted = {key: checkpoint[key] for key in ("v", "ts", "id")}
        wanted["channel_values"] = {channel: values[channel] for channel in order}
        for key in ("channel_versions", "versions_seen"):
            wanted[key] = _by_length(checkpoint[key])
        for key in ("pending_sends", "updated_channels"):
            if key in checkpoint:
                wanted[key] = checkpoint[key]
        assert (joined.type, joined.blob) == _SERDE.dumps_typed(wanted)
        assert joined.document is UNSET
        assert joiner.unused == 0
        count += 1
    assert count == 88


async def test_values_of_every_type(joiner: Joiner) -> None:
    """null, bytes and bytearray become what msgpack has for them; an empty row is no value; of
    inline and blob the blob counts; numbers keep their kind."""
    inline = '{"i": 1, "f": 1.0, "big": 18446744073709551615, "n": null, "over": true, "s": "Zoë"}'
    channels = {"over": "1", "none": "1", "raw": "1", "array": "1", "gone": "1", "lost": "9"}
    document = _document(channels).replace('"channel_values": {}', f'"channel_values": {inline}')
    (joined,) = _join(
        joiner,
        [
            _blob("over", "1", "msgpack", b"\xc7\x01\x07\x90"),
            _blob("none", "1", "null", b""),
            _blob("raw", "1", "bytes", b"\x00\xff"),
            _blob("array", "1", "bytearray", b"\x01"),
            _blob("gone", "1", "empty", None),
            _checkpoint(document),
        ],
    )
    assert joined.type == "msgpack"
    values = _loaded(joined)["channel_values"]
    assert values == {
        "i": 1,
        "f": 1.0,
        "big": 2**64 - 1,
        "n": None,
        "over": _DeltaSnapshot([]),
        "s": "Zoë",
        "none": None,
        "raw": b"\x00\xff",
        "array": b"\x01",
    }
    assert [type(values[key]) for key in ("i", "f")] == [int, float]


async def test_values_are_shared_and_kept_apart(joiner: Joiner) -> None:
    """The same version of a channel serves many checkpoints; another namespace's does not; whole
    numbers count as versions too."""
    records: list[Record] = [
        _blob("a", "1", "msgpack", b"\x01"),
        _blob("a", "2", "msgpack", b"\x02"),
        _blob("a", "1", "msgpack", b"\x03", ns="sub"),
        _blob("b", "1", "msgpack", b"\x04", ns="sub"),
    ]
    for number, (version, ns) in enumerate([(1, ""), ("1", ""), (2, ""), (1, "sub")]):
        document = _document({"a": version, "b": 1})
        records.append(_checkpoint(document, f"c{number}", ns=ns))
    joined = _join(joiner, records)
    values = [_loaded(one)["channel_values"] for one in joined]
    assert values == [{"a": 1}, {"a": 1}, {"a": 2}, {"a": 3, "b": 4}]
    assert joiner.unused == 0
    _join(joiner, records[:5])
    assert joiner.unused == 3


async def test_a_large_thread_lies_on_disk(joiner: Joiner) -> None:
    """More values than memory is to hold are found all the same, and counted."""
    big = b"\xc6\x00\x10\x00\x00" + b"x" * (1 << 20)
    records: list[Record] = [_blob("a", str(n), "msgpack", big[:-1] + b"%d" % n) for n in range(9)]
    records += [_checkpoint(_document({"a": str(n)}), f"c{n}") for n in range(8)]
    joined = _join(joiner, records)
    for number, one in enumerate(joined):
        value = _loaded(one)["channel_values"]["a"]
        assert value[-1:] == b"%d" % number
    assert joiner.unused == 1


@pytest.mark.parametrize("size", [1, 3_000_000], ids=["small", "large"])
async def test_the_order_of_blobs_and_checkpoints_is_of_no_matter(
    size: int, joiner: Joiner
) -> None:
    """Sources give checkpoints first, or values, or some of them."""
    first, second = (
        {
            "v": 4,
            "id": name,
            "channel_values": {"a": [name], "b": b"x" * size, "n": 1},
            "channel_versions": {"a": name, "b": "1", "n": "1", "none": "1"},
        }
        for name in ("one", "two")
    )
    (a1, b1, c1), (a2, _, c2) = _split(first), _split(second)

    wanted = _join(joiner, [a1, b1, a2, c1, c2])

    assert [_loaded(one)["channel_values"] for one in wanted] == [
        first["channel_values"],
        second["channel_values"],
    ]
    for records in ([c1, c2, a1, a2, b1], [a1, c1, b1, c2, a2], [a2, b1, c1, a1, c2]):
        assert _join(joiner, records) == wanted
        assert joiner.unused == 0
    _join(joiner, [c1, a1, b1, a2])
    assert joiner.unused == 1


async def test_sends_of_old_checkpoints_come_from_the_parents_writes(joiner: Joiner) -> None:
    """Before version 4 they are what PostgresSaver puts there when it reads: a value in the order
    of path, task and index, under the highest version."""
    old = json.loads(_document({"a": "1", "b": "2"}, {"a": 1}, pending_sends=[]))
    records: list[Record] = [
        _checkpoint(json.dumps({**old, "v": 1}), "c1", parent="c0"),
        _checkpoint(json.dumps({**old, "v": 3}), "c2", parent="none"),
        _checkpoint(json.dumps({**old, "v": 3}), "c3"),
        _checkpoint(json.dumps({**old, "v": 4}), "c4", parent="c0"),
        _checkpoint(json.dumps({**old, "v": 3, "channel_versions": {}}), "c5", parent="c0"),
        _write("c0", "task 1", "~2", {"b": 2}),
        _write("c0", "task 2", "~1", {"a": 1}),
        _write("c0", "task 1", "~2", None, idx=1),
        _write("other", "task 1", "~2", {"c": 3}),
    ]
    joined = _join(joiner, records)
    documents = [_loaded(one) for one in joined]
    sends = [{"a": 1}, {"b": 2}, None]
    assert documents[0]["channel_values"] == {"a": 1, "__pregel_tasks": sends}
    assert documents[0]["channel_versions"] == {"a": "1", "b": "2", "__pregel_tasks": "2"}
    for document in documents[1:4]:
        assert document["channel_values"] == {"a": 1}
    first = f"{1:032}.{0:016}"
    assert documents[4]["channel_versions"] == {"__pregel_tasks": first}


async def test_json_stays_json_where_all_is(joiner: Joiner) -> None:
    """The values of the JavaScript package, and of old savers, make a document of type "json" of
    their own bytes: what they name is for LangGraph to read."""
    value = b'{"lc": 1, "id": ["a"], "f": 1.10, "big": 123456789012345678901234567890}'
    (joined,) = _join(
        joiner,
        [
            _blob("m", "2", "json", value),
            _blob("n", "1", "null", b""),
            _checkpoint(_document({"m": 2, "n": 1}, {"i": 1})),
        ],
    )
    assert joined.type == "json"
    assert value in (joined.blob or b"")
    document = json.loads(joined.blob or b"")
    assert document["channel_values"] == {"i": 1, "m": json.loads(value), "n": None}
    assert list(document)[:4] == ["v", "ts", "id", "channel_values"]


async def test_json_beside_msgpack(joiner: Joiner) -> None:
    """What stands for nothing but itself goes into the document; what names a class does not."""
    plain = [
        _blob("m", "1", "json", b'[1, 1.0, "x", {"a": null}]'),
        _blob("n", "1", "msgpack", b"\x01"),
        _checkpoint(_document({"m": 1, "n": 1})),
    ]
    (joined,) = _join(joiner, plain)
    values = _loaded(joined)["channel_values"]
    assert values == {"m": [1, 1.0, "x", {"a": None}], "n": 1}
    for name in (b"lc", b"l\\u0063"):
        plain[0] = _blob("m", "1", "json", b'{"%s": 2}' % name)
        with pytest.raises(ThreadError, match="only LangGraph can bring into one document"):
            _join(joiner, plain)
    plain[0] = _blob("m", "1", "json", b'["\\u001b[1m"]')
    (joined,) = _join(joiner, plain)
    assert _loaded(joined)["channel_values"]["m"] == ["\x1b[1m"]


async def test_encrypted_values_need_the_key() -> None:
    """With it they are opened, joined, and sealed again, so that the saver with its
    EncryptedSerializer reads the copy; without it, or with another, the thread fails."""
    encrypted = EncryptedSerializer.from_pycryptodome_aes(key=_KEY.encode())
    checkpoint = {
        **json.loads(_document({"a": "1", "i": "1"})),
        "channel_values": {"a": [1, {"b": b"x"}], "i": 5},
    }
    records = _split(checkpoint, serde=encrypted)
    right = Joiner(Cipher(Secret(_KEY)))
    (joined,) = _join(right, records)
    assert joined.type == "msgpack+aes"
    assert joined.blob is not None
    assert b"ts" not in joined.blob
    read = encrypted.loads_typed((joined.type, joined.blob))
    assert read == checkpoint
    for joiner, words in (
        (Joiner(Cipher(None)), "set LANGGRAPH_AES_KEY to its key"),
        (Joiner(Cipher(Secret("f" * 32))), "encrypted with another key"),
    ):
        with pytest.raises(ThreadError, match=words):
            _join(joiner, records)
        joiner.close()
    records[0] = msgspec.structs.replace(records[0], type="msgpack+other")
    with pytest.raises(ThreadError, match="encrypted by 'other'"):
        _join(right, records)
    with pytest.raises(UsageError, match="has 3 bytes"):
        Cipher(Secret("abc"))
    right.close()


@pytest.mark.parametrize(
    ("type_", "blob", "words"),
    [
        ("msgpack", b"", "is no msgpack"),
        ("msgpack", b"\x92\x01", "is no msgpack"),
        ("msgpack", b"\x01\xa1k\x02", "has bytes after its end"),
        ("msgpack", b"\xc1", "is no msgpack"),
        ("msgpack", b"\xdb\xff\xff\xff\xffx", "is no msgpack"),
        ("msgpack", b"\x91" * 100_000, "is no msgpack"),
        ("msgpack", b"\x91" * 1020 + b"\xc0", "is no msgpack that LangGraph could load"),
        ("msgpack", b"\xa1\xff", "is no msgpack that LangGraph could load"),
        ("msgpack", None, "has no bytes"),
        ("json", b"{", "is no JSON"),
        ("json", b'"\xff"', "is no JSON"),
        ("pickle", b"\x80\x04N.", "which no document of another layout can hold"),
    ],
)
async def test_a_damaged_value_costs_its_thread(
    type_: str, blob: bytes | None, words: str, joiner: Joiner
) -> None:
    """What would break the document, or is of a form that it cannot hold, is named."""
    document = _checkpoint(_document({"a": "1"}))
    with pytest.raises(ThreadError, match=words) as caught:
        _join(joiner, [_blob("a", "1", type_, blob), document])
    assert "channel 'a' of checkpoint 'c'" in str(caught.value)
    (joined,) = _join(joiner, [_blob("a", "2", type_, blob), document])
    assert joined.type == "msgpack"  # no checkpoint refers to it


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("[]", "no JSON object"),
        ('{"v": 4, "channel_values": [1]}', "its channels are no object"),
        ('{"v": 4, "channel_values": {"a": 18446744073709551616}}', "64-bit"),
        ('{"v": 4, "channel_values": {"a": 1e400}}', "no JSON object that can be read"),
    ],
)
async def test_a_document_that_cannot_be_joined(document: str, words: str, joiner: Joiner) -> None:
    """It is named, and nothing of it is guessed."""
    with pytest.raises(ThreadError, match=words):
        _join(joiner, [_checkpoint(document)])
