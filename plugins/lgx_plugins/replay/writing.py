"""What the updates of one step write: each channel in the form that the method says."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from lgx_plugins.replay.actions import Update, Writes, overwrite, sendable
from lgx_plugins.replay.messages import (
    Messages,
    edits,
    messages_of,
    replacement,
    rewritten,
)
from lgx_plugins.replay.method import OVERWRITTEN, RENAMED, Fix, Form, GraphMemory, Method
from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.steps import Step

__all__ = ["written"]

_AS_DATA = (Form.WRITTEN, Form.OVERWRITE, Form.VALUE, Form.TAIL)


def written(
    step: Step,
    parent: Parent | None,
    named: Sequence[tuple[str, Writes | None]],
    fix: Fix,
    level: int,
    method: Method,
) -> list[Update]:
    """The updates of one step: of each node what its task wrote, and with the last what
    changed though no task wrote it.

    Args:
        named: nodes and writes, in the order in which they are applied; at least one.
        level: see `GraphMemory.levels`.
    """
    parts = [list(writes) if writes is not None else None for _, writes in named]
    changed = list(step.values) if parent is None else parent.changed(step.values)
    stale = parent.stale if parent is not None else frozenset[str]()
    by_tasks = {channel for part in parts if part for channel, _ in part}
    silent = [channel for channel in step.values if channel not in by_tasks]
    sent = {*changed, *stale, *fix.forms}
    silent = [channel for channel in silent if channel in sent]
    for channel in (*by_tasks, *silent):
        if channel not in step.values:
            continue  # gone by the end of the step: it was for the step alone
        form = _form(channel, step, parent, fix, level, method, told=channel in by_tasks)
        (method.data.add if form in _AS_DATA else method.data.discard)(channel)
        if form is Form.WRITTEN:
            continue
        if form is Form.MESSAGES:
            _take_messages(parts, channel, step, parent)
            continue
        _put(parts, channel, _sent(form, step.values[channel], channel, parent))
    return [
        Update(name, None if part is None else tuple(part))
        for (name, _), part in zip(named, parts, strict=True)
    ]


def _form(
    channel: str,
    step: Step,
    parent: Parent | None,
    fix: Fix,
    level: int,
    method: Method,
    *,
    told: bool,
) -> Form:
    """The form of one channel. `told`: whether tasks tell what was written to it."""
    known = fix.forms.get(channel) or method.forms.get(channel)
    if not sendable(channel, step.values[channel]):
        return known or Form.OVERWRITE
    stale = parent is not None and channel in parent.stale
    if told and not stale and level == 0:
        return known or Form.MESSAGES
    if known is None or known in (Form.WRITTEN, Form.MESSAGES):
        found = messages_of(step.values[channel]) if level == RENAMED else None
        # What the node's name alone stood in the way of, a reducer takes under another.
        if level >= OVERWRITTEN and not (found is not None and found.items):
            return Form.OVERWRITE
        return _absolute(step.values[channel], channel, parent, method.graph)
    return known


def _absolute(value: Raw, channel: str, parent: Parent | None, graph: GraphMemory) -> Form:
    """How to send a value that no task tells of."""
    if graph.reduces(channel) or not graph.equal.get(channel):
        after, before = messages_of(value), _before(parent, channel)
        if after is not None and (after.items or (before is not None and before.items)):
            return Form.EDITS
    return Form.OVERWRITE if graph.reduces(channel) else Form.VALUE


def _sent(form: Form, value: Raw, channel: str, parent: Parent | None) -> Raw:
    if form is Form.OVERWRITE:
        return overwrite(value)
    if form is Form.TAIL:
        added = parent.added(channel, value) if parent is not None else None
        return value if added is None else added
    if form in (Form.EDITS, Form.REPLACED):
        after = messages_of(value)
        if after is None:
            return overwrite(value)
        if form is Form.REPLACED or (parent is not None and parent.values is None):
            return replacement(after)
        return edits(_before(parent, channel), after)
    return value


def _put(parts: list[list[tuple[str, Raw]] | None], channel: str, value: Raw) -> None:
    """One write in place of all to this channel: where the last of them stood, or at the end."""
    last = len(parts) - 1
    for number, part in enumerate(parts):
        if part is not None and any(name == channel for name, _ in part):
            last = number
            parts[number] = [write for write in part if write[0] != channel]
    parts[last] = [*(parts[last] or ()), (channel, value)]


def _take_messages(
    parts: list[list[tuple[str, Raw]] | None],
    channel: str,
    step: Step,
    parent: Parent | None,
) -> None:
    """Writes of messages, each as it stands afterwards; others are left as they are."""
    after = messages_of(step.values[channel])
    if after is None:
        return
    writes = [value for part in parts if part for name, value in part if name == channel]
    taken = rewritten(writes, _before(parent, channel), after)
    if taken is None:
        return
    rest = iter(taken)
    for number, part in enumerate(parts):
        if part:
            parts[number] = [
                (name, next(rest) if name == channel else value) for name, value in part
            ]


def _before(parent: Parent | None, channel: str) -> Messages | None:
    if parent is None or parent.values is None or channel not in parent.values:
        return None
    return messages_of(parent.values[channel])
