"""The forms that checkpoints come in, of which the one cannot be compared with the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lgx.records import ANY_KIND

__all__ = ["CHECKPOINTS", "forms_in", "may_be_compared"]

CHECKPOINTS = frozenset({"checkpoint", "raw_checkpoint"})
"""The kinds of which one record is one checkpoint."""

_FORMS = {
    "as the API shows them": frozenset({"checkpoint"}),
    "as a checkpointer's own bytes": frozenset(
        {"raw_checkpoint", "channel_blob", "checkpoint_write"}
    ),
}


def may_be_compared(offers: Sequence[frozenset[str]]) -> bool:
    """Whether places that offer these kinds may have checkpoints in a form in common."""
    return ANY_KIND in offers or any(
        all(kinds & form for kinds in offers) for form in _FORMS.values()
    )


def forms_in(kinds: Collection[str]) -> tuple[str, ...]:
    """The forms, in words, of the checkpoints among records of these kinds."""
    return tuple(words for words, form in _FORMS.items() if form.intersection(kinds))
