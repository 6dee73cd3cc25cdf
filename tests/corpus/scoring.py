"""How recall and precision on the corpus are counted; README.md says the same in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

__all__ = ["Finding", "Score", "score", "total"]


class Finding(NamedTuple):
    """What a detector says: characters `start` to `end` of a text are a value of the entity."""

    entity: str
    start: int
    end: int


class Score(NamedTuple):
    """Figures of one entity.

    Attributes:
        planted: values that are there.
        found: of these, how many its findings cover.
        covered: of these, how many are covered by findings of whatever entity: nothing leaks.
        right: findings that lie on a planted value of their entity, and on nothing else.
        wrong: findings that lie, wholly or in part, on what is no value.
        confused: findings that lie on values of another entity alone; neither right nor wrong.
    """

    planted: int = 0
    found: int = 0
    covered: int = 0
    right: int = 0
    wrong: int = 0
    confused: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.planted if self.planted else 1.0

    @property
    def precision(self) -> float:
        said = self.right + self.wrong
        return self.right / said if said else 1.0


class _Planted(Protocol):
    """A span of the reader's."""

    @property
    def entity(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def outer_start(self) -> int: ...
    @property
    def outer_end(self) -> int: ...


def score(
    texts: Iterable[tuple[str, Sequence[_Planted]]],
    find: Callable[[str], Iterable[Finding]],
) -> dict[str, Score]:
    """The figures of each entity that is planted or found.

    Args:
        texts: each with what is planted in it; nothing, where it is clean.
        find: the detector.
    """
    figures: dict[str, Score] = {}

    def count(entity: str, **more: int) -> None:
        old = figures.get(entity, Score())
        figures[entity] = old._replace(**{k: getattr(old, k) + n for k, n in more.items()})

    for text, spans in texts:
        findings = sorted(set(find(text)))
        for span in spans:
            must = _told(text, span.start, span.end)
            same = [_told(text, f.start, f.end) for f in findings if f.entity == span.entity]
            any_ = [_told(text, f.start, f.end) for f in findings]
            count(
                span.entity,
                planted=1,
                found=must <= set().union(*same),
                covered=must <= set().union(*any_),
            )
        for finding in findings:
            said = _told(text, finding.start, finding.end)
            on = [s for s in spans if said & _told(text, s.outer_start, s.outer_end)]
            may = set().union(*(_told(text, s.outer_start, s.outer_end) for s in on))
            if not said or not said <= may:
                count(finding.entity, wrong=1)
            elif any(s.entity == finding.entity for s in on):
                count(finding.entity, right=1)
            else:
                count(finding.entity, confused=1)
    return figures


def total(figures: Iterable[Score]) -> Score:
    """The sum over all entities, which the bars apply to."""
    return Score(*map(sum, zip(Score(), *figures, strict=True)))


def _told(text: str, start: int, end: int) -> set[int]:
    """Places of letters and digits: punctuation and space tell nothing about anybody."""
    return {place for place in range(start, end) if text[place].isalnum()}
