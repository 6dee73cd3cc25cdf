"""What is asked of a target: updates as JSON, put together from text that stays as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from msgspec import Raw, Struct

from lgx import split_array
from lgx_plugins.replay.steps import ROOT

__all__ = [
    "Action",
    "Branch",
    "Goto",
    "Superstep",
    "Update",
    "Writes",
    "overwrite",
    "overwrites",
    "sendable",
]

Writes: TypeAlias = Sequence[tuple[str, Raw]]
"""What a task writes: a channel may come more than once."""

_OVERWRITE = b'{"__overwrite__":'
_encoder = msgspec.json.Encoder()


class Goto(Struct, frozen=True, gc=False):
    """Where a command leads: a node, or, with a `Send`, a task of its own."""

    node: str
    sent: bool = False


class Update(Struct, frozen=True, gc=False):
    """The writes of one task, under the name of a node; None writes nothing at all."""

    node: str
    writes: Writes | None = None
    gotos: tuple[Goto, ...] = ()

    def text(self) -> bytes:
        """An element of `updates`."""
        node = _encoder.encode(self.node)
        if not self.gotos and (self.writes is None or _single(self.writes)):
            return b'{"values":%b,"as_node":%b}' % (values_text(self.writes), node)
        # Servers take no command that leads nowhere; `__end__` is nowhere.
        gotos = b",".join(map(_goto_text, self.gotos)) or b'"__end__"'
        command = b'{"update":%b,"goto":[%b]}' % (_pairs_text(self.writes or ()), gotos)
        return b'{"command":%b,"as_node":%b}' % (command, node)


class Superstep(Struct, frozen=True, gc=False):
    """Updates of the newest checkpoint, together; makes the checkpoint `index`.

    With `poison`, it is meant to be refused once its writes are stored, and makes none. `key`
    names the nodes that the step is of, under whatever name it is sent.
    """

    index: int
    updates: tuple[Update, ...]
    poison: tuple[Update, ...] = ()
    key: frozenset[str] = frozenset()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(update.node for update in self.updates)

    def text(self) -> bytes:
        updates = (*self.updates, *self.poison)
        return b'{"updates":[%b]}' % b",".join(update.text() for update in updates)


class Branch(Struct, frozen=True, gc=False):
    """One update of the checkpoint `parent`, which is not the newest; makes `index`."""

    index: int
    parent: int
    update: Update
    key: frozenset[str] = frozenset()

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.update.node,)

    def text(self) -> bytes:
        return self.update.text()


Action: TypeAlias = Superstep | Branch


def values_text(writes: Writes | None) -> bytes:
    """Writes to different channels as one JSON value."""
    if writes is None:
        return b"null"
    if len(writes) == 1 and writes[0][0] == ROOT:
        return bytes(writes[0][1])
    return _encoder.encode(dict(writes))


def sendable(channel: str, value: Raw) -> bool:
    """Whether servers take the value as it is. Of a state that is no object, which is all that
    an update writes, they take lists of objects alone."""
    first = bytes(memoryview(value)[:1])
    if channel != ROOT or first == b"{":
        return True
    if first != b"[":
        return False
    return all(bytes(memoryview(item)[:1]) == b"{" for item in split_array(value))


def overwrite(value: Raw) -> Raw:
    """The write that puts a value in place of what a reducer has gathered."""
    return Raw(b"%b%b}" % (_OVERWRITE, bytes(value)))


def overwrites(value: Raw) -> bool:
    """Whether it is such a write."""
    return bytes(memoryview(value)[: len(_OVERWRITE)]) == _OVERWRITE


def _single(writes: Writes) -> bool:
    return len({channel for channel, _ in writes}) == len(writes)


def _pairs_text(writes: Writes) -> bytes:
    if _single(writes):
        return values_text(writes)
    return _encoder.encode([list(pair) for pair in writes])


def _goto_text(goto: Goto) -> bytes:
    if goto.sent:
        return _encoder.encode({"node": goto.node, "input": None})
    return _encoder.encode(goto.node)
