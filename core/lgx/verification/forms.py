"""The forms that checkpoints come in, of which the one cannot be compared with the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lgx.records import ANY_KIND
from lgx.verification.fingerprint import shown

__all__ = ["STATE_WORDS", "forms_in", "may_be_compared"]

STATE_WORDS = "as the API shows them"

_KINDS = (
    frozenset({"checkpoint"}),
    frozenset({"raw_checkpoint", "channel_blob", "checkpoint_write"}),
)


def may_be_compared(offers: Sequence[frozenset[str]]) -> bool:
    """Whether places that offer these kinds may have checkpoints in a form in common."""
    return ANY_KIND in offers or any(all(kinds & form for kinds in offers) for form in _KINDS)


def forms_in(shapes: Iterable[tuple[str, tuple[str, ...]]]) -> list[str]:
    """The forms of the checkpoints among records of such kinds and names, in words."""
    found = set()
    for kind, names in shapes:
        if kind == "checkpoint":
            found.add(STATE_WORDS)
        elif kind == "raw_checkpoint":
            split = "document" in map(shown, names)
            found.add(f"in a checkpointer's own bytes, {'in parts' if split else 'each whole'}")
    return sorted(found)
