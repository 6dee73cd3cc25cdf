"""Records as lines, and the API's states as records: nothing changes on the way."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from lgx import (
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Cron,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
    ThreadError,
    Tombstone,
    UnknownRecord,
    canonical,
    compact,
    decode_history,
    decode_line,
    encode_line,
    from_fields,
    raw,
    record_digest,
    split_array,
    state_to_checkpoint,
    to_fields,
    to_state,
)

ROWS: list[type[Record]] = [RawCheckpoint, ChannelBlob, CheckpointWrite]
OTHERS: list[type[Record]] = [Thread, Checkpoint, Run, Assistant, Cron, StoreItem, Tombstone]
KINDS = OTHERS + ROWS

# -- strategies ----------------------------------------------------------------------

words = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('/.\x00😀\u2028"\\'), max_size=8
)
odd_texts = st.sampled_from(
    [
        '"\\ud800"',
        '{"\\udfff": "\\ud83d"}',
        '"\\u0000\\ud83d\\ude00"',
        "1E+2",
        "-0.0",
        "0.1000000000000000055",
        "1e400",
        str(2**64),
        "9" * 5000,
        '{"a":1,"a":2}',
        '{ "a" : [ 1 , 2 ] }',
        "[" * 3000 + "]" * 3000,
        '{"a":' * 1500 + "null" + "}" * 1500,
    ]
)
plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(words, children, max_size=3),
    max_leaves=6,
)
plain_texts = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only),
    plain_values,
    st.booleans(),
)
raws = (plain_texts | odd_texts).map(lambda text: Raw(text.encode()))


def records_of(cls: type[Record]) -> st.SearchStrategy[Record]:
    """Records of a kind: its required fields, and any of the others."""
    always: dict[str, st.SearchStrategy[Any]] = {}
    sometimes: dict[str, st.SearchStrategy[Any]] = {}
    known = {field.name for field in msgspec.structs.fields(cls)} | {"kind"}
    for field in msgspec.structs.fields(cls):
        if field.name == "extra":
            names = words.filter(lambda name: name not in known)
            sometimes["extra"] = st.dictionaries(names, raws, min_size=1, max_size=3)
        elif field.default is UNSET:
            sometimes[field.name] = raws
        else:
            value = {
                "version": words if cls is ChannelBlob else st.integers(0, 2**40),
                "idx": st.integers(-(2**40), 2**40),
                "blob": st.binary(max_size=8),
                "metadata_blob": st.binary(max_size=8),
                "latest": st.booleans(),
                "namespace": st.lists(words, max_size=3).map(tuple),
            }.get(field.name, words)
            (always if field.required else sometimes)[field.name] = value
    return st.fixed_dictionaries(always, optional=sometimes).map(lambda fields: cls(**fields))


def _unknown(name: str, thread_id: str | None, rest: dict[str, Raw]) -> UnknownRecord:
    fields = {"kind": raw(name)} | rest
    if thread_id is not None:
        fields["thread_id"] = raw(thread_id)
    return UnknownRecord(name=name, thread_id=thread_id, body=raw(fields))


unknown_records = st.builds(
    _unknown,
    words.filter(lambda name: name not in {cls.kind for cls in KINDS}),
    st.none() | words,
    st.dictionaries(words.filter(lambda k: k not in ("kind", "thread_id")), raws, max_size=3),
)
records = st.one_of(*(records_of(cls) for cls in KINDS), unknown_records)
checkpoints = records_of(Checkpoint).filter(
    lambda record: not {"checkpoint", "parent_checkpoint"} & set(_extra(record))
)


def _extra(record: Any) -> dict[str, Raw]:
    extra: dict[str, Raw] = {} if record.extra is UNSET else record.extra
    return extra


# -- lines ---------------------------------------------------------------------------


@given(records)
def test_a_line_gives_back_the_record_byte_for_byte(record: Record) -> None:
    """Unknown fields and kinds, huge numbers, lone surrogates and deep nesting included."""
    line = encode_line(record)
    assert b"\n" not in line
    assert b"\r" not in line
    assert decode_line(line) == record
    assert encode_line(decode_line(memoryview(line))) == line


@given(records)
def test_fields_are_the_line_taken_apart(record: Record) -> None:
    """`to_fields` and `from_fields` are inverse, the kind being one of the fields."""
    fields = to_fields(record)
    assert fields["kind"] == raw(record.name if isinstance(record, UnknownRecord) else record.kind)
    assert record_digest(from_fields(fields)) == record_digest(record)


@given(records_of(Checkpoint), st.sampled_from([b"{\n }", b'["a\\n b",\r\n1.0]', b"\t\r1 "]))
def test_newlines_between_tokens_are_taken_out(record: Checkpoint, value: bytes) -> None:
    """A line stays a line; strings and numbers in it stay as they were."""
    record = msgspec.structs.replace(record, values=Raw(value))
    line = encode_line(record)
    assert b"\n" not in line
    assert b"\r" not in line
    assert to_fields(record)["values"] == Raw(compact(value))
    assert record_digest(decode_line(line)) == record_digest(record)


def test_a_checkpoint_line_has_the_fixed_fields() -> None:
    """Scripts read them; what was not sent is not written, and null is."""
    record = Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c2",
        parent_checkpoint_id="c1",
        created_at="2026-11-20T08:00:00+00:00",
        values=Raw(b'{"n": 1E+2}'),
        next=Raw(b"[]"),
        tasks=UNSET,
        metadata=Raw(b"null"),
        extra={"ttl": Raw(b"5")},
    )
    assert encode_line(record) == (
        b'{"kind":"checkpoint","thread_id":"t","checkpoint_ns":"","checkpoint_id":"c2",'
        b'"parent_checkpoint_id":"c1","created_at":"2026-11-20T08:00:00+00:00",'
        b'"values":{"n": 1E+2},"next":[],"metadata":null,"ttl":5}'
    )


def test_a_thread_line_has_the_fixed_fields() -> None:
    """In the order of the declaration."""
    line = encode_line(
        Thread(
            thread_id="t",
            status="idle",
            metadata=raw({}),
            values=raw(None),
            interrupts=raw({}),
            config=raw({}),
        )
    )
    assert line == (
        b'{"kind":"thread","thread_id":"t","created_at":null,"updated_at":null,"status":"idle",'
        b'"metadata":{},"values":null,"interrupts":{},"config":{}}'
    )


def test_a_row_of_a_checkpointer_has_its_bytes_in_base64() -> None:
    """And only what is not as nearly always."""
    record = CheckpointWrite(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c",
        task_id="a",
        idx=-3,
        channel="__interrupt__",
        type="msgpack",
        blob=b"\xc7\x00\xff",
    )
    assert encode_line(record) == (
        b'{"kind":"checkpoint_write","thread_id":"t","checkpoint_ns":"","checkpoint_id":"c",'
        b'"task_id":"a","idx":-3,"channel":"__interrupt__","type":"msgpack","blob":"xwD/"}'
    )


@pytest.mark.parametrize("line", [b'{"kind":"channel_blob"', b'{ "kind" : "channel_blob"'])
def test_both_roads_read_a_row_alike(line: bytes) -> None:
    """The fast one of rows as lgx writes them, and the one of any JSON."""
    line += b', "thread_id":"t","checkpoint_ns":"","channel":"c","version":"1","type":"bytes"'
    held = ChannelBlob(
        thread_id="t", checkpoint_ns="", channel="c", version="1", type="bytes", blob=b"\0"
    )
    assert decode_line(line + b',"blob":"AA=="}') == held
    assert decode_line(line + b',"blob":"AA==","more":[]}') == msgspec.structs.replace(
        held, extra={"more": Raw(b"[]")}
    )
    for wrong, message in (
        (b',"blob":"AA=","x":1}', "field 'blob' of a channel_blob record is malformed"),
        (b',"blob":"AA=="', "ends in the middle"),
        (b',"channel":"\xff"}', "not UTF-8"),
    ):
        with pytest.raises(ThreadError, match=message):
            decode_line(line + wrong)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "text ends in the middle of a JSON value; it was cut short"),
        (b'{"kind":"thread","thr', "text is not JSON at byte 17: b'\"thr'"),
        (b"[1]", "a JSON object was expected, not b'[1]'"),
        (b'{"kind":"thread"}{}', "text is not JSON at byte 17: b'{}'"),
        (b'{"thread_id":"t"}', 'a record has no "kind"; each line needs one, such as "checkpoint"'),
        (b'{"kind":1}', 'a record has no "kind"; each line needs one, such as "checkpoint"'),
        (b'{"kind":"thread"}', "a thread record lacks 'thread_id'"),
        (
            b'{"kind":"thread","thread_id":7}',
            "field 'thread_id' of a thread record is malformed: Expected `str`, got `int`",
        ),
        (b'{"kind":"x","a":"\xff"}', "a record is not UTF-8 at byte 17"),
        (
            b'{"kind":"thread","thread_id":"t","values":{"a":["\xc3("]}}',
            "a record is not UTF-8 at byte 49",
        ),
        (
            b'{"kind":"thread","thread_id":"t","values":NaN}',
            "text holds NaN at byte 42, which JSON has no form for",
        ),
    ],
)
def test_a_line_that_is_no_record_is_an_error(line: bytes, message: str) -> None:
    """Nothing is guessed, and the message tells what is wrong."""
    with pytest.raises(ThreadError) as caught:
        decode_line(line)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "record",
    [
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=Raw(b'"\xff"')),
        Checkpoint(thread_id="\ud800", checkpoint_ns="", checkpoint_id="c"),
        Thread(thread_id="t", extra={"x": Raw(b'"a\nb"')}),
        UnknownRecord(name="x", thread_id=None, body=Raw(b'{"kind":"x","a":"\xff"}')),
    ],
)
def test_a_record_that_makes_no_line_is_an_error(record: Record) -> None:
    """Bytes that are not UTF-8 and text that would break the line do not get out."""
    with pytest.raises(ThreadError):
        encode_line(record)


# -- states --------------------------------------------------------------------------


def _body(states: list[dict[str, Raw]]) -> bytes:
    return bytes(raw(states))


@given(st.lists(checkpoints, max_size=3), words)
def test_a_history_gives_back_the_checkpoints(records: list[Checkpoint], thread_id: str) -> None:
    """`to_state` and `decode_history` are inverse, and keep the order."""
    records = [msgspec.structs.replace(record, thread_id=thread_id) for record in records]
    assert decode_history(_body([to_state(record) for record in records]), thread_id) == records


places = st.fixed_dictionaries(
    {"checkpoint_id": words, "thread_id": words | st.just("t"), "checkpoint_ns": words},
    optional={"checkpoint_map": st.dictionaries(words, words, max_size=2)},
)


@st.composite
def states(draw: st.DrawFn) -> dict[str, Raw]:
    """States of today's servers, at times with more in them than a record has fields for."""
    place = draw(places)
    parent = draw(st.none() | places)
    fields = {
        "values": draw(raws),
        "next": draw(raws),
        "tasks": draw(raws),
        "metadata": draw(raws),
        "created_at": raw(draw(st.none() | words)),
        "checkpoint": raw(place),
        "parent_checkpoint": raw(parent),
        "interrupts": draw(raws),
        "checkpoint_id": raw(place["checkpoint_id"]),
        "parent_checkpoint_id": raw(parent and parent["checkpoint_id"]),
    }
    for name in draw(st.sets(st.sampled_from(["values", "next", "tasks", "interrupts"]))):
        del fields[name]
    return fields | draw(st.dictionaries(st.sampled_from(["ttl", "extra", "x\x00"]), raws))


@given(states())
def test_a_record_gives_back_the_state(state: dict[str, Raw]) -> None:
    """Also what a record has no field for: a checkpoint map, a parent in another namespace."""
    record = state_to_checkpoint(raw(state), "t")
    assert canonical(raw(to_state(record))) == canonical(raw(state))
    assert decode_line(encode_line(record)) == record


@given(st.lists(states(), max_size=3))
def test_both_roads_read_a_history_alike(history: list[dict[str, Raw]]) -> None:
    """Whether a body is read at once or state by state does not show."""
    body = _body(history)
    assert decode_history(body, "t") == [state_to_checkpoint(x, "t") for x in split_array(body)]


def test_the_bytes_of_a_state_stay_as_they_were() -> None:
    """No number, escape or inner space is written anew."""
    values = b'{"n": 1E+2, "big": 18446744073709551616, "s": "\\u00e9\\/"}'
    body = (
        b'[{"values":' + values + b',"next":[],"tasks":[],"metadata":{},"created_at":null,'
        b'"checkpoint":{"checkpoint_id":"c","thread_id":"t","checkpoint_ns":""},'
        b'"parent_checkpoint":null,"interrupts":[],"checkpoint_id":"c","parent_checkpoint_id":null}]'
    )
    [record] = decode_history(body, "t")
    assert record == Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c",
        values=Raw(values),
        next=Raw(b"[]"),
        tasks=Raw(b"[]"),
        metadata=Raw(b"{}"),
        interrupts=Raw(b"[]"),
    )


def test_a_pretty_printed_history_is_read() -> None:
    """White space of a proxy or a hand goes; the content is the same."""
    state = {"checkpoint": {"checkpoint_id": "c"}, "values": {"a": ["b c"]}}
    pretty = json.dumps([state], indent=2).encode()
    assert [encode_line(r) for r in decode_history(pretty, "t")] == [
        encode_line(r) for r in decode_history(compact(pretty), "t")
    ]


def test_a_state_of_an_older_server_is_read() -> None:
    """Ids may stand beside the values instead of in a checkpoint object."""
    state = {"checkpoint_id": "c2", "parent_checkpoint_id": "c1", "values": {}}
    [record] = decode_history(_body([{key: raw(value) for key, value in state.items()}]), "t")
    assert record == Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c2",
        parent_checkpoint_id="c1",
        values=Raw(b"{}"),
    )


def test_bytes_that_are_no_text_are_found_at_the_latest_when_a_record_is_encoded() -> None:
    """A history is cut up without looking into its values; nothing that is kept is unchecked."""
    place = {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}
    state = json.dumps([{"checkpoint": place, "values": "?", "checkpoint_id": "c"}]).encode()
    [record] = decode_history(state.replace(b"?", b"\xff"), "t")

    with pytest.raises(ThreadError, match="a record is not UTF-8"):
        encode_line(record)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "text ends in the middle of a JSON value; it was cut short"),
        (b'{"detail":"x"}', 'a JSON array was expected, not b\'{"detail":"x"}\''),
        (b"[1]", "a JSON object was expected, not b'1'"),
        (b'[{"values":{}}]', "a state of thread 't' has no checkpoint id"),
        (b'[{"values":"\xff"}]', "the history of thread 't' is not UTF-8 at byte 12"),
        (b'[{"values":1}', "text ends in the middle of a JSON value; it was cut short"),
        (
            b'[{"checkpoint_id":"c","kind":"x"}]',
            "a checkpoint record cannot hold a field named 'kind'",
        ),
    ],
)
def test_a_body_that_is_no_history_is_an_error(body: bytes, message: str) -> None:
    """An answer that was cut short or is something else never passes for an empty one."""
    with pytest.raises(ThreadError) as caught:
        decode_history(body, "t")
    assert str(caught.value) == message
