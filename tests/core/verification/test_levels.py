"""What two places are asked for, so that they can be compared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lgx.forms import RAW, STATE
from lgx.records import ANY_KIND
from lgx.verification.levels import CONTENTS, STATES, asked_instead, asked_of, level_of, said

NOTHING: frozenset[str] = frozenset()


def place(name: str, *, path: str = "x") -> Any:
    offers = {
        "rows": RAW,
        "tables": RAW | STATE | {"thread"},
        "keys": RAW | STATE | {"thread"},
        "server": STATE | {"thread"},
        "file": ANY_KIND,
    }[name]
    return SimpleNamespace(name=name, offers=offers, config=SimpleNamespace(path=path))


@pytest.mark.parametrize(
    ("one", "other", "asked", "level"),
    [
        ("tables", "keys", CONTENTS, "contents"),
        ("tables", "tables", NOTHING, "rows"),
        ("tables", "server", STATES, "states"),
        ("server", "tables", STATES, "states"),
        ("tables", "rows", NOTHING, "rows"),
        ("tables", "file", NOTHING, "rows"),
        ("server", "server", NOTHING, None),
        ("file", "file", NOTHING, None),
    ],
)
def test_places_are_asked_for_what_both_have(
    one: str, other: str, asked: frozenset[str], level: Any
) -> None:
    """Rows where they may be the same, what they say where layouts differ, else states."""
    sources = [place(one), place(other)]
    assert asked_of(sources) == asked
    assert level_of(sources, asked, states=asked == STATES) == level


def test_states_are_asked_for_where_a_file_turns_out_to_have_them_alone() -> None:
    """Unless it can be read but once, or the other has no states to give."""
    tables, file = place("tables"), place("file")
    assert asked_instead([tables, file], [False, True]) == STATES
    assert asked_instead([file, tables], [True, False]) == STATES
    assert asked_instead([tables, place("file", path="-")], [False, True]) is None
    assert asked_instead([place("rows"), file], [False, True]) is None
    assert asked_instead([tables, file], [True, False]) is None


def test_each_level_is_said() -> None:
    assert [said(level) for level in ("rows", "contents", "states")] == [
        "rows, byte by byte",
        "what the rows say, value by value: the layouts differ",
        "states, as the API shows them",
    ]
