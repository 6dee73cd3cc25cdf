"""What finished tasks wrote beside others that wait: it is not applied before these finish, too."""

from __future__ import annotations

from lgx_plugins.replay.actions import Update, Writes
from lgx_plugins.replay.messages import cleaned, messages_of
from lgx_plugins.replay.method import Method
from lgx_plugins.replay.steps import Step, Task

__all__ = ["unfinished"]


def unfinished(step: Step, method: Method) -> list[Update]:
    """The updates that store it.

    An update takes the first task of its name that has none yet, so those that finished after
    one that waits cannot be told of. Nor is it told where a command of theirs leads: nodes that
    are known to give commands have to run again.
    """
    if all(task.result is not None for task in step.tasks):
        return []
    held = method.routed | method.sending
    unsure = method.graph.choosing.difference(method.graph.successors)
    updates = []
    for task in step.tasks:
        if task.result is None:
            held.add(task.name)
        elif task.name not in held:
            method.unled |= unsure & {task.name}
            updates.append(Update(task.name, _writes(task, step, method)))
    return updates


def _writes(task: Task, step: Step, method: Method) -> Writes:
    """What a task wrote; messages as their reducer takes them."""
    return tuple(
        (channel, cleaned(value) if _of_messages(channel, step, method) else value)
        for channel, value in task.writes or ()
    )


def _of_messages(channel: str, step: Step, method: Method) -> bool:
    """Whether a channel holds messages that its reducer makes of what it is given."""
    value = step.values.get(channel)
    return value is not None and channel not in method.data and messages_of(value) is not None
