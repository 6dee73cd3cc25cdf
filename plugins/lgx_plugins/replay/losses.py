"""What a rebuilt thread lacks, as it is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from msgspec import UNSET

from lgx import Bundle, Json, Loss, Thread
from lgx_plugins.replay.differences import Differences
from lgx_plugins.replay.kinds import kinds_of
from lgx_plugins.replay.messages import MOVED, moved
from lgx_plugins.replay.method import GraphMemory, Method
from lgx_plugins.replay.outline import NONE, Outline, outline_of
from lgx_plugins.replay.steps import ROOT, root_checkpoints, values_of

__all__ = ["foresee", "losses_of"]

_BESIDE = (
    "a run that begins anew at an older checkpoint copies it: at the source the copy comes after "
    "that checkpoint, there beside it; what it holds is equal"
)
_EXCUSES = {
    "usage_metadata": ("usage_metadata", "servers move it into additional_kwargs"),
    "invalid_tool_calls": ("invalid_tool_calls", "servers move them into additional_kwargs"),
    "cut": (
        "what an input dropped",
        "an update as input leaves it due until the next step, where a run does not",
    ),
    "phantom": (
        "tasks that are shown as due and did not run",
        "a join's rows held what arrived later, so that its node shows too early; no update does",
    ),
    "waiting": (
        "the results of finished tasks",
        "beside tasks that wait no update tells of them, so that they run again",
    ),
    "step": (
        "the step number",
        "the history begins in the middle or leaves numbers out; servers count from the beginning",
    ),
    "fork": ("what copies hang from", _BESIDE),
}
"""What servers cannot be given, and why, by the name under which it is excused."""


def foresee(bundle: Bundle, graph: GraphMemory | None = None) -> Iterator[Loss]:
    """What will be lost of a thread whatever its target is, told from its records alone.

    Args:
        graph: what is told of the thread's graph already: then what is told once for all of its
            threads is told as well.

    Raises:
        ThreadError: a record is not what an API gives.
    """
    outline = outline_of(bundle)
    yield from _unwritable(outline, bundle.thread_id)
    found = _unlinked(outline)
    for record in root_checkpoints(bundle):
        for value in values_of(record.values).values():
            found.update(moved(value))
        if found >= MOVED.keys():
            break
    for name in sorted(found):
        what, why = _EXCUSES[name]
        yield Loss(what=what, why=why, thread_id=bundle.thread_id, holdable=False)
    if graph is not None:
        yield from _made_data(bundle, graph)
        yield from _untracked(bundle, graph)


def _unlinked(outline: Outline) -> set[str]:
    """What follows from how a thread's checkpoints hang together, as it is excused later."""
    found: set[str] = set()
    if any(outline.parents[index] == base for index, base in outline.copied.items()):
        found.add("fork")
    if any(outline.base(index) != NONE for index in outline.jumps):
        found.add("step")
    return found


def losses_of(
    bundle: Bundle,
    outline: Outline,
    differences: Differences | None,
    method: Method | None = None,
) -> Iterator[Loss]:
    """What a thread lacks after it was written.

    Args:
        differences: None where it was not compared.
        method: how it was written; None where it was there already.
    """
    thread_id = bundle.thread_id
    yield from _unwritable(outline, thread_id)
    if method is not None:
        yield from _of_method(outline, method, thread_id)
        yield from _made_data(bundle, method.graph, method.plain)
        yield from _untracked(bundle, method.graph)
        yield from _put_in_place(bundle, method)
    if differences is None:
        return
    found = {name for excused in differences.excused for name in excused.split(" and ")}
    for name in sorted(found):
        what, why = _EXCUSES[name]
        yield Loss(what=what, why=why, thread_id=thread_id, holdable=False)
    yield from _differing(differences, thread_id)


def _of_method(outline: Outline, method: Method, thread_id: str) -> Iterator[Loss]:
    """What the way to write a thread cannot carry."""
    if method.guessed:
        yield Loss(
            what="the input of waiting tasks",
            why="no history tells what a command sent, what a function is called with, or what no "
            "task has taken yet: these tasks, and finished ones beside them, would run with none; "
            "the thread cannot be resumed",
            thread_id=thread_id,
            holdable=False,
        )
    if method.due_again:
        yield Loss(
            what=f"that {', '.join(sorted(method.due_again))} had run",
            why="updates cannot tell it, so that these nodes run again in the thread's next run",
            thread_id=thread_id,
            holdable=False,
        )
    if method.unled:
        yield Loss(
            what=f"where {', '.join(sorted(method.unled))} would lead",
            why="tasks beside one that waits have finished, and no history tells whether a command "
            "of theirs names what comes next: edges and functions alone are followed",
            thread_id=thread_id,
            holdable=False,
        )
    if method.latest and len(outline) > 1:
        count = len(outline) - 1
        yield _lost(_checkpoints(count), "the target refused them", thread_id, count)


def _made_data(bundle: Bundle, graph: GraphMemory, plain: Iterable[str] = ()) -> Iterator[Loss]:
    """What stays data, told once for a channel: what is true of one thread is of the others.

    Args:
        plain: channels with messages of which nothing there makes messages.
    """
    values, kept = _states(bundle)
    found = {(channel, "messages") for channel in plain}
    found.update(kinds_of(values, kept))
    new = [item for item in sorted(found) if _first_told(item, bundle, graph)]
    for channel, items in groupby(new, key=itemgetter(0)):
        kinds = " and ".join(kind for _, kind in items)
        yield Loss(
            what=f"{kinds} of channel {channel!r} of graph {graph.name!r} as such",
            why="a history gives JSON, of which nothing there makes them again: they are plain "
            "data in all threads of that graph, where nodes that expect more may fail",
            holdable=False,
        )


def _untracked(bundle: Bundle, graph: GraphMemory) -> Iterator[Loss]:
    """Channels that only the thread itself has, told once."""
    values, kept = map(values_of, _states(bundle))
    for channel in sorted(kept.keys() - values.keys() - {ROOT} if values else ()):
        if _first_told((channel, "untracked"), bundle, graph):
            yield Loss(
                what=f"channel {channel!r} of graph {graph.name!r}",
                why="the thread's own values hold it and its newest checkpoint does not, so that "
                "no update brings it back",
                holdable=False,
            )


def _states(bundle: Bundle) -> tuple[Json, Json]:
    """The values of a thread's newest checkpoint, and those that the thread itself has."""
    thread = next((record for record in bundle if isinstance(record, Thread)), None)
    newest = next(root_checkpoints(reversed(bundle.spool)), None)
    values = UNSET if newest is None else newest.values
    return values, UNSET if thread is None else thread.values


def _put_in_place(bundle: Bundle, method: Method) -> Iterator[Loss]:
    """Steps that were refused as tasks wrote them, told once for their nodes."""
    graph = method.graph
    for key in sorted(method.forced, key=sorted):
        item = (", ".join(sorted(key)), "steps")
        if key not in method.refused and item not in graph.told:
            continue  # another thread was refused, which may have been its own fault
        if _first_told(item, bundle, graph):
            yield Loss(
                what=f"steps of node {item[0]} of graph {graph.name!r} as tasks wrote them",
                why="the target refused them, and their values were put in place: where a reducer "
                "there does not take what JSON makes of its values, the next run fails at them",
                holdable=False,
            )


def _first_told(item: tuple[str, str], bundle: Bundle, graph: GraphMemory) -> bool:
    """Whether this thread is the one that tells it: again, if it is written again."""
    return graph.told.setdefault(item, bundle.thread_id) == bundle.thread_id


def _unwritable(outline: Outline, thread_id: str) -> Iterator[Loss]:
    if outline.elsewhere:
        yield Loss(
            what=f"{_checkpoints(outline.elsewhere)} of subgraphs",
            why="no update of a thread makes checkpoints of other namespaces",
            thread_id=thread_id,
            checkpoints=outline.elsewhere,
            holdable=False,
        )
    if outline.orphans:
        yield Loss(
            what=f"what {_checkpoints(outline.orphans)} came from",
            why="the history has no parent of them; they were built upon what stood before",
            thread_id=thread_id,
            holdable=False,
        )


def _differing(differences: Differences, thread_id: str) -> Iterator[Loss]:
    places = differences.places.values()
    counts: Counter[str] = Counter()
    for place in places:
        counts.update(f"channel {channel!r}" for channel in place.channels)
        counts.update(["next"] if place.missing or place.extra else [])
        counts.update(name for name in ("step", "source", "parent") if getattr(place, name))
    for name, count in sorted(counts.items()):
        yield _lost(f"{name} of {_checkpoints(count)}", "came out different", thread_id, 0)
    if differences.lacking:
        count = differences.lacking
        yield _lost(_checkpoints(count), "the target did not take them", thread_id, count)
    if differences.surplus:
        count = differences.surplus
        why = "the target has them besides those of the source"
        yield _lost(_checkpoints(count), why, thread_id, 0)


def _lost(what: str, why: str, thread_id: str, checkpoints: int) -> Loss:
    return Loss(what=what, why=why, thread_id=thread_id, checkpoints=checkpoints)


def _checkpoints(count: int) -> str:
    return f"{count} checkpoint{'s' * (count != 1)}"
