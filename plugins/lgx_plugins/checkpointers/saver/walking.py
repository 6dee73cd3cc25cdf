"""All checkpoints of one thread, though a checkpointer's list may show only some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from lgx_plugins.checkpointers.saver.access import Access, Unlisted
from lgx_plugins.checkpointers.saver.gathering import Key

__all__ = ["Taking", "walk"]


class Taking(Protocol):
    """What checkpoints are given to."""

    def take(self, item: Any, /) -> None: ...

    def has(self, key: Key, /) -> bool:
        """Whether it was taken."""

    def absent_parents(self) -> Sequence[Key]:
        """Of those that were taken, the parents that were not."""


async def walk(
    access: Access,
    thread_id: str,
    taking: Taking,
    known: Callable[[], Iterable[Key]] = tuple,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Takes what the thread's list gives; then, one by one, those that are known to be there
    and the parents that others name, as far as they are there: a list may be cut off, or show
    one namespace.

    Raises:
        SaverError: the checkpointer raised something; what was taken before stays taken.
        Unlisted: `stopping` said so.
    """
    await access.each({"configurable": {"thread_id": thread_id}}, taking.take, stopping)
    asked: set[Key] = set()

    async def ask(key: Key) -> None:
        if stopping():
            raise Unlisted
        asked.add(key)
        ns, checkpoint_id = (part.decode("utf-8", "surrogatepass") for part in key)
        given = {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}
        item = await access.get_tuple({"configurable": given})
        if item is not None and item.checkpoint.get("id") == checkpoint_id:
            await access.work(taking.take, item)

    for key in known():
        if not taking.has(key):
            await ask(key)
    while wanted := [key for key in taking.absent_parents() if key not in asked]:
        for key in wanted:
            await ask(key)
