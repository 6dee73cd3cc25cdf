"""What became of items, for the report."""

from __future__ import annotations

from collections import Counter

from lgx import Context, Loss, WriteOutcome
from lgx_plugins.checkpointers.rows.conflicts import Policy
from lgx_plugins.checkpointers.stores.conflicts import Course
from lgx_plugins.checkpointers.stores.items import Item, called

__all__ = ["Landing"]

_LISTED = 100  # losses of one kind, each by itself


class Landing:
    """Counts all, and names the first of those that did not come."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._courses: Counter[Course] = Counter()
        self._losses: list[Loss] = []
        self._more: Counter[bool] = Counter()
        self._lost = 0
        self._vectors: Counter[str] = Counter()
        self._parts: Counter[tuple[str, str, bool]] = Counter()

    def count(self, course: Course, item: Item) -> None:
        """What was done about an item."""
        self._courses[course] += 1
        if course is Course.LEAVE:
            skips = self._policy == "skip"
            remedy = " (--sink-on-conflict skip)" if skips else "; --sink-on-conflict replace does"
            why = "it stands there with other content that is not older, and was not replaced"
            self._lose(called(item.prefix, item.key), why + remedy, left=skips)

    def refuse(self, what: str, why: str) -> None:
        """An item that the target cannot hold."""
        self._lose(what, why, left=False)

    def _lose(self, what: str, why: str, *, left: bool) -> None:
        self._lost += 1
        if len(self._losses) < _LISTED:
            self._losses.append(Loss(what=what, why=why, holdable=not left, left=left))
        else:
            self._more[left] += 1

    def leave_vectors(self, count: int, why: str) -> None:
        """Vectors that an item came without."""
        self._vectors[why] += count

    def without(self, part: str, why: str, *, holdable: bool) -> None:
        """A part that an item came without."""
        self._parts[part, why, holdable] += 1

    def outcome(self, total: int) -> WriteOutcome:
        """
        Args:
            total: how many items came.
        """
        losses = [*self._losses]
        for left, count in self._more.items():
            why = "they are like those listed before them"
            losses.append(
                Loss(what=f"{count} more store items", why=why, holdable=not left, left=left)
            )
        for (part, why, holdable), count in self._parts.items():
            losses.append(Loss(what=f"{part} of {_items(count)}", why=why, holdable=holdable))
        for why, count in self._vectors.items():
            losses.append(
                Loss(
                    what=f"{count} vector{'s' * (count != 1)} of store items",
                    why=f"{why}; they are left to be embedded again, which writing the items "
                    "again does",
                    holdable=False,
                )
            )
        changed = any(self._courses[one] for one in (Course.CREATE, Course.REPLACE, Course.DATE))
        return WriteOutcome(
            thread_id=None,
            losses=tuple(losses),
            written=changed,
            records=total - self._lost,
            unchanged=self._courses[Course.KEEP],
        )

    def foretell(self, context: Context) -> None:
        """What would become of them: one note."""
        created, replaced = self._courses[Course.CREATE], self._courses[Course.REPLACE]
        words = {
            f"{created} would be created": created,
            f"{replaced} would be replaced": replaced,
            f"{self._courses[Course.DATE]} would get other times": self._courses[Course.DATE],
            f"{self._courses[Course.KEEP]} are there already": self._courses[Course.KEEP],
        }
        said = ", ".join(text for text, count in words.items() if count)
        if said:
            context.note(f"store items: {said}")


def _items(count: int) -> str:
    return f"{count} store item{'s' * (count != 1)}"
