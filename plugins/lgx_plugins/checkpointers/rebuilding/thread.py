"""One thread, rebuilt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct, UnsetType

from lgx import Bundle, Checkpoint, Loss, Origin, Record, Spool, Thread, ThreadOrigin
from lgx_plugins.checkpointers.rebuilding.questions import Asked, put_questions, unplaced
from lgx_plugins.checkpointers.rebuilding.rows import ThreadRows
from lgx_plugins.checkpointers.rebuilding.target import GraphTarget
from lgx_plugins.replay import GraphMemory, Outcome, RefusedError, replay_thread
from lgx_plugins.replay.steps import root_checkpoints

__all__ = ["Copy", "rebuild"]

_BATCH = 100
_FORCED = " as tasks wrote them"


class Copy(Struct):
    """What came of it: its rows are in a spool.

    Attributes:
        origin: what its checkpoints were called, where they are called otherwise now.
    """

    losses: tuple[Loss, ...]
    fidelity: str
    origin: ThreadOrigin | None


class _Attempt(Struct):
    target: GraphTarget
    rows: ThreadRows
    outcome: Outcome


async def rebuild(
    bundle: Bundle,
    graph: Any,
    memory: GraphMemory,
    plain: GraphMemory,
    spool: Spool,
    *,
    compare: bool,
) -> Copy:
    """
    Args:
        graph: compiled.
        plain: in place of `memory` where values stay the JSON that they came as.
        spool: takes the rows.
        compare: whether it is read back and compared.

    Raises:
        ThreadError: the graph cannot take it in any way that is known.
    """
    with ExitStack() as stack:
        best: _Attempt | None = None
        refused: RefusedError | None = None
        # Where it comes out different, the names of the source, or the objects that the graph
        # declares, may be what it cannot be rebuilt with.
        for keep, declared in ((True, True), (True, False), (False, True)):
            if best is not None and not (
                (best.target.kept and not best.outcome.exact)
                if declared
                else best.target.has_objects
            ):
                continue
            rows = stack.enter_context(closing(ThreadRows()))
            target = GraphTarget(graph, bundle.thread_id, rows, keep=keep, declared=declared)
            try:
                known = memory if declared else plain
                outcome = await replay_thread(bundle, target, known, verify=compare)
            except RefusedError as error:
                refused = refused or error
                continue
            if best is None or _rank(outcome) < _rank(best.outcome):
                best = _Attempt(target, rows, outcome)
            if not compare or _rank(best.outcome) == (False, False):
                break
        if best is None:
            assert refused is not None, "or there would be one that stands"
            raise refused
        return await _finish(bundle, best.target, best.outcome, best.rows, spool)


def _rank(outcome: Outcome) -> tuple[bool, bool]:
    """The less the better: whether it is another, and whether reducers did not make it."""
    return not outcome.exact, any(loss.what.endswith(_FORCED) for loss in outcome.losses)


async def _finish(
    bundle: Bundle, target: GraphTarget, outcome: Outcome, rows: ThreadRows, spool: Spool
) -> Copy:
    made = [one for number, one in enumerate(target.ids()) if number not in outcome.inserted]
    if outcome.fidelity == "latest":
        asked = await put_questions(_newest(bundle), made[-1:], target)
    elif len(made) == sum(1 for _ in root_checkpoints(bundle)):
        asked = await put_questions(root_checkpoints(bundle), made, target)
    else:
        asked = unplaced(root_checkpoints(bundle))
    batch: list[Record] = []
    for record in rows.records(bundle.thread_id):
        batch.append(record)
        if len(batch) == _BATCH:
            spool.extend(batch)
            batch = []
    spool.extend(batch)
    return Copy(
        losses=(*_true(outcome, target), *_losses(bundle.thread_id, target, asked)),
        fidelity=outcome.fidelity,
        origin=None if target.kept else _origin(bundle),
    )


def _true(outcome: Outcome, target: GraphTarget) -> Iterator[Loss]:
    """Without that of channels whose values were made what they had been."""
    made = tuple(f"of channel {channel!r} of graph " for channel in target.made)
    for loss in outcome.losses:
        if not (loss.what.endswith(" as such") and any(one in loss.what for one in made)):
            yield loss


def _newest(bundle: Bundle) -> Iterator[Checkpoint]:
    return islice(root_checkpoints(reversed(bundle.spool)), 1)


def _losses(thread_id: str, target: GraphTarget, asked: Asked) -> Iterator[Loss]:
    if asked.later:
        yield Loss(
            what=f"answers to earlier questions of {', '.join(sorted(set(asked.later)))}",
            why="no API gives them: where the thread waits for a later one, its node asks from the "
            "first on when it is run without an input",
            thread_id=thread_id,
            holdable=False,
        )
    if asked.inside:
        yield Loss(
            what=f"questions inside of {', '.join(sorted(set(asked.inside)))}",
            why="updates make no checkpoints of subgraphs: such a graph runs from its beginning, "
            "and asks again, when the thread is run without an input",
            thread_id=thread_id,
            holdable=False,
        )
    if asked.unplaced:
        yield Loss(
            what=f"questions and errors of {asked.unplaced} task{'s' * (asked.unplaced != 1)}",
            why="the graph has no task there that they could be put at",
            thread_id=thread_id,
            holdable=False,
        )
    if not target.kept:
        yield Loss(
            what="ids, times and metadata of its checkpoints",
            why="they are no UUIDs in the order of their checkpoints, or it could not be rebuilt "
            "with them; the report (--report FILE) has the old ones",
            thread_id=thread_id,
            holdable=False,
        )


def _origin(bundle: Bundle) -> ThreadOrigin:
    thread = next((record for record in bundle if isinstance(record, Thread)), None)
    return ThreadOrigin(
        created_at=thread.created_at if thread is not None else None,
        updated_at=thread.updated_at if thread is not None else None,
        checkpoints=tuple(map(_origin_of, root_checkpoints(bundle))),
    )


class _Metadata(Struct):
    run_id: str | None = None


def _origin_of(record: Checkpoint) -> Origin:
    made = _Metadata()
    if not isinstance(record.metadata, UnsetType):
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            made = msgspec.json.decode(record.metadata, type=_Metadata)
    return Origin(record.checkpoint_id, record.created_at, made.run_id)
