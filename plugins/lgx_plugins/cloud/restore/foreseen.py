"""What would become of a deployment's own records: for dry runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lgx import Context

__all__ = ["Course", "Foreseen"]

Course: TypeAlias = Literal["created", "completed", "replaced", "enabled", "unchanged"]

_NAMED = 5


class Foreseen:
    """Of the records of one kind; those that are in conflict are listed as losses."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._names: dict[Course, list[str]] = {}
        self._counts: dict[Course, int] = {}

    def add(self, course: Course, name: str) -> None:
        self._counts[course] = self._counts.get(course, 0) + 1
        names = self._names.setdefault(course, [])
        if len(names) < _NAMED:
            names.append(name)

    def tell(self, context: Context) -> None:
        """One note; what is replaced is named."""
        changing: tuple[Course, ...] = ("created", "completed", "replaced", "enabled")
        parts = [
            f"{self._counts[course]} would be {course}{self._named(course)}"
            for course in changing
            if course in self._counts
        ]
        if "unchanged" in self._counts:
            count = self._counts["unchanged"]
            parts.append(f"{count} {'is' if count == 1 else 'are'} there already")
        if parts:
            context.note(f"{self._kind.replace('_', ' ')}s: {', '.join(parts)}")

    def _named(self, course: Course) -> str:
        if course == "created":
            return ""
        names = self._names[course]
        more = " …" if self._counts[course] > len(names) else ""
        return f" ({', '.join(names)}{more})"
