"""At which level two places are compared: by rows, by what these say, or by states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from lgx.contracts import SourceBase
from lgx.forms import RAW, STATE
from lgx.records import ANY_KIND
from lgx.verification.fingerprint import shown

__all__ = [
    "CONTENTS",
    "STATES",
    "Level",
    "asked_instead",
    "asked_of",
    "derived_of",
    "level_of",
    "remedy_of",
    "said",
]

Level: TypeAlias = Literal["rows", "contents", "states"]

STATES = STATE | {"thread"}
"""What a checkpointer is asked for to be compared with a place that has states alone."""

CONTENTS = STATES | {"checkpoint_write"}
"""What checkpointers of different layouts are asked for: checkpoints with all that their rows
say, and no matter how these keep it."""

_SERVERS = ("http://", "https://")
_PLACE = "checkpoint"
"""A field of every state that a server gives; of those that are worked out, subgraphs' have it."""

_WORDS: dict[Level, str] = {
    "rows": "rows, byte by byte",
    "contents": "what the rows say, value by value: the layouts differ",
    "states": "states, as the API shows them",
}


def said(level: Level) -> str:
    """`rows, byte by byte`"""
    return _WORDS[level]


def asked_of(sources: Sequence[SourceBase[Any]]) -> frozenset[str]:
    """The kinds that all are asked for; none: each gives what it gives by itself."""
    if len(sources) != 2 or not any(map(_has_both, sources)):
        return frozenset()
    one, other = sources
    if _has_both(one) and _has_both(other):
        # What two of one name keep can be compared as it is.
        return frozenset() if one.name == other.name else CONTENTS
    rest = [source for source in sources if not _has_both(source)]
    state_only = not any(source.offers == ANY_KIND or source.offers & RAW for source in rest)
    return STATES if state_only else frozenset()


def asked_instead(
    sources: Sequence[SourceBase[Any]], states: Sequence[bool]
) -> frozenset[str] | None:
    """The kinds by which two can be compared whose checkpoints came in different forms; None
    where there are none.

    Args:
        states: of each, whether its checkpoints came as states.
    """
    rows = [source for source, came in zip(sources, states, strict=True) if not came]
    again = all(str(getattr(source.config, "path", "")) != "-" for source in sources)
    return STATES if len(rows) == 1 and _has_both(rows[0]) and again else None


def level_of(
    sources: Sequence[SourceBase[Any]], asked: frozenset[str], *, states: bool
) -> Level | None:
    """The level at which two were compared; None where there is but one.

    Args:
        states: whether their checkpoints came as states.
    """
    if not any(map(_has_both, sources)):
        return None
    if asked == CONTENTS:
        return "contents"
    return "states" if states else "rows"


def derived_of(
    sources: Sequence[SourceBase[Any]],
    level: Level | None,
    identities: Sequence[str],
    shapes: Sequence[Iterable[tuple[str, tuple[str, ...]]]],
) -> int | None:
    """Which one's states were worked out of rows, where the other's are those that a server
    gave; None where that is neither. What a checkpointer's plugin gave to a file or a database
    was worked out, too.

    Args:
        identities: of what they read; of a file that of the place that it was written from.
        shapes: kinds of records, and names of their fields.
    """
    both = [number for number, source in enumerate(sources) if _has_both(source)]
    if level != "states" or len(both) != 1:
        return None
    other = 1 - both[0]
    served = _made_of(identities[other]).startswith(_SERVERS) or all(
        _PLACE in map(shown, names) for kind, names in shapes[other] if kind == "checkpoint"
    )
    return both[0] if served else None


def _made_of(identity: str) -> str:
    """The place that an archive was made of, which its identity ends with; others as they are."""
    kind, _, rest = identity.partition(":")
    return rest.partition("/")[2] if kind == "archive" else identity


def remedy_of(sources: Sequence[SourceBase[Any]], states: Sequence[bool]) -> str:
    """What to do where two cannot be compared.

    Args:
        states: of each, whether some of its checkpoints came as states.
    """
    files, others = ([s.name for s in sources if _has_both(s) is both] for both in (False, True))
    if len(files) == 1 and not any(states):
        # What rows say only a checkpointer's own plugin knows.
        return (
            f"copy {files[0]} into an empty place of {others[0]}'s kind (lgx run), and compare "
            "that copy in its place"
        )
    return "compare what was written with one --fidelity, by one sort of checkpointer"


def _has_both(source: SourceBase[Any]) -> bool:
    return bool(source.offers & RAW) and bool(source.offers & STATE)
