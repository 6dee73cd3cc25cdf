"""What to do otherwise, after a thread was written and came out different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lgx_plugins.replay.actions import Goto
from lgx_plugins.replay.differences import Difference, Differences
from lgx_plugins.replay.method import RENAMED, Form, GraphMemory, Method

__all__ = ["improve", "improve_refused"]

_CANDIDATES = 6
_LEVELS = 6
_REFUSED = 2  # kinds of steps that are, above which all are sent by value
_NO_NODE = "does not exist"


def improve(method: Method, differences: Differences) -> bool:
    """Changes the method by what came out different; False where it knows nothing more."""
    places = sorted(differences.places.items())
    wrong = [index for index, place in places if place.channels]
    astray = [index for index, place in places if place.missing or place.extra]
    first = wrong[0] if wrong else astray[-1] if astray else -1
    changed = False
    _know_hopeless(method, differences)
    for index in wrong:
        place = differences.places[index]
        sent = method.fixes.get(index)
        if index not in method.staged or not place.still or sent is None or not sent.forms:
            # A hidden node may have written besides, and a task what was there before.
            changed |= _send_otherwise(method, index, place)
        elif not astray or astray[0] >= index:
            changed |= _unstage(method, index)
            break
        # else its node was not due there, as a step before leads elsewhere
    held = {name for place in differences.places.values() for name in place.held}
    for index, place in places:
        # Dropped by an input, and due even after the step that follows it.
        held.update(set(place.extra).intersection(differences.cut.get(index - 1, ())))
    if not held <= method.held and method.stages:
        method.held |= held
        return True  # what is next at other steps may follow from these
    led = [(i, place) for i, place in places if i <= first and (place.extra or place.missing)]
    own = [(i, place) for i, place in led if not place.inherited]
    # What comes of one that leads elsewhere is right as soon as that is.
    for index, place in own or led:
        changed |= _reroute(method, index, place)
    return changed


def _know_hopeless(method: Method, differences: Differences) -> None:
    """Those that came out different in all threads before, and at every step of this one."""
    counts = Counter(name for place in differences.places.values() for name in place.channels)
    method.hopeless = {
        name for name in method.graph.hopeless if counts[name] >= method.written[name]
    }


def _unstage(method: Method, index: int) -> bool:
    """Stages a step no longer whose writes did not become part of it; and none, where that
    happens again."""
    if any(fix.otherwise for fix in method.fixes.values()):
        changed, method.stages = method.stages, False
        return changed
    method.fix(index).otherwise = True
    return True


def _send_otherwise(method: Method, index: int, place: Difference) -> bool:
    """Changes how the channels are sent that differ at one step."""
    fix = method.fix(index)
    if index in method.told:
        # The results may be those of tasks that had finished, and not of the update.
        return method.take_others(index)
    changed = False
    for channel in () if place.given else place.channels:
        if channel in method.hopeless:
            continue
        if channel in place.literal:
            changed |= fix.forms.get(channel) is not Form.VALUE
            fix.forms[channel] = Form.VALUE
        else:
            messages = channel in place.messages
            more = _next_form(method, index, channel, messages=messages)
            method.exhausted[channel] += not more
            changed |= more
    return changed


def improve_refused(method: Method, index: int, key: frozenset[str], why: str) -> bool:
    """Changes how a step is sent that the target refused, and how all steps of its nodes are
    once a second one is; False where nothing is left.

    Args:
        key: names the nodes.
    """
    known = method.graph.levels
    if method.level(index, key) < known.get(key, 0):
        for nodes, needed in known.items():  # what other threads needed, this one needs
            method.levels[nodes] = max(needed, method.levels.get(nodes, 0))
        return True
    level = method.level(index, key) + 1
    if _NO_NODE in why:
        level = max(level, RENAMED)
    method.fix(index).level = level
    if method.refused.setdefault(key, index) != index:
        method.levels[key] = level
    if len(method.refused) > _REFUSED:
        method.floor = 1
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
        return (Form.MESSAGES, Form.OVERWRITE, Form.VALUE, Form.TAIL)
    return (Form.MESSAGES, Form.VALUE, Form.OVERWRITE, Form.TAIL)


def _reroute(method: Method, index: int, place: Difference) -> bool:
    """Changes where a step leads."""
    fix = method.fix(index)
    # Of others it is a guess which node made them, or which bears its name there.
    known = place.by_tasks and place.ran and index not in method.taken
    if place.detached or (place.extra and not known):
        if method.take_others(index, _CANDIDATES):
            return True
        if place.detached:
            return False  # a branch takes no commands
    if place.extra and not fix.by_edge and method.sending.issuperset(place.ran):
        fix.by_edge = True
        return True
    sent = list(place.sent)
    gotos = list(fix.gotos)
    for name in place.missing:
        if name in sent:
            sent.remove(name)
            gotos.append(Goto(name, sent=True))
        elif Goto(name) not in gotos:
            gotos.append(Goto(name))
            leading = _leading(method, place, name)
            if place.by_tasks and len(leading) == 1:
                method.routed |= leading
    if place.all_sent and place.by_tasks and len(place.ran) == 1:
        method.sending.add(place.ran[0])
    changed = fix.gotos != tuple(gotos)
    fix.gotos = tuple(gotos)
    return changed


def _leading(method: Method, place: Difference, name: str) -> set[str]:
    """The nodes that have run and a command of which may have named this one."""
    ran = set(place.ran)
    topology = method.graph.topology
    if len(ran) == 1 or topology is None:
        return ran
    named = {edge.source for edge in topology.edges if edge.target == name and edge.conditional}
    return ran & named
