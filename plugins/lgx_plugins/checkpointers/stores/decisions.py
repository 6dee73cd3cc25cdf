"""What is to be done about the items of a batch, once it is known what stands there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from lgx_plugins.checkpointers.rows.conflicts import Policy
from lgx_plugins.checkpointers.stores.conflicts import Course, judge, vectors_to_put
from lgx_plugins.checkpointers.stores.items import Item
from lgx_plugins.checkpointers.stores.landing import Landing
from lgx_plugins.checkpointers.stores.vectors import Vector

__all__ = ["Decision", "Fitted", "decide", "land"]

_REPLACED = "they were of values that were replaced"
_UNDATED = (
    "times",
    "they came without, as no store of LangGraph's could load them: that of the run was given",
    False,
)
_OTHERS = "other vectors stand there for the same values, which another model made"


class Fitted(Struct, frozen=True):
    """An item as the target would hold it.

    Attributes:
        left: how many of its vectors it would not, by the reason.
        without: parts of it that it would not: what, why, and whether it could.
    """

    item: Item
    left: Mapping[str, int] = {}
    without: tuple[tuple[str, str, bool], ...] = ()


class Decision(Struct, frozen=True):
    """
    Attributes:
        put: the vectors that are to be written.
        stale: how many vectors go, because the value goes that they were made of.
    """

    fitted: Fitted
    course: Course
    put: Mapping[str, Vector] = {}
    stale: int = 0
    kept_apart: int = 0

    @property
    def item(self) -> Item:
        return self.fitted.item

    @property
    def writes(self) -> bool:
        return self.course in (Course.CREATE, Course.REPLACE, Course.DATE)


def decide(policy: Policy, fitted: Fitted, standing: Item | None) -> Decision:
    item = fitted.item
    if standing is not None and standing.same_value(item):
        item = _dated(item, standing.created_at, standing.updated_at)
    course = judge(policy, standing, item)
    if course is Course.LEAVE:
        return Decision(fitted, course)
    without = fitted.without
    if item.created_at is None or item.updated_at is None:
        # SqliteStore cannot load an item without times, nor find any beside one.
        now = datetime.now(UTC).isoformat()
        item = _dated(item, None if standing is None else standing.created_at, now)
        item = _dated(item, item.updated_at, None)
        without += (_UNDATED,)
    fitted = msgspec.structs.replace(fitted, item=item, without=without)
    if standing is None or course is Course.REPLACE:
        stale = 0 if standing is None else len({*standing.vectors} - {*item.vectors})
        return Decision(fitted, course, put=item.vectors, stale=stale)
    put, apart = vectors_to_put(policy, standing.vectors, item.vectors)
    return Decision(fitted, course, put=put, kept_apart=apart)


def _dated(item: Item, created_at: str | None, updated_at: str | None) -> Item:
    """With these times where it has none."""
    return msgspec.structs.replace(
        item,
        created_at=created_at if item.created_at is None else item.created_at,
        updated_at=updated_at if item.updated_at is None else item.updated_at,
    )


def land(decisions: Iterable[Decision], landing: Landing) -> None:
    """Tells of what was done."""
    for one in decisions:
        landing.count(one.course, one.item)
        if one.course is Course.LEAVE:
            continue
        for part in one.fitted.without:
            landing.without(part[0], part[1], holdable=part[2])
        for why, count in one.fitted.left.items():
            landing.leave_vectors(count, why)
        if one.stale:
            landing.leave_vectors(one.stale, _REPLACED)
        if one.kept_apart:
            landing.leave_vectors(one.kept_apart, _OTHERS)
