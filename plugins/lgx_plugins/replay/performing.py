"""Actions done on a target: supersteps gathered into bodies, branches one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from lgx_plugins.replay.actions import Action, Superstep
from lgx_plugins.replay.outline import Outline
from lgx_plugins.replay.target import RefusedError, Target

__all__ = ["Performed", "perform"]

# Of one body: what is not sent yet is in memory, and larger ones gain nothing.
_STEPS = 200
_BYTES = 8 << 20


class Performed(Struct):
    """How far the actions came.

    Attributes:
        refused: why the target did not take one of them; those after it were not tried.
        keys: by index the keys of those that were sent together with it.
        unstaged: whether a step was taken that was meant to be refused.
    """

    refused: RefusedError | None = None
    keys: dict[int, frozenset[str]] = {}
    unstaged: bool = False


async def perform(
    actions: Iterable[Action], outline: Outline, target: Target, alone: Collection[int] = ()
) -> Performed:
    """Does the actions in their order, upon nothing.

    Args:
        alone: indexes of supersteps that are sent one by one.

    Raises:
        ThreadError: whatever the target raises but `RefusedError`.
    """
    performer = _Performer(outline, target, alone)
    try:
        for action in actions:
            if not await performer.do(action):
                return Performed(unstaged=True)
        await performer.finish()
    except RefusedError as error:
        return Performed(error, performer.keys)
    return Performed()


class _Performer:
    def __init__(self, outline: Outline, target: Target, alone: Collection[int]) -> None:
        self._branched = outline.branched
        self._alone = alone
        self._target = target
        self._most = min(target.body_bytes, _BYTES)
        self._ids: dict[int, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._created = False
        self.keys: dict[int, frozenset[str]] = {}

    async def do(self, action: Action) -> bool:
        """False where a step was taken that was meant to be refused."""
        if isinstance(action, Superstep):
            if action.poison:
                return await self._stage(action)
            await self._add(action)
        else:
            await self._flush()
            self.keys[action.index] = action.key
            parent = self._ids[action.parent]
            self._ids[action.index] = await self._target.branch(parent, action.text())
        if action.index in self._branched and action.index not in self._ids:
            await self._flush()
            self._ids[action.index] = await self._target.head()
        return True

    async def finish(self) -> None:
        await self._flush()
        if not self._created:
            await self._target.create([])

    async def _stage(self, action: Superstep) -> bool:
        await self._flush()
        try:
            await self._send([action.text()])
        except RefusedError:
            return True
        return False

    async def _add(self, action: Superstep) -> None:
        text = action.text()
        full = self._size + len(text) > self._most
        alone = action.index in self._alone
        if full or alone or len(self._body) == _STEPS:
            await self._flush()
        self._body.append(text)
        self._size += len(text)
        self.keys[action.index] = action.key
        if alone:
            await self._flush()

    async def _flush(self) -> None:
        body, self._body, self._size = self._body, [], 0
        if body:
            await self._send(body)
        self.keys.clear()

    async def _send(self, body: list[bytes]) -> None:
        if self._created:
            await self._target.go_on(body)
            return
        self._created = True
        await self._target.create(body)
