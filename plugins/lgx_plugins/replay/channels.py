"""Whether two states are equal: by their bytes first, by what they mean only where those differ."""

from __future__ import annotations

import msgspec
from msgspec import Raw, UnsetType

from lgx import Json, canonical
from lgx_plugins.replay.messages import MOVED
from lgx_plugins.replay.steps import values_of

__all__ = ["ChannelComparison"]

_UNWRITTEN = frozenset({b"[]", b"{}", b'""', b"0", b"0.0", b"false"})
"""What a graph shows of a channel with a reducer that nothing was written to. A checkpointer has
nothing of it, and nor has a graph that lacks the channel: there is nothing to be equal to."""

_CACHED = 4 << 20  # bytes of messages whose comparison is kept

_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_items_decoder = msgspec.json.Decoder(list[Raw])
_encoder = msgspec.json.Encoder()


class ChannelComparison:
    """Compares states of one thread. The same messages come again in many of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], str | None] = {}
        self._size = 0

    def compare(self, source: Json, target: Json) -> tuple[tuple[str, ...], set[str]]:
        """The channels that differ, and what is excused: `usage_metadata`, …"""
        if isinstance(source, UnsetType) or isinstance(target, UnsetType):
            return (() if source is target else ("values",)), set()
        if source == target:
            return (), set()
        wanted, there = values_of(source), values_of(target)
        differing = []
        excused: set[str] = set()
        for channel in dict.fromkeys((*wanted, *there)):
            left, right = wanted.get(channel), there.get(channel)
            if left is None and bytes(there[channel]) in _UNWRITTEN:
                continue
            if left is None or right is None or not self._equal(left, right, excused):
                differing.append(channel)
        return tuple(differing), excused

    def _equal(self, left: Raw, right: Raw, excused: set[str]) -> bool:
        return left == right or self._same(left, right, excused)

    def _same(self, left: Raw, right: Raw, excused: set[str]) -> bool:
        one, other = _items(left), _items(right)
        if one is None or other is None:
            return canonical(left) == canonical(right)
        if len(one) != len(other):
            return False
        found: set[str] = set()
        for mine, theirs in zip(one, other, strict=True):
            if mine == theirs:
                continue
            verdict = self._item(bytes(mine), bytes(theirs))
            if verdict is None:
                return False
            if verdict:
                found.add(verdict)
        excused |= found
        return True

    def _item(self, mine: bytes, theirs: bytes) -> str | None:
        """`""` where two elements are equal, what is excused where that alone differs, None."""
        key = (mine, theirs)
        if key in self._known:
            return self._known[key]
        if canonical(mine) == canonical(theirs):
            verdict: str | None = ""
        else:
            verdict = _excuse(mine, theirs)
        self._size += len(mine) + len(theirs)
        if self._size > _CACHED:
            self._known.clear()
            self._size = len(mine) + len(theirs)
        self._known[key] = verdict
        return verdict


def _excuse(mine: bytes, theirs: bytes) -> str | None:
    """Names the fields of a message that a server has moved into `additional_kwargs`, where
    nothing else is different."""
    try:
        wanted, there = _fields_decoder.decode(mine), _fields_decoder.decode(theirs)
        kwargs = _fields_decoder.decode(there.get("additional_kwargs", Raw(b"{}")))
        before = _fields_decoder.decode(wanted.get("additional_kwargs", Raw(b"{}")))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    if "type" not in wanted or "content" not in wanted:
        return None
    moved = []
    for name, empty in MOVED.items():
        value = wanted.get(name)
        if value is None or value == empty or name in before:
            continue
        if name not in kwargs or canonical(kwargs.pop(name)) != canonical(value):
            continue
        wanted[name] = empty
        moved.append(name)
    if not moved:
        return None
    there["additional_kwargs"] = Raw(_encoder.encode(kwargs))
    if canonical(_encoder.encode(wanted)) != canonical(_encoder.encode(there)):
        return None
    return " and ".join(moved)


def _items(value: Raw) -> list[Raw] | None:
    if bytes(memoryview(value)[:1]) != b"[":
        return None
    try:
        return _items_decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
