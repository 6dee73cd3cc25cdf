"""What finds violations of rules in records."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from msgspec import Struct

from lgx.contracts.components import C, Component
from lgx.records import Record
from lgx.spool import Bundle

__all__ = ["BundleValidator", "RecordValidator", "Validator", "Violation"]


class Violation(Struct, frozen=True, kw_only=True):
    """A rule that data breaks: `rule` and `place` (a path), never the value itself."""

    rule: str
    place: str
    message: str = ""


class Validator(Component[C]):
    """Reports violations; the engine decides what they cost (`--on-violation`)."""

    handles: frozenset[str]


class RecordValidator(Validator[C]):
    @abstractmethod
    def check(self, record: Record) -> Iterable[Violation]:
        """What is wrong with this record. Called once for each record of `handles`, threads'
        and extras alike."""


class BundleValidator(Validator[C]):
    @abstractmethod
    def check(self, bundle: Bundle) -> Iterable[Violation]:
        """What is wrong with this thread as a whole. Called once for each thread."""
