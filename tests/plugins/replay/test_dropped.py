"""What inputs drop, and no update as input does."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Checkpoint, raw
from lgx_plugins.replay.comparison import Comparison
from lgx_plugins.replay.differences import Differences
from lgx_plugins.replay.outline import outline_of

HELD = {"n": 1, "list": [1], "text": "t", "map": {"k": 1}}


def _state(number: int, source: str, values: Any, *due: str) -> Checkpoint:
    return Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id=f"c{number}",
        parent_checkpoint_id=f"c{number - 1}" if number else None,
        values=raw(values),
        next=raw(list(due)),
        tasks=raw([]),
        metadata=raw({"source": source, "step": number - 1}),
    )


def _compared(entered: Any, there: Any, *due: str) -> Differences:
    """Of an input upon a checkpoint that holds `HELD`, and waits for `wait`."""
    first = _state(0, "loop", HELD, "wait")
    comparison = Comparison(outline_of([first, _state(1, "input", entered, "go")]))
    comparison.add(1, _state(1, "input", entered, "go"), _state(1, "input", there, "go", *due))
    comparison.add(0, first, _state(0, "update", HELD, "wait"))
    comparison.finish()
    return comparison.differences


@pytest.mark.parametrize("entered", [{}, {"n": None, "list": [], "text": "", "map": {}}])
def test_what_an_input_emptied_is_there_until_the_next_step(entered: Any) -> None:
    """With what was due."""
    found = _compared(entered, HELD, "wait")

    assert (found.none, dict(found.excused)) == (True, {"cut": 1})


def test_what_an_input_changed_was_not_dropped() -> None:
    """A channel with another value than before, and not none, is lost where it has the old."""
    found = _compared({**HELD, "n": 2}, HELD, "wait")

    assert [(i, place.channels, place.extra) for i, place in found.places.items()] == [
        (1, ("n",), ())
    ]


def test_what_nobody_dropped_is_another_difference() -> None:
    """Neither a task that was not due nor a value that was not held."""
    found = _compared({}, {"n": 3}, "other")

    assert [(place.channels, place.extra) for place in found.places.values()] == [
        (("n",), ("other",))
    ]
    assert not found.excused
