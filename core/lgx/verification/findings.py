"""What the comparison of two threads found: counts, and the first difference in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from msgspec import Struct

from lgx.records import CHECKPOINT_KINDS
from lgx.verification.entries import Row
from lgx.verification.fingerprint import SIZE, shown
from lgx.verification.report import Compared

__all__ = [
    "Findings",
    "First",
    "differing",
    "merged",
    "say_checkpoint",
    "say_fields",
    "say_record",
    "text_of",
]

T = TypeVar("T")

_NAMED = 3  # fields of one record
_PARTS = ("channel_blob", "checkpoint_write")


class First(Struct, frozen=True, kw_only=True):
    """Where the first difference of a thread lies."""

    words: str
    namespace: str | None = None
    checkpoint_id: str | None = None
    fields: tuple[str, ...] = ()


class Findings(Struct, kw_only=True):
    """Of one thread, or of the deployment's own records."""

    first: First | None = None
    checkpoints: Compared
    records: Compared

    def found(self, first: First) -> None:
        """Something differs; only what is found first is kept."""
        if self.first is None:
            self.first = first

    def counts(self, kind: str) -> Compared:
        return self.checkpoints if kind in CHECKPOINT_KINDS else self.records


def differing(
    names: tuple[str, ...], digests: bytes, others: tuple[str, ...], other_digests: bytes
) -> tuple[str, ...]:
    """The fields that are not the same in both, by their names for people."""
    left, right = set(_pairs(names, digests)), set(_pairs(others, other_digests))
    return tuple(sorted({shown(name) for name, _ in left ^ right}))


def _pairs(names: tuple[str, ...], digests: bytes) -> Iterator[tuple[str, bytes]]:
    for at, name in enumerate(names):
        yield name, digests[at * SIZE : (at + 1) * SIZE]


def say_fields(fields: Iterable[str]) -> str:
    """`values.messages differs`, `next, tasks differ`."""
    found = list(fields)
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{', '.join(found[:_NAMED])}{more} differ{'s' if len(found) == 1 else ''}"


def say_record(row: Row, number: int) -> str:
    """`checkpoint 5 (1f0a…) of namespace ''`, `run 1f0b…`.

    Args:
        number: of a checkpoint, within its namespace.
    """
    if row.kind in CHECKPOINT_KINDS:
        return say_checkpoint(text_of(row.id), number, text_of(row.place))
    if row.names == ("frecord",):  # it has no id
        return f"a {row.kind} record"
    if row.kind == "assistant":
        return f"assistant {text_of(row.place)}, version {int(row.id)}"
    if row.kind == "store_item":
        return f"store item {text_of(row.id)!r} of {text_of(row.place)}"
    place = f" of namespace {text_of(row.place)!r}" if row.kind in _PARTS else ""
    return f"{row.kind} {text_of(row.id)}{place}"


def say_checkpoint(own: str, number: int, namespace: str = "") -> str:
    """As `say_record`."""
    return f"checkpoint {number} ({own}) of namespace {namespace!r}"


def text_of(identity: bytes) -> str:
    return identity.decode("utf-8", "backslashreplace")


def merged(
    left: Iterator[T], right: Iterator[T], key: Callable[[T], Any]
) -> Iterator[tuple[T | None, T | None]]:
    """Both in step; each is in the order of its keys."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and key(one) < key(other)):
            yield one, None
            one = next(left, None)
        elif one is None or key(other) < key(one):
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)
