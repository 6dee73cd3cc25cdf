"""One meaning for all spellings of a value, and for no other value."""

from __future__ import annotations

from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from lgx_plugins.checkpointers.serde import has_sets, meaning, packing


def _set(
    *members: Any, kind: str = "set", module: str = "builtins", code: int = 0
) -> ormsgpack.Ext:
    return ormsgpack.Ext(code, ormsgpack.packb((module, kind, members), option=_OPTION))


_OPTION = ormsgpack.OPT_NON_STR_KEYS


def _pack(value: object) -> bytes:
    return ormsgpack.packb(value, option=_OPTION)


SAME = {
    "the members of a set": (_pack(_set(1, 2, 3)), _pack(_set(3, 1, 2))),
    "of a frozenset": (
        _pack(_set("a", "b", kind="frozenset")),
        _pack(_set("b", "a", kind="frozenset")),
    ),
    "of sets in sets": (
        _pack({"a": [_set(_set(1, 2, kind="frozenset"), 5)]}),
        _pack({"a": [_set(5, _set(2, 1, kind="frozenset"))]}),
    ),
    "of a set in another object": (
        _pack(ormsgpack.Ext(5, _pack(("m", "C", {"x": _set(1, 2)}, "model_validate_json")))),
        _pack(ormsgpack.Ext(5, _pack(("m", "C", {"x": _set(2, 1)}, "model_validate_json")))),
    ),
    "widths of a number": (b"\x05", b"\xcf\0\0\0\0\0\0\0\x05"),
    "widths of a length": (b"\xa1a", b"\xdb\0\0\0\x01a"),
    "widths of a fraction": (b"\xca\x3f\x80\0\0", b"\xcb\x3f\xf0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("name", SAME)
def test_spellings_of_one_value_mean_the_same(name: str) -> None:
    one, other = SAME[name]
    assert one != other
    assert meaning(one) == meaning(other)


def test_values_that_differ_in_anything_mean_something_else() -> None:
    """Kinds, order, nesting, and what only looks like a set."""
    values = [
        b"\xc0", b"\xc2", b"\xc3", b"\x00", b"\x01", b"\xff", b"\xa0", b"\xa11", b"\xc4\x00",
        b"\xc4\x011", b"\x90", b"\x80", b"\x91\xc0", b"\x91\x90", b"\x92\x01\x02", b"\x92\x02\x01",
        b"\x92\x91\x01\x02", b"\x92\x01\x91\x02", b"\x81\x01\x02", b"\x81\x02\x01",
        b"\x82\x01\x02\x03\x04", b"\x82\x03\x04\x01\x02", b"\xcb\x3f\xf0\0\0\0\0\0\0",
        b"\xcb\x80\0\0\0\0\0\0\0", b"\xcb\0\0\0\0\0\0\0\0", b"\xd4\x09\x01", b"\xd4\x0a\x01",
        _pack(_set(1, 2)), _pack(_set(1, 2, 2)), _pack(_set((1, 2))),
        _pack(_set(1, 2, kind="frozenset")), _pack(_set(1, 2, kind="list")),
        _pack(_set(2, 1, kind="list")), _pack(_set(1, 2, module="x")),
        _pack(_set(2, 1, module="x")),
        _pack(_set(1, 2, code=1)), _pack(_set(2, 1, code=1)), _pack(["builtins", "set", [1, 2]]),
        _pack(["builtins", "set", [2, 1]]), b"", b"\xc1", b"\x92\x01", b"\x92\x02",
    ]  # fmt: skip

    assert len({meaning(value) for value in values}) == len(values)


def test_sets_are_seen() -> None:
    """Also some that are none; never too few."""
    dump = JsonPlusSerializer().dumps_typed
    assert has_sets(dump({"a": {1}})[1])
    assert has_sets(dump([frozenset({1})])[1])
    assert not has_sets(dump({"a": [1, "x" * 40]})[1])


def test_depth_costs_no_stack() -> None:
    """As deep as LangGraph reads, and deeper: then it stands for itself."""
    for levels in (900, 100_000):
        one, other = (b"\x91" * levels + value for value in (b"\xc2", b"\xc3"))
        assert meaning(one) != meaning(other)
        assert meaning(memoryview(one)) == meaning(one)


@given(st.lists(st.integers() | st.text() | st.binary(), unique=True), st.randoms())
def test_any_order_of_members_means_the_same(members: list[Any], random: Any) -> None:
    members = [one for one in members if not isinstance(one, int) or abs(one) < 1 << 63]
    shuffled = random.sample(members, len(members))
    payload = [packing.array_header(3), packing.text("builtins"), packing.text("set")]
    one, other = (
        packing.extension_header(0, len(data)) + data
        for data in (b"".join([*payload, _pack(some)]) for some in (members, shuffled))
    )
    assert meaning(one) == meaning(other)
