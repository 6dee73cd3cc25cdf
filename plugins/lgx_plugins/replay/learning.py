"""What a source's history shows of its graph."""

from __future__ import annotations

from collections import Counter

from lgx_plugins.replay.method import Method
from lgx_plugins.replay.parent import Parent
from lgx_plugins.replay.steps import Step

__all__ = ["learn"]


def learn(step: Step, parent: Parent | None, method: Method) -> None:
    """Notes what a step shows of channels, and of what comes next."""
    graph = method.graph
    graph.seen.update(task.name for task in step.tasks)
    if parent is None or step.source != "loop":
        return
    if parent.hidden:  # others may have written to the same channels, and led elsewhere
        method.written.update({channel for task in parent.tasks for channel in task.result or ()})
        return
    if len(parent.tasks) == 1:
        graph.successors[parent.tasks[0].name] = step.next
    writes = [write for task in parent.tasks for write in task.writes or ()]
    counts = Counter(channel for channel, _ in writes)
    method.written.update(counts.keys())
    for channel, value in writes:
        if counts[channel] == 1 and step.values.get(channel) == value:
            graph.equal[channel] += 1
        else:
            graph.unequal[channel] += 1
