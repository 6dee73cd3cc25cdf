"""The scope: what both sides have room for, which is what is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from lgx.coverage import Coverage
from lgx.records import ANY_KIND, EXTRA_KINDS
from lgx.verification.fingerprint import SIZE, field_of
from lgx.verification.ledger import Ledger
from lgx.verification.report import LeftOut

__all__ = ["Held", "Scope"]


_LACKS = "has no place for them"
_NOT_READ = "does not give them"


class Held(Struct, frozen=True, kw_only=True):
    """What one side is.

    Attributes:
        title: `the source, cloud`.
        offers: the kinds that its plugin reads.
    """

    title: str
    offers: frozenset[str]
    coverage: Coverage

    def offered(self, kind: str) -> bool:
        return self.offers == ANY_KIND or kind in self.offers

    def has_kind(self, kind: str) -> bool:
        kinds = self.coverage.kinds
        return self.offered(kind) and (kinds == ANY_KIND or kind in kinds)

    def has_field(self, kind: str, field: str) -> bool:
        fields = self.coverage.fields.get(kind)
        return fields is None or field in fields


class Scope:
    """Of one side alone, or of two."""

    def __init__(self, *sides: Held, extras: bool) -> None:
        """
        Args:
            extras: whether the deployment's own records are wanted.
        """
        self._sides = sides
        self._extras = extras
        self._kinds: dict[str, bool] = {}
        self._parts: dict[tuple[str, tuple[str, ...]], tuple[tuple[str, int], ...] | None] = {}

    @cached_property
    def namespaces(self) -> bool:
        return all(side.coverage.namespaces for side in self._sides)

    def has(self, kind: str, place: bytes = b"") -> bool:
        """Whether records of that kind, in that namespace, are compared."""
        if kind not in self._kinds:
            wanted = self._extras or kind not in EXTRA_KINDS
            self._kinds[kind] = wanted and all(side.has_kind(kind) for side in self._sides)
        return self._kinds[kind] and (not place or self.namespaces or kind != "checkpoint")

    def knows(self, kind: str, field: str) -> bool:
        """Whether all sides have room for that field."""
        return all(side.has_field(kind, field) for side in self._sides)

    def within(
        self, kind: str, names: tuple[str, ...], digests: bytes
    ) -> tuple[tuple[str, ...], bytes]:
        """The names and digests of a record that count."""
        parts = self._counted(kind, names)
        if parts is None:
            return names, digests
        return tuple(name for name, _ in parts), b"".join(
            digests[at * SIZE : (at + 1) * SIZE] for _, at in parts
        )

    def _counted(self, kind: str, names: tuple[str, ...]) -> tuple[tuple[str, int], ...] | None:
        """The names that count, with their places; None where all do."""
        if not any(kind in side.coverage.fields for side in self._sides):
            return None
        if (kind, names) not in self._parts:
            if len(self._parts) > 1000:
                self._parts.clear()
            parts = tuple(
                (name, at) for at, name in enumerate(names) if self.knows(kind, field_of(name))
            )
            self._parts[kind, names] = None if len(parts) == len(names) else parts
        return self._parts[kind, names]

    def left_out(self, ledgers: Sequence[Ledger]) -> Iterator[LeftOut]:
        """What one side holds, and another has no room for."""
        for side, ledger in zip(self._sides, ledgers, strict=True):
            for other in self._sides:
                if other is not side:
                    yield from self._lacking(side, ledger, other)

    def _lacking(self, side: Held, ledger: Ledger, other: Held) -> Iterator[LeftOut]:
        if not other.has_kind("thread") and any(kind == "thread" for kind, _ in ledger.shapes()):
            yield LeftOut(
                what=f"the threads' own records of {side.title}",
                why=f"{other.title}, {_LACKS if other.offered('thread') else _NOT_READ}",
            )
        for kind in ledger.kinds():
            if kind in EXTRA_KINDS and not self._extras:
                continue
            if not other.has_kind(kind):
                yield LeftOut(
                    what=f"{_number(ledger.count(kind), kind, 'record')} of {side.title}",
                    why=f"{other.title}, {_LACKS if other.offered(kind) else _NOT_READ}",
                )
        if not other.coverage.namespaces:
            count = ledger.count("checkpoint", elsewhere=True)
            if count:
                yield LeftOut(
                    what=f"{_number(count, 'subgraph', 'checkpoint')} of {side.title}",
                    why=f"{other.title}, {_LACKS}",
                )
        for kind, fields in _unheld_fields(ledger, other).items():
            yield LeftOut(
                what=f"{', '.join(fields)} of {kind} records of {side.title}",
                why=f"{other.title}, {_LACKS}",
            )


def _number(count: int, kind: str, noun: str) -> str:
    return f"{count:,} {kind} {noun}{'' if count == 1 else 's'}"


def _unheld_fields(ledger: Ledger, other: Held) -> Mapping[str, list[str]]:
    """The fields that the other side has no place for, in the order of their names, by kind."""
    found: dict[str, set[str]] = {}
    if other.coverage.fields:
        for kind, names in ledger.shapes():
            if other.has_kind(kind):
                lacking = {
                    field_of(name) for name in names if not other.has_field(kind, field_of(name))
                }
                if lacking:
                    found.setdefault(kind, set()).update(lacking)
    return {kind: sorted(fields) for kind, fields in sorted(found.items())}
