"""The scanner finds the values that Python's json module finds, whatever the pieces."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgx import ThreadError
from lgx_plugins.json import scanner as module
from lgx_plugins.json.scanner import Scanner, UnreadableRestError


async def in_pieces(text: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for begin in range(0, len(text), size):
        yield text[begin : begin + size]


def scanner_of(text: bytes | str, size: int = 7) -> Scanner:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return Scanner(in_pieces(data, size))


async def walk(scanner: Scanner) -> object:
    """The whole document, taken apart by the scanner down to what is no container."""
    opening = await scanner.peek()
    if opening == b"{":
        found = {}
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            found[key] = await walk(scanner)
            more = await scanner.another(b"{")
        return found
    if opening == b"[":
        items = []
        more = await scanner.enter(b"[")
        while more:
            items.append(await walk(scanner))
            more = await scanner.another(b"[")
        return items
    return json.loads(await scanner.value())


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"))
documents = st.recursive(
    plain | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=30,
)
indents = st.sampled_from([None, 0, 2])
sizes = st.integers(1, 40)


@given(documents, indents, sizes, st.booleans())
async def test_a_walk_gives_the_document(
    document: object, indent: int | None, size: int, escaped: bool
) -> None:
    """Down to every scalar, with any white space, cut into pieces of any size."""
    text = json.dumps(document, indent=indent, ensure_ascii=escaped)
    assert await walk(scanner_of(text, size)) == document


@given(st.lists(documents, max_size=5), indents, sizes)
async def test_values_are_the_text_between_the_commas(
    items: list[object], indent: int | None, size: int
) -> None:
    """Whole containers too, byte for byte as they stand."""
    text = json.dumps(items, indent=indent)
    scanner = scanner_of(text, size)
    found = []
    more = await scanner.enter(b"[")
    while more:
        found.append(await scanner.value())
        more = await scanner.another(b"[")
    assert [json.loads(value) for value in found] == items
    assert all(value in text.encode() for value in found)
    assert await scanner.peek() == b""


@given(documents, indents, sizes)
async def test_skipping_ends_where_walking_ends(
    document: object, indent: int | None, size: int
) -> None:
    """To any depth; what follows is read as if nothing had been skipped."""
    text = json.dumps([document, "end"], indent=indent)
    for depth in range(4):
        scanner = scanner_of(text, size)
        await scanner.enter(b"[")
        await scanner.skip(depth)
        assert await scanner.another(b"[")
        assert await scanner.value() == b'"end"'


@settings(max_examples=60)
@given(st.lists(documents, min_size=1, max_size=4), sizes)
async def test_the_slow_road_finds_the_same_values(items: list[object], size: int) -> None:
    """Where msgspec does not name the byte, brackets are followed one by one."""
    text = json.dumps(items)
    slow = scanner_of(text, size)
    more = await slow.enter(b"[")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_shift", lambda: None)
        while more:
            found.append(json.loads(await slow.value()))
            more = await slow.another(b"[")
    assert found == items


@given(documents.filter(lambda item: isinstance(item, dict | list)), st.data())
async def test_a_document_that_is_cut_is_never_taken_for_a_whole_one(
    document: object, data: st.DataObject
) -> None:
    """Cut at any byte, reading it as one value or part by part tells that its rest is missing."""
    text = json.dumps(document).encode()
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(UnreadableRestError):
        await walk(scanner_of(cut))
    with pytest.raises(UnreadableRestError):
        await scanner_of(cut).value()


def test_msgspec_still_names_the_byte_after_a_value() -> None:
    """The fast road rests on its message; without it scanning is right, but slow."""
    assert module._shift() == 1


@pytest.mark.parametrize(
    "value",
    [
        '{"text": "\\ud800"}',
        '["\\udc00\\ud800", "]"]',
        "[" * 5000 + "]" * 5000,
        '{"a": {"b": "}\\"]"}}',
        "1e400",
        "-0.0",
        "18446744073709551616",
    ],
    ids=["lone", "lone-twice", "deep", "brackets", "huge", "zero", "big"],
)
async def test_what_msgspec_refuses_though_it_is_legal_is_found(value: str) -> None:
    """Lone surrogates and deep nesting, with more after them, byte for byte."""
    scanner = scanner_of(f'[{value} , "next"]')
    await scanner.enter(b"[")
    assert await scanner.value() == value.encode()
    assert await scanner.another(b"[")
    assert await scanner.value() == b'"next"'


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"a": NaN}', "text holds NaN at byte 6"),
        ("[1, -Infinity]", "text holds -Infinity at byte 4"),
        ("NaN", "text holds NaN at byte 0"),
        ('{"a" 1}', "text is not JSON at byte 5"),
        ("[1,]", "text is not JSON at byte 3"),
        ('"a\nb"', "text is not JSON at byte 0"),
        ("01", "text is not JSON at byte 1"),
    ],
)
async def test_a_malformed_value_is_told_and_the_next_one_is_read(value: str, words: str) -> None:
    """What is no JSON but has an end costs itself alone."""
    scanner = scanner_of(f'[{value}, "next"]')
    await scanner.enter(b"[")
    with pytest.raises(ThreadError, match=words) as caught:
        await scanner.value()
    assert not isinstance(caught.value, UnreadableRestError)
    assert await scanner.another(b"[")
    assert await scanner.value() == b'"next"'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1]}', "damaged at byte 8: a bracket closes what was not opened, not b']}'"),
        ("[1 2]", "damaged at byte 3: , or \\] was expected, not b'2\\]'"),
        ("[,1]", "damaged at byte 1: a value was expected, not b',1\\]'"),
        ("[1", "ends in the middle, after byte 2"),
        ('["abc', "ends in the middle, after byte 5"),
        ("[", "ends in the middle, after byte 1"),
    ],
)
async def test_damage_is_told_by_its_byte(text: str, words: str) -> None:
    """And nothing is read after it."""
    scanner = scanner_of(text)
    with pytest.raises(UnreadableRestError, match=words):
        more = await scanner.enter(b"[")
        while more:
            await scanner.value()
            more = await scanner.another(b"[")


async def test_a_large_value_takes_time_in_proportion_to_its_size() -> None:
    """Ten times the size, in pieces of one size, takes about ten times as long, not a hundred."""

    async def seconds(size: int) -> float:
        text = b'["' + b"x" * size + b'", 1]'
        scanner = scanner_of(text, 1 << 16)
        begun = time.process_time()
        await scanner.enter(b"[")
        assert len(await scanner.value()) == size + 2
        return time.process_time() - begun

    small = min([await seconds(2 << 20) for _ in range(3)])
    large = min([await seconds(20 << 20) for _ in range(3)])
    assert large < 50 * max(small, 0.001)
