"""What there is room for in a place, for comparing it with another."""

from __future__ import annotations

from msgspec import Struct

from lgx.records import ANY_KIND

__all__ = ["Coverage"]


class Coverage(Struct, frozen=True, kw_only=True):
    """What a place has room for; what it has no room for is not missing there.

    Attributes:
        kinds: the kinds of records.
        namespaces: whether checkpoints of other namespaces than the root.
        fields: by kind the only fields that its records can have; other kinds can have all.
            Ids and namespaces need not be named.
    """

    kinds: frozenset[str] = ANY_KIND
    namespaces: bool = True
    fields: dict[str, frozenset[str]] = {}
