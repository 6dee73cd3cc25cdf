"""One thread, written into a target and read back, rung by rung."""

from __future__ import annotations

from msgspec import Struct

from lgx import Bundle
from lgx_plugins.replay.comparison import Comparison, Differences
from lgx_plugins.replay.ladder import improve, improve_refused
from lgx_plugins.replay.losses import losses_of
from lgx_plugins.replay.method import GraphMemory, Method
from lgx_plugins.replay.outcome import Outcome
from lgx_plugins.replay.outline import Outline, outline_of
from lgx_plugins.replay.performing import Performed, perform
from lgx_plugins.replay.planner import plan
from lgx_plugins.replay.steps import root_checkpoints
from lgx_plugins.replay.target import Target

__all__ = ["compare_thread", "replay_thread"]

_ATTEMPTS = 8


async def replay_thread(
    bundle: Bundle, target: Target, graph: GraphMemory, *, verify: bool = True
) -> Outcome:
    """Rebuilds a thread's root history in a target, and compares what came of it.

    The thread is written, read back and compared; where it came out different and another
    way is known, it is removed and written that way. The way with the fewest differences is
    the one that stands in the end.

    Args:
        graph: what is known of the thread's graph; what is learnt is added.
        verify: without it the thread is written as well as is known, and read back only
            where the target refused it.

    Raises:
        ThreadError: the bundle holds what no API gives, or the target failed otherwise than
            by refusing an update. What stands there is the caller's to remove.
        RefusedError: the target refused the thread in every way that is known.
    """
    return await _Replay(bundle, target, graph).run(verify=verify)


async def compare_thread(bundle: Bundle, target: Target) -> Outcome:
    """What would be said of a thread that stands there already, had it been replayed."""
    outline = outline_of(bundle)
    found = await _compare(bundle, target, outline)
    losses = losses_of(outline, found.differences, bundle.thread_id)
    return Outcome(
        fidelity="replayed",
        exact=found.differences.none,
        head=found.head,
        checkpoints=found.count,
        losses=tuple(losses),
        attempts=0,
    )


class _Found(Struct):
    """What a target holds of a thread."""

    differences: Differences
    head: str | None = None
    count: int = 0


class _Attempt(Struct):
    method: Method
    performed: Performed
    found: _Found | None

    @property
    def weight(self) -> int:
        return 0 if self.found is None else self.found.differences.weight


class _Replay:
    def __init__(self, bundle: Bundle, target: Target, graph: GraphMemory) -> None:
        self._bundle = bundle
        self._target = target
        self._graph = graph
        self._outline = outline_of(bundle)

    async def run(self, *, verify: bool) -> Outcome:
        method = Method.first(self._graph)
        if self._outline.hidden:
            await self._draw()
        best = attempt = await self._attempt(method, verify=verify)
        count = 1
        while attempt.weight and count < _ATTEMPTS:
            await self._draw()
            if not self._improve(method, attempt):
                break
            await self._target.remove()
            attempt = await self._attempt(method, verify=verify)
            count += 1
            if attempt.weight < best.weight:
                best = attempt
        if best is not attempt:
            await self._target.remove()
            best = await self._attempt(best.method, verify=verify)
            count += 1
        if best.performed.refused is not None:
            raise best.performed.refused
        best.method.remember()
        return await self._outcome(best, count)

    async def _attempt(self, method: Method, *, verify: bool) -> _Attempt:
        method = method.copy()
        performed = await perform(
            plan(self._outline, self._bundle, method), self._outline, self._target
        )
        if performed.refused is None and not performed.unstaged and not verify:
            return _Attempt(method, performed, None)
        return _Attempt(
            method, performed, await _compare(self._bundle, self._target, self._outline)
        )

    def _improve(self, method: Method, attempt: _Attempt) -> bool:
        assert attempt.found is not None
        if attempt.performed.unstaged:
            method.stages = False
            return True
        if attempt.performed.refused is not None:
            key = attempt.performed.keys.get(attempt.found.count)
            return key is not None and improve_refused(method, key)
        return improve(method, attempt.found.differences)

    async def _draw(self) -> None:
        if not self._graph.drawn:
            self._graph.topology = await self._target.topology()
            self._graph.drawn = True

    async def _outcome(self, attempt: _Attempt, count: int) -> Outcome:
        found = attempt.found
        head = None
        if found is not None:
            head = found.head
        elif len(self._outline):
            head = await self._target.head()
        differences = None if found is None else found.differences
        return Outcome(
            fidelity=attempt.method.rung,
            exact=differences is not None and differences.none,
            head=head,
            checkpoints=len(self._outline) if found is None else found.count,
            losses=tuple(losses_of(self._outline, differences, self._bundle.thread_id)),
            attempts=count,
        )


async def _compare(bundle: Bundle, target: Target, outline: Outline) -> _Found:
    """Reads a thread back, newest first, beside the bundle."""
    comparison = Comparison(outline)
    sources = root_checkpoints(reversed(bundle.spool))
    found = _Found(comparison.differences)
    index = len(outline)
    async for record in target.history():
        if found.head is None:
            found.head = record.checkpoint_id
        found.count += 1
        source = next(sources, None)
        if source is not None:
            index -= 1
            comparison.add(index, source, record)
    if found.count != len(outline):
        # Nothing tells which of them stands for which.
        lacking = max(len(outline) - found.count, 0)
        surplus = max(found.count - len(outline), 0)
        found.differences = Differences(lacking=lacking, surplus=surplus)
    return found
