"""The checkpoint that the next one is made of."""

from __future__ import annotations

from msgspec import Raw, Struct, structs

from lgx_plugins.replay.joins import Arrived
from lgx_plugins.replay.steps import Step, Task, Values

__all__ = ["Parent"]


class Parent(Struct, frozen=True, kw_only=True):
    """A checkpoint with children to come.

    Attributes:
        producers: the nodes whose updates made it.
        stale: channels that have another value on the target by then.
        arrived: how far the joins of the graph are.
        hidden: nodes that are due besides those in `next`.
        dropped: nodes that were due before an input, and that are due on the target until
            the next step; `left`: those that stay due after it.
        values: None for one that is kept for long, with `digests` in its place, and
            `lists`: size and digest of the text of each list, but for its end.
        blind: names of tasks that are due and get there nothing, in place of something of
            their own that no history tells.
        told: see `Step`.
    """

    index: int
    source: str
    next: tuple[str, ...]
    tasks: tuple[Task, ...]
    values: Values | None
    producers: tuple[str, ...]
    stale: frozenset[str]
    arrived: Arrived
    hidden: tuple[str, ...]
    dropped: tuple[str, ...]
    left: tuple[str, ...]
    digests: dict[str, int] = {}
    lists: dict[str, tuple[int, int]] = {}
    blind: frozenset[str] = frozenset()
    told: bool = True

    @classmethod
    def of(
        cls,
        step: Step,
        *,
        producers: tuple[str, ...],
        stale: frozenset[str],
        arrived: Arrived,
        hidden: tuple[str, ...],
        dropped: tuple[str, ...],
        left: tuple[str, ...],
        blind: frozenset[str],
    ) -> Parent:
        return cls(
            index=step.index,
            source=step.source,
            next=step.next,
            tasks=step.tasks,
            values=step.values,
            producers=producers,
            stale=stale,
            arrived=arrived,
            hidden=hidden,
            dropped=dropped,
            left=left,
            blind=blind,
            told=step.told,
        )

    @property
    def pulled(self) -> tuple[str, ...]:
        """The nodes that edges led to."""
        return tuple(task.name for task in self.tasks if not task.pushed)

    def shrunk(self) -> Parent:
        """The same without its bulk, to be kept until it gets another child."""
        return structs.replace(
            self,
            values=None,
            tasks=tuple(structs.replace(task, result=None) for task in self.tasks),
            digests={name: _digest(value) for name, value in (self.values or {}).items()},
            lists={
                name: (len(value) - 1, hash(bytes(value)[:-1]))
                for name, value in (self.values or {}).items()
                if bytes(memoryview(value)[:1]) == b"["
            },
        )

    def added(self, channel: str, value: Raw) -> Raw | None:
        """What a list has at its end that it had not here; None where it is no such list."""
        text = bytes(value)
        before = self.lists.get(channel)
        if self.values is not None:
            held = bytes(self.values.get(channel, Raw()))
            before = (len(held) - 1, hash(held[:-1])) if held[:1] == b"[" else None
        if before is None or text[:1] != b"[" or hash(text[: before[0]]) != before[1]:
            return None
        return Raw(b"[" + text[before[0] :].removeprefix(b","))

    def changed(self, values: Values) -> list[str]:
        """The channels that have another value here than in `values`, of those that are there."""
        if self.values is None:
            digests = self.digests
            return [name for name, value in values.items() if digests.get(name) != _digest(value)]
        before = self.values
        return [name for name, value in values.items() if before.get(name) != value]


def _digest(value: Raw) -> int:
    return hash(bytes(value))
