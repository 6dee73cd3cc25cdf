"""Sets, of which JSON keeps their members in some order: no two programs have the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

__all__ = ["Members", "Sets"]


class Members(list[Any]):
    """Those of a set, in the order in which it was written."""


class Sets:
    """Makes them where something is read.

    Attributes:
        any: whether any was made.
    """

    def __init__(self) -> None:
        self.any = False

    def __call__(self, members: Iterable[Any]) -> Members:
        self.any = True
        return Members(members)

    def aligned(self, value: Any, wanted: Any) -> Any:
        """The value with the members of its sets in the order that they have in JSON which
        holds the same."""
        return _aligned(value, wanted) if self.any else value


def _aligned(value: Any, wanted: Any) -> Any:
    if isinstance(value, Members):
        same = isinstance(wanted, list) and sorted(map(_text, value)) == sorted(map(_text, wanted))
        return wanted if same else value
    if isinstance(value, dict) and isinstance(wanted, dict):
        return {key: _aligned(one, wanted.get(key)) for key, one in value.items()}
    if isinstance(value, list) and isinstance(wanted, list) and len(value) == len(wanted):
        return list(map(_aligned, value, wanted))
    return value


def _text(member: Any) -> str:
    from lgx_plugins.checkpointers.rebuilding.rendering import shown

    return json.dumps(msgspec.json.decode(shown(member)), sort_keys=True)
