"""Each place holds what is put there, in one spot that no other place has."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import ormsgpack
import pytest
from msgspec import Raw, Struct

from lgx import Record, decode_line, encode_line

from . import places

Path = tuple[str, ...]

PLAIN = "jane.doe@example.org"
AWKWARD = 'Zoë "Z" 検索 😀 <zoe@example.org> & +49 30 123456'


def spots(value: Any, text: str, path: Path = ()) -> Iterator[Path]:
    """Where a text stands in a value, however it is wrapped."""
    if isinstance(value, str):
        inner = list(unwrapped(value))
        deeper = [spot for kind, it in inner for spot in spots(it, text, (*path, kind))]
        yield from deeper or ([path] if text in value else [])
    elif isinstance(value, dict):
        if isinstance(value.get("type"), str):  # a tool's content is not a person's
            path = (*path, f"<{value['type']}>")
        for key, item in value.items():
            yield from spots(key, text, (*path, "{key}"))
            yield from spots(item, text, (*path, str(key).replace(text, "{text}")))
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from spots(item, text, (*path, "[]"))


def unwrapped(value: str) -> Iterator[tuple[str, Any]]:
    """What a text is besides: JSON, or text in base64."""
    if value[:1] in ("{", "["):
        with suppress(ValueError):
            yield "json", json.loads(value)
    if len(value) > 12:
        with suppress(ValueError):
            yield (
                "base64",
                base64.b64decode(value.rpartition(";base64,")[2], validate=True).decode(),
            )


def opened(record: Record) -> dict[str, Any]:
    """A record with all that it holds decoded, as one value."""
    fields: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        kind = getattr(record, "type", None) if name == "blob" else "json"
        if isinstance(value, Raw):
            value = json.loads(bytes(value))
        elif isinstance(value, dict):
            value = {key: json.loads(bytes(item)) for key, item in value.items()}
        elif isinstance(value, bytes):
            value = unpacked(value) if kind == "msgpack" else json.loads(value)
        fields[name] = value
    return fields


def unpacked(data: bytes) -> Any:
    """msgpack with LangGraph's extensions as values: their payload is msgpack, too."""
    return ormsgpack.unpackb(
        data,
        ext_hook=lambda code, payload: {f"ext {code}": unpacked(payload)},
        option=ormsgpack.OPT_NON_STR_KEYS,
    )


def found(record: Record, text: str) -> list[Path]:
    """Where a text stands in what a line holds that was written of the record."""
    read = decode_line(encode_line(record))
    return [(read.kind, *spot) for spot in spots(opened(read), text)]


@pytest.mark.parametrize("text", [PLAIN, AWKWARD])
@pytest.mark.parametrize("name", [*places.PLACES, *places.IDENTITIES])
def test_a_place_holds_the_text_in_one_spot(name: str, text: str) -> None:
    build = {**places.PLACES, **places.IDENTITIES}[name]
    assert len(found(build(text, 1), text)) == 1
    assert found(build("something else", 1), text) == []


def test_fifty_places_are_all_different() -> None:
    """No two have their text at the same path of records of the same kind."""
    everywhere = {**places.PLACES, **places.IDENTITIES}
    where = {name: tuple(found(build(PLAIN, 1), PLAIN)) for name, build in everywhere.items()}
    assert len(places.PLACES) == 50
    assert len(set(where.values())) == len(where) == 54


def test_places_are_of_every_kind_of_record_that_holds_text() -> None:
    kinds = {build(PLAIN, 1).kind for build in places.PLACES.values()}
    assert kinds == {
        *("thread", "checkpoint", "raw_checkpoint", "channel_blob", "checkpoint_write"),
        *("run", "assistant", "cron", "store_item"),
    }


@pytest.mark.parametrize("name", places.PLACES)
def test_records_of_two_numbers_stand_side_by_side(name: str) -> None:
    """They have ids of their own, so that no sink takes the one for the other."""
    build = places.PLACES[name]
    ids = ("thread_id", "checkpoint_id", "run_id", "assistant_id", "cron_id", "namespace")

    def identity(record: Struct) -> list[Any]:
        return [getattr(record, field) for field in ids if hasattr(record, field)]

    assert identity(build(PLAIN, 1)) == identity(build("other", 1))
    assert identity(build(PLAIN, 1)) != identity(build(PLAIN, 2))


def test_a_place_is_built_the_same_each_time() -> None:
    for build in places.PLACES.values():
        assert encode_line(build(AWKWARD, 7)) == encode_line(build(AWKWARD, 7))


def test_an_escaped_text_is_not_in_the_bytes() -> None:
    """Who looks through raw bytes alone misses it."""
    line = encode_line(places.PLACES["state/escaped"](PLAIN, 1))
    assert b"@" not in line
    assert msgspec.json.decode(line)["values"] == {"note": PLAIN}
