"""What tasks wrote at a checkpoint, and what that makes of them: results, errors, questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from lgx_plugins.checkpointers.serde import TAG
from lgx_plugins.checkpointers.serde.text import parse
from lgx_plugins.checkpointers.state.graphs import Graph
from lgx_plugins.checkpointers.state.rendering import Opener, Typed, tree_of
from lgx_plugins.checkpointers.state.tasks import Task

__all__ = ["NOBODY", "Made", "Write", "entry", "made_by"]

NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands for the task of what no task wrote: an update or an answer from outside."""

_INTERRUPT = "__interrupt__"
_ERROR = "__error__"
_RETURN = "__return__"
_CONTROL = frozenset({_INTERRUPT, _ERROR, "__error_source_node__", "__resume__"})
_SEVERAL = b'{"$writes":['
_QUESTION = ("id", "value")


class Write(Struct, frozen=True):
    task_id: str
    path: str | None
    channel: str
    typed: Typed


class Made(Struct):
    """What became of a task.

    Attributes:
        output: what it wrote in the end; nothing where it has not finished.
        interrupts: the last questions that it asked, answered or not, as the API shows them.
        error: as the API shows it.
    """

    output: list[Write]
    interrupts: list[bytes]
    error: bytes | None = None


def made_by(writes: Iterable[Write], opener: Opener, what: str) -> dict[str, Made]:
    """By task; `writes` are those of one checkpoint, in their order.

    Raises:
        ThreadError: one cannot be read.
    """
    found: dict[str, Made] = {}
    for write in writes:
        if write.task_id == NOBODY:
            continue
        made = found.setdefault(write.task_id, Made([], []))
        if write.channel == _INTERRUPT:
            made.interrupts += _questions(write.typed, opener, f"an interrupt at {what}")
        elif write.channel == _ERROR:
            if made.error is None:
                made.error = opener.shown(write.typed, f"an error at {what}")
        elif write.channel not in _CONTROL:
            made.output.append(write)
    return found


def _questions(typed: Typed, opener: Opener, what: str) -> list[bytes]:
    tree = parse(opener.neutral(typed, what))
    items = tree.get("value") if type(tree) is dict and tree.get(TAG) == "set" else tree
    return [_question(one, what) for one in (items if type(items) is list else [items])]


def _question(tree: Any, what: str) -> bytes:
    """An interrupt as the API shows it: id and value."""
    if type(tree) is not dict or tree.get(TAG) != "interrupt":
        return tree_of(tree, what)
    fields = {name: tree.get(name) for name in _QUESTION}
    if tree.get("response_schema") is not None:
        fields["response_schema"] = tree["response_schema"]
    if fields["id"] is None and tree.get("interrupt_id") is not None:
        fields["id"] = tree["interrupt_id"]
    return tree_of(fields, what)


def entry(
    task: Task,
    made: Made | None,
    graph: Graph,
    checkpoint: bytes,
    opener: Opener,
    what: str,
) -> bytes:
    """An element of a state's tasks.

    Args:
        checkpoint: where the task's subgraph keeps its own; `null` where it has none.

    Raises:
        ThreadError: what it wrote cannot be read.
    """
    result = b"null"
    if made is not None and made.output:
        result = _result(made.output, graph, lambda w: opener.shown(w, f"a write to {what}"))
    parts = (
        (b"id", msgspec.json.encode(task.id)),
        (b"name", _name(task.name, what)),
        (b"path", tree_of(list(task.path), what)),
        (b"error", b"null" if made is None or made.error is None else made.error),
        (b"interrupts", b"[%s]" % b",".join(() if made is None else made.interrupts)),
        (b"checkpoint", checkpoint),
        (b"state", b"null"),
        (b"result", result),
    )
    return b"{%s}" % b",".join(b'"%s":%s' % part for part in parts)


def _name(name: str, what: str) -> bytes:
    return tree_of(name, what)


def _result(output: Sequence[Write], graph: Graph, show: Callable[[Typed], bytes]) -> bytes:
    """What it wrote to the state, by channel; of a function what it gave back."""
    for write in output:
        if write.channel == _RETURN:
            return show(write.typed)
    found: dict[str, bytes] = {}
    single = graph.single
    for write in output:
        channel = write.channel
        if channel != single if single is not None else _apart(channel, graph):
            continue
        value, before = show(write.typed), found.get(channel, b"null")
        if before == b"null":  # LangGraph takes it for none
            found[channel] = value
        elif _holds_several(before):
            found[channel] = b"%s,%s]}" % (before[:-2], value)
        else:
            found[channel] = b"%s%s,%s]}" % (_SEVERAL, before, value)
    if single is not None:
        return found.get(single, b"null")
    members = (b"%s:%s" % (_name(key, key), value) for key, value in found.items())
    return b"{%s}" % b",".join(members)


def _apart(channel: str, graph: Graph) -> bool:
    """Whether what is written there is no part of the state."""
    return graph.hides(channel) or channel in (
        "__no_writes__",
        "__end__",
        "__input__",
        "__scheduled__",
    )


def _holds_several(value: bytes) -> bool:
    if not value.startswith(_SEVERAL) or not value.endswith(b"]}"):
        return False
    return len(msgspec.json.decode(value, type=dict[str, Raw])) == 1
