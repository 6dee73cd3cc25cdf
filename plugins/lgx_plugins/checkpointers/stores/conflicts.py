"""What becomes of an item, and of its vectors, where the target has one under its key."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from lgx_plugins.checkpointers.rows.conflicts import Policy
from lgx_plugins.checkpointers.stores.items import Item, when
from lgx_plugins.checkpointers.stores.vectors import Vector

__all__ = ["Course", "judge", "vectors_to_put"]


class Course(Enum):
    CREATE = auto()
    """Nothing is there."""

    REPLACE = auto()
    """An older one is there, or it is to be replaced whatever it is."""

    DATE = auto()
    """The same value is there, and gets the times of the source's."""

    KEEP = auto()
    """The same is there."""

    LEAVE = auto()
    """Another one is there that is not older, and stays."""


def judge(policy: Policy, standing: Item | None, coming: Item) -> Course:
    """
    Args:
        coming: what the target would hold of it.
    """
    if standing is None:
        return Course.CREATE
    if standing.same_value(coming):
        if standing.same_times(coming) or (policy != "replace" and _newer(standing, coming)):
            return Course.KEEP
        return Course.DATE
    if policy == "replace" or _newer(coming, standing):
        return Course.REPLACE
    return Course.LEAVE


def _newer(one: Item, than: Item) -> bool:
    """Whether it is known to have been changed later."""
    first, second = when(one.updated_at), when(than.updated_at)
    return first is not None and second is not None and first > second


def vectors_to_put(
    policy: Policy, standing: Mapping[str, Vector], coming: Mapping[str, Vector]
) -> tuple[dict[str, Vector], int]:
    """Those of an item, whose value stands there, that are to be written; and how many are not,
    because other numbers stand there: another model made them of the same text."""
    put = {}
    left = 0
    for field, vector in coming.items():
        there = standing.get(field)
        if there is None or policy == "replace" or there.same_numbers(vector):
            if there != vector:
                put[field] = vector
        else:
            left += 1
    return put, left
