"""The tasks that are due at a checkpoint, worked out as LangGraph does from its channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import TAG
from lgx_plugins.checkpointers.state.graphs import BRANCH, JOIN, Graph, joined
from lgx_plugins.checkpointers.state.rendering import Opener, Typed
from lgx_plugins.checkpointers.state.stored import SENDS, Stored

__all__ = ["PULL", "PUSH", "Task", "due"]

PULL = "__pregel_pull"
PUSH = "__pregel_push"

_END = "__end__"  # where graphs end: no node has that name
_NO_CALL = ", 0000000000"  # how the paths end of tasks that no function called

_XXH3_SINCE = 2
"""The version of checkpoints from which on tasks get their ids by XXH3; by SHA-1 before."""


class Task(Struct, frozen=True):
    """`path` is what the API shows; `id` is the one by which writes are known."""

    id: str
    name: str
    path: Sequence[Any]


def due(
    namespace: str,
    checkpoint_id: str,
    stored: Stored,
    graph: Graph,
    opener: Opener,
    paths: Mapping[str, str],
) -> list[Task]:
    """Those that were sent first, as they were sent; then those of nodes, by name.

    Args:
        paths: of tasks that wrote something there, by id.

    Raises:
        ThreadError: what the checkpoint says makes no sense.
    """
    ids = _Ids(namespace, checkpoint_id, stored, paths)
    found = []
    for number, node in enumerate(_sent(stored, opener)):
        if node is not None:
            key = ids.of(node, f"~{PUSH}, {number:010}", PUSH, str(number))
            found.append(Task(key, node, [PUSH, number, False]))
    for node, triggers in graph.nodes():
        if _starts(node, triggers, stored, opener):
            key = ids.of(node, f"~{PULL}, {node}", PULL, *triggers)
            found.append(Task(key, node, [PULL, node]))
    return found


class _Ids:
    def __init__(
        self, namespace: str, checkpoint_id: str, stored: Stored, paths: Mapping[str, str]
    ) -> None:
        try:
            self._checkpoint = bytes.fromhex(checkpoint_id.replace("-", ""))
        except ValueError:
            self._checkpoint = checkpoint_id.encode("utf-8", "surrogatepass")
        self._namespace = namespace
        self._step = str(stored.step)
        self._by_sha = stored.version < _XXH3_SINCE
        self._paths = paths
        self._by_path: dict[str, list[str]] = {}
        for key, path in paths.items():
            self._by_path.setdefault(path.removesuffix(_NO_CALL), []).append(key)

    def of(self, node: str, path: str, *rest: str) -> str:
        """A task's id. What it wrote counts for more than what follows from the names: a graph
        may have had other edges when it ran."""
        where = f"{self._namespace}|{node}" if self._namespace else node
        key = self._digest(where, self._step, node, *rest)
        if key not in self._paths:
            own = self._by_path.get(path, ())
            if len(own) == 1:
                return own[0]
        return key

    def _digest(self, *parts: str) -> str:
        data = self._checkpoint + "".join(parts).encode("utf-8", "surrogatepass")
        if self._by_sha:
            from hashlib import sha1

            digest = sha1(data, usedforsecurity=False).hexdigest()
        else:
            from xxhash import xxh3_128_hexdigest

            digest = xxh3_128_hexdigest(data)
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def _sent(stored: Stored, opener: Opener) -> Iterator[str | None]:
    """The nodes that something was sent to; None for what is no sending."""
    what = "what nodes have sent"
    sends = [opener.tree(one, what) for one in stored.sends]
    if not sends and SENDS in stored.values:
        tree = opener.tree(stored.values[SENDS], what)
        sends = tree if type(tree) is list else []
    for send in sends:
        fits = type(send) is dict and send.get(TAG) == "send"
        yield send["node"] if fits and send["node"] != _END else None


def _starts(node: str, triggers: Sequence[str], stored: Stored, opener: Opener) -> bool:
    if not stored.versions:
        return False
    seen = stored.seen.get(node)
    for channel in triggers:
        if channel not in stored.values:
            continue
        if seen is not None and not _newer(stored.versions.get(channel), seen.get(channel)):
            continue
        if _available(channel, stored.values[channel], opener):
            return True
    return False


def _newer(version: Any, seen: Any) -> bool:
    if version is None:
        return False
    try:
        return bool(version > (type(version)() if seen is None else seen))
    except TypeError:
        raise ThreadError(
            f"a channel has the version {version!r}, and a node has seen {seen!r} of it; nobody "
            "can tell which is newer"
        ) from None


def _available(channel: str, typed: Typed, opener: Opener) -> bool:
    """Whether a channel lets the node start that waits for it."""
    if channel.startswith(JOIN):
        tree = opener.tree(typed, f"channel {channel!r}")
        if type(tree) is list and len(tree) == 2 and type(tree[1]) is bool:
            return tree[1]  # of a node that is put off to the end
        names = tree.get("value") if type(tree) is dict else tree
        return type(names) is list and joined(channel, names)
    if channel.startswith(BRANCH):
        tree = opener.tree(typed, f"channel {channel!r}")
        if type(tree) is list and len(tree) == 2 and type(tree[1]) is bool:
            return tree[1]
    return True
