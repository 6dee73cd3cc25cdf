"""One thread, written into a target and read back, rung by rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from lgx import Bundle, Checkpoint
from lgx_plugins.replay.comparison import Comparison
from lgx_plugins.replay.differences import Differences
from lgx_plugins.replay.joins import Joins
from lgx_plugins.replay.ladder import improve, improve_refused
from lgx_plugins.replay.losses import losses_of
from lgx_plugins.replay.method import GraphMemory, Method
from lgx_plugins.replay.outcome import Fidelity, Outcome
from lgx_plugins.replay.outline import Outline, outline_of
from lgx_plugins.replay.performing import Performed, perform
from lgx_plugins.replay.planner import plan
from lgx_plugins.replay.steps import root_checkpoints
from lgx_plugins.replay.target import Follower, Target
from lgx_plugins.replay.vain import in_vain, note_tries

__all__ = ["compare_thread", "replay_thread"]

_ATTEMPTS = 16
_ATTEMPTS_AT_LATEST = 5
_IN_VAIN = 5  # attempts that bettered nothing, after which no others are made


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
    return await _Replay(bundle, target, graph, verify=verify).run()


async def compare_thread(bundle: Bundle, target: Target) -> Outcome:
    """What would be said of a thread that stands there already, had it been replayed."""
    records = _Whole(bundle)
    outline = outline_of(bundle)
    found = await _compare(records, target, outline)
    losses = losses_of(bundle, outline, found.differences)
    return Outcome(
        fidelity="replayed",
        exact=found.differences.none,
        head=found.head,
        checkpoints=found.count,
        losses=tuple(losses),
        attempts=0,
    )


class _Whole:
    """A bundle's root checkpoints, from the oldest and from the newest."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def __iter__(self) -> Iterator[Checkpoint]:
        return root_checkpoints(self._bundle)

    def __reversed__(self) -> Iterator[Checkpoint]:
        return root_checkpoints(reversed(self._bundle.spool))


class _Newest(_Whole):
    """Only the newest of them."""

    def __iter__(self) -> Iterator[Checkpoint]:
        return reversed(self)

    def __reversed__(self) -> Iterator[Checkpoint]:
        for record in super().__reversed__():
            yield record
            return


class _Found(Struct):
    """What a target holds of a thread."""

    differences: Differences
    head: str | None = None
    count: int = 0


class _Attempt(Struct):
    """`known`: what was known of the graph when it began."""

    method: Method
    known: GraphMemory
    outline: Outline
    performed: Performed
    found: _Found | None

    @property
    def stands(self) -> bool:
        return self.performed.refused is None and not self.performed.unstaged

    @property
    def weight(self) -> int:
        found = 0 if self.found is None else self.found.differences.weight
        # One that was refused, or has a step that nobody took, is worse than any that stands.
        return found if self.stands else found + (1 << 90)


class _Replay:
    def __init__(self, bundle: Bundle, target: Target, graph: GraphMemory, *, verify: bool) -> None:
        self._bundle = bundle
        self._target = target
        self._graph = graph
        self._verify = verify
        self._whole = outline_of(bundle)
        self._attempts = 0
        self._exhausted: Counter[str] = Counter()  # of the last attempt
        self._last: _Attempt | None = None

    async def run(self) -> Outcome:
        if len(self._whole):
            await self._draw()
        untold = self._whole.guesses and not self._graph.equal and not self._graph.unequal
        if untold or Joins(self._graph.topology, self._graph.plain).unclear:
            for _ in plan(self._whole, _Whole(self._bundle), Method.first(self._graph)):
                pass  # only to see which channels have a reducer, and which nodes are joins
        best = await self._climb(Method.first(self._graph), _ATTEMPTS)
        if best.performed.refused is not None:
            method = best.method.copy()
            method.latest, method.fixes = True, {}
            best = await self._climb(method, _ATTEMPTS_AT_LATEST)
        if best is not self._last:
            # As then: what was learnt since might lead elsewhere.
            best = await self._attempt(best.method, best.known)
        if best.performed.refused is not None:
            raise best.performed.refused
        places = [] if best.found is None else best.found.differences.places.values()
        differing = {channel for place in places for channel in place.channels}
        best.method.exhausted = Counter({n: self._exhausted[n] for n in differing})
        best.method.remember()
        return await self._outcome(best)

    async def _climb(self, method: Method, attempts: int) -> _Attempt:
        """The best of some attempts."""
        first = best = attempt = await self._attempt(method)
        vain = 0
        for _ in range(attempts - 1):
            if not attempt.weight or vain == _IN_VAIN:
                break
            if attempt.stands and attempt.found and in_vain(self._graph, attempt.found.differences):
                break
            if not self._improve(method, attempt):
                break
            attempt = await self._attempt(method)
            vain += 1
            if attempt.weight < best.weight:
                best, vain = attempt, 0
        if first.stands and first.found and best.found:
            note_tries(self._graph, first.found.differences, best.found.differences)
        return best

    async def _attempt(self, method: Method, known: GraphMemory | None = None) -> _Attempt:
        if self._attempts:
            await self._target.remove()
        self._attempts += 1
        method = method.copy()
        method.graph = self._graph if known is None else known.copy()
        known = method.graph.copy()
        records, outline = self._records(method)
        if isinstance(self._target, Follower):
            self._target.follow(records, int(outline.based))
        actions = plan(outline, records, method)
        performed = await perform(actions, outline, self._target, method.alone)
        method.graph = self._graph
        found = None
        if self._verify or performed.refused is not None or performed.unstaged:
            found = await _compare(records, self._target, outline)
        self._last = _Attempt(method, known, outline, performed, found)
        return self._last

    def _records(self, method: Method) -> tuple[_Whole, Outline]:
        if not method.latest:
            return _Whole(self._bundle), self._whole
        newest = _Newest(self._bundle)
        return newest, outline_of(newest)

    def _improve(self, method: Method, attempt: _Attempt) -> bool:
        assert attempt.found is not None, "what was not read back has no weight"
        if attempt.performed.unstaged:
            method.stages = False
            return True
        if attempt.performed.refused is not None:
            index = attempt.found.count - attempt.outline.based
            keys, why = attempt.performed.keys, str(attempt.performed.refused)
            if index not in keys:
                return False
            if len(keys) > 1 and index == min(keys) and index not in method.alone:
                method.alone.update(keys)  # any of these may be to blame
                return True
            return improve_refused(method, index, keys[index], why)
        made = attempt.method
        method.staged, method.told, method.written = made.staged, made.told, made.written
        method.taken = made.taken
        method.exhausted = self._exhausted = Counter()
        return improve(method, attempt.found.differences)

    async def _draw(self) -> None:
        if not self._graph.drawn:
            self._graph.topology = await self._target.topology()
            self._graph.drawn = True

    async def _outcome(self, attempt: _Attempt) -> Outcome:
        found = attempt.found
        head = None
        if found is not None:
            head = found.head
        elif len(self._whole):
            head = await self._target.head()
        differences = None if found is None else found.differences
        losses = losses_of(self._bundle, self._whole, differences, attempt.method)
        based = attempt.outline.based
        return Outcome(
            fidelity=_fidelity(attempt.method),
            exact=differences is not None and differences.none and not attempt.method.latest,
            head=head,
            checkpoints=len(attempt.outline) + based if found is None else found.count,
            inserted=(0,) if based else (),
            losses=tuple(losses),
            attempts=self._attempts,
        )


def _fidelity(method: Method) -> Fidelity:
    if method.latest:
        return "latest"
    return "values" if method.by_value else "replayed"


async def _compare(records: _Whole, target: Target, outline: Outline) -> _Found:
    """Reads a thread back, newest first, beside the source's."""
    comparison = Comparison(outline)
    sources = reversed(records)
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
    wanted = len(outline) + outline.based
    if found.count != wanted:
        # Nothing tells which of them stands for which.
        lacking, surplus = max(wanted - found.count, 0), max(found.count - wanted, 0)
        found.differences = Differences(lacking=lacking, surplus=surplus)
    else:
        comparison.finish()
    return found
