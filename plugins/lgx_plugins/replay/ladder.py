"""What to do otherwise, after a thread was written and came out different."""

from __future__ import annotations

from collections.abc import Sequence

from lgx_plugins.replay.actions import Goto
from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.method import RENAMED, Form, GraphMemory, Method

__all__ = ["improve", "improve_refused"]

_CANDIDATES = 6
_LEVELS = 6
_NO_NODE = "does not exist"


def improve(method: Method, differences: Differences) -> bool:
    """Changes the method by what came out different; False where it knows nothing more."""
    wrong = [index for index, place in differences.places.items() if place.channels]
    first = min(wrong, default=len(differences.places) and max(differences.places))
    changed = False
    astray = [i for i, place in differences.places.items() if place.missing or place.extra]
    lost = first in method.staged and bool(wrong) and differences.places[first].still
    if lost and min(astray, default=first) < first:
        wrong = []  # its node was not due, as a step before leads elsewhere
        lost = False
    if lost and not method.fix(first).otherwise:
        # What was stored did not become part of it: its node was not due there.
        method.fix(first).otherwise = changed = True
        wrong = []
    for index in sorted(wrong):
        place = differences.places[index]
        if index in method.told:
            # The results may be those of tasks that had finished, and not of the update.
            method.fix(index).candidate += 1
            changed = True
            continue
        for channel in () if place.given else place.channels:
            if channel in place.literal:
                form = Form.TAIL if method.graph.reduces(channel) else Form.VALUE
                changed |= method.fix(index).forms.get(channel) is not form
                method.fix(index).forms[channel] = form
            else:
                messages = channel in place.messages
                changed |= _next_form(method, index, channel, messages=messages)
    held = {name for place in differences.places.values() for name in place.held}
    for index, place in differences.places.items():
        # Dropped by an input, and due even after the step that follows it.
        held.update(set(place.extra).intersection(differences.cut.get(index - 1, ())))
    if not held <= method.held and method.stages:
        method.held |= held
        return True  # what is next at other steps may follow from these
    for index, place in sorted(differences.places.items()):
        if index <= first and (place.extra or place.missing):
            changed |= _reroute(method, index, place)
    return changed


def improve_refused(method: Method, index: int, key: frozenset[str], why: str) -> bool:
    """Changes how a step is sent that the target refused, and how all steps of its nodes are
    once a second one is; False where nothing is left.

    Args:
        key: names the nodes.
    """
    level = max(method.fix(index).level, method.levels.get(key, 0)) + 1
    if _NO_NODE in why:
        level = max(level, RENAMED)
    method.fix(index).level = level
    if method.refused.setdefault(key, index) != index:
        method.levels[key] = level
    return level <= _LEVELS


def _next_form(method: Method, index: int, channel: str, *, messages: bool) -> bool:
    fix = method.fix(index)
    forms = _order(method.graph, channel, messages=messages)
    form = fix.forms.get(channel) or method.forms.get(channel) or forms[0]
    at = forms.index(form) if form in forms else 0
    if at + 1 == len(forms):
        return False
    fix.forms[channel] = forms[at + 1]
    return True


def _order(graph: GraphMemory, channel: str, *, messages: bool) -> Sequence[Form]:
    """The forms in the order in which they are tried."""
    if messages:
        return (Form.MESSAGES, Form.REPLACED, Form.WRITTEN, Form.OVERWRITE, Form.VALUE)
    if graph.reduces(channel):
        return (Form.MESSAGES, Form.OVERWRITE, Form.TAIL, Form.VALUE)
    return (Form.MESSAGES, Form.VALUE, Form.OVERWRITE, Form.TAIL)


def _reroute(method: Method, index: int, place: Difference) -> bool:
    """Changes where a step leads."""
    fix = method.fix(index)
    if place.detached or (place.extra and not place.by_tasks):
        if fix.candidate < _CANDIDATES:
            fix.candidate += 1
            return True
        if place.detached:
            return False  # a branch takes no commands
    sent = list(place.sent)
    gotos = list(fix.gotos)
    for name in place.missing:
        if name in sent:
            sent.remove(name)
            gotos.append(Goto(name, sent=True))
        elif Goto(name) not in gotos:
            gotos.append(Goto(name))
            if place.by_tasks and len(place.ran) == 1:
                method.routed.add(place.ran[0])
    if place.all_sent and place.by_tasks and len(place.ran) == 1:
        method.sending.add(place.ran[0])
    changed = fix.gotos != tuple(gotos)
    fix.gotos = tuple(gotos)
    return changed
