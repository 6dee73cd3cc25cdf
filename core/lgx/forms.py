"""The two forms that checkpoints come in, in words, and who takes which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

__all__ = ["RAW", "STATE", "Form", "form_of", "kinds_of", "not_taken", "takers", "words"]

Form: TypeAlias = Literal["raw", "state"]

RAW = frozenset({"raw_checkpoint", "channel_blob", "checkpoint_write"})
STATE = frozenset({"checkpoint"})

_WORDS: dict[Form, str] = {
    "raw": "a checkpointer's own rows",
    "state": "states as the API shows them",
}
_TAKERS: dict[Form, str] = {
    "raw": "the sink of a checkpointer",
    "state": "the sink of a server",
}


def kinds_of(form: Form) -> frozenset[str]:
    """The kinds of records that checkpoints of that form consist of."""
    return RAW if form == "raw" else STATE


def form_of(kinds: Iterable[str]) -> Form:
    """The form that a record of one of these kinds is of; of the API's view where none is."""
    return "raw" if RAW.intersection(kinds) else "state"


def words(form: Form) -> str:
    """`a checkpointer's own rows`"""
    return _WORDS[form]


def takers(form: Form) -> str:
    """What sort of sink takes checkpoints of that form; which there are only plugins know."""
    return f"{_TAKERS[form]}, or one that keeps every form, as files and tables of lgx's own do"


def not_taken(form: Form, sink: str, takes_with: Mapping[str, str]) -> str:
    """`the sqlite sink does not take; what does is …`, or by which of its options it does."""
    for kind in sorted(kinds_of(form) & takes_with.keys()):
        return f"{sink} takes only with {takes_with[kind]}"
    return f"{sink} does not take; what does is {takers(form)}"
