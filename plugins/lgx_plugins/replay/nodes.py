"""Under which node's name an update is sent, where the source does not tell."""

from __future__ import annotations

from typing import TypeAlias

from lgx_plugins.replay.actions import Writes
from lgx_plugins.replay.method import GraphMemory
from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.steps import END, Step

__all__ = ["Named", "candidates", "unseen", "variants"]

START = "__start__"

Named: TypeAlias = tuple[tuple[str, Writes | None], ...]
"""The nodes of a step, and what each wrote."""

_LIKELY = 3  # how many of the candidates are tried before what may have been left over


def variants(step: Step, parent: Parent | None, graph: GraphMemory) -> list[Named]:
    """Under which nodes a step may have been made, the likeliest first; at least one.

    A run's step is that of all tasks that were due. Somebody's update may be of tasks that
    have results by it, or of a node that no task tells of, beside results of tasks that had
    finished and were not applied.
    """
    tasks = [] if parent is None else sorted(parent.tasks, key=lambda task: task.order)
    if parent is not None and step.source != "update":
        # A run goes on when all have finished: what has no result beside others did not run.
        done = [task for task in tasks if task.result is not None]
        told = [(task.name, task.writes) for task in done or tasks]
        told += [(node, ()) for node in parent.hidden]
        if told:
            return [tuple(told)]
    unknown: list[Named] = [((node, ()),) for node in candidates(step, parent, graph)]
    ended = tuple((task.name, task.writes) for task in tasks if task.result is not None)
    if parent is None or step.source != "update" or not ended:
        return unknown
    known: list[Named] = [ended]
    if len(ended) < len(tasks):
        known.append((*ended, (END, None)))  # all that was due was dropped, and this applied
    if len(ended) > 1:
        known += [(one,) for one in ended]
    if len(ended) < len(tasks) and step.next == parent.next:
        return [*unknown[:_LIKELY], *known, *unknown[_LIKELY:]]
    return known + unknown


def candidates(step: Step, parent: Parent | None, graph: GraphMemory) -> list[str]:
    """The nodes that may have made this checkpoint, the likeliest first; at least one.

    `__end__` is among them where nothing but the tasks that were due went away.
    """
    found: list[str] = []
    known = graph.topology.nodes if graph.topology is not None else frozenset[str]()
    if parent is not None:
        if step.source != "update":
            found += _after(parent, graph)
            leading = _leading(step, graph)
            found += sorted(unseen(graph), key=lambda node: node not in leading)
        elif _cleared(step, parent):
            found.append(END)
        if step.next == parent.next:
            found += reversed(parent.producers)
    if parent is None:
        found += _leading(step, graph)
    found += [node for node, after in graph.successors.items() if after == step.next]
    if parent is not None:
        found += parent.next
        found += reversed(parent.producers)
    found += _leading(step, graph)
    found += graph.successors
    found += sorted(known - {END, START})
    found.append(START)
    usable = [node for node in found if node in (START, END) or not known or node in known]
    return [node for node in dict.fromkeys(usable) if node not in ("__input__", "__copy__")]


def unseen(graph: GraphMemory) -> list[str]:
    """Nodes that no history has shown to be due: among them are the joins."""
    known = graph.topology.nodes if graph.topology is not None else frozenset[str]()
    return sorted(known - graph.seen - {END, START})


def _cleared(step: Step, parent: Parent) -> bool:
    """Whether somebody may have dropped what was due, if anything was, and done nothing else."""
    return not step.next and not parent.changed(step.values)


def _after(parent: Parent, graph: GraphMemory) -> list[str]:
    """Nodes that follow those that have just run, joins first."""
    if graph.topology is None or parent.next:
        return []
    sources: dict[str, set[str]] = {}
    for edge in graph.topology.edges:
        if edge.source in parent.producers and edge.target != END and not edge.conditional:
            sources.setdefault(edge.target, set()).add(edge.source)
    return sorted(sources, key=lambda node: (node in graph.seen, -len(sources[node])))


def _leading(step: Step, graph: GraphMemory) -> list[str]:
    """Nodes whose edges lead where this checkpoint leads, and nowhere else."""
    if graph.topology is None:
        return []
    wanted = set(step.next) or {END}
    found = []
    for node in sorted(graph.topology.nodes - {END, START}):
        edges = [edge for edge in graph.topology.edges if edge.source == node]
        if {edge.target for edge in edges} == wanted and not any(e.conditional for e in edges):
            found.append(node)
    return found
