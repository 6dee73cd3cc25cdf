"""The checkpoint that the next one is made of."""

from __future__ import annotations

from msgspec import Raw

from lgx_plugins.replay.steps import Step, Task, Values

__all__ = ["Parent"]


class Parent:
    """A checkpoint with children to come.

    Attributes:
        producers: the nodes whose updates made it.
        stale: channels whose value differs on the target by then.
        values: None for one that is kept for long.
    """

    def __init__(self, step: Step, producers: tuple[str, ...], stale: frozenset[str]) -> None:
        self.index = step.index
        self.source = step.source
        self.next = step.next
        self.tasks: tuple[Task, ...] = step.tasks
        self.values: Values | None = step.values
        self.producers = producers
        self.stale = stale
        self._digests: dict[str, int] = {}

    def shrunk(self) -> Parent:
        """The same without its bulk, to be kept until it gets another child."""
        if self.values is None:
            return self
        kept = object.__new__(Parent)
        kept.__dict__.update(self.__dict__)
        kept.values = None
        kept.tasks = tuple(Task(task.name, task.path, None) for task in self.tasks)
        kept._digests = {name: hash(bytes(value)) for name, value in self.values.items()}
        return kept

    def changed(self, values: Values) -> list[str]:
        """The channels that have another value here than in `values`, of those that are there."""
        if self.values is None:
            digests = self._digests
            return [name for name, value in values.items() if digests.get(name) != _digest(value)]
        before = self.values
        return [name for name, value in values.items() if before.get(name) != value]


def _digest(value: Raw) -> int:
    return hash(bytes(value))
