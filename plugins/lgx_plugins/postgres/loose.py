"""Checkpoints that a table keeps in no order, and some of them twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from lgx import Loss
from lgx_plugins.lineage import parents_first
from lgx_plugins.postgres.streaming import Cells

__all__ = ["Chosen"]

_Identity: TypeAlias = tuple[bytes | None, bytes]


class Chosen:
    """Which rows of an older tool's table are read, and in which order.

    Each of its runs appended all checkpoints once more: of those with one identity the
    newest comes, in the place of the first.
    """

    def __init__(self) -> None:
        self._parents: dict[bytes, dict[_Identity, _Identity | None]] = {}
        self._places: dict[bytes, dict[_Identity, bytes]] = {}
        self._nameless: dict[bytes, list[bytes]] = {}
        self._doubled: dict[bytes, int] = {}

    def add(self, rows: Iterable[Cells]) -> None:
        """Takes rows of `Layout.lineage`, in their order."""
        for key, place, namespace, checkpoint_id, parent in rows:
            assert key is not None
            assert place is not None
            if checkpoint_id is None:
                self._nameless.setdefault(key, []).append(place)
                continue
            identity = namespace, checkpoint_id
            places = self._places.setdefault(key, {})
            if identity in places:
                self._doubled[key] = self._doubled.get(key, 0) + 1
            places[identity] = place
            self._parents.setdefault(key, {})[identity] = (
                None if parent is None else (namespace, parent)
            )

    def rows(self) -> str:
        """SQL for the places of rows with their number, named `w`."""
        places: list[bytes] = []
        for key in dict.fromkeys((*self._parents, *self._nameless)):
            held = self._places.get(key, {})
            places += [held[identity] for identity in parents_first(self._parents.get(key, {}))]
            places += self._nameless.get(key, ())
        quoted = ",".join(f'"{place.decode()}"' for place in places)
        return f"unnest('{{{quoted}}}'::tid[]) WITH ORDINALITY AS w (place, number)"

    def doubled(self, thread_ids: Mapping[bytes, str]) -> Iterator[tuple[bytes, Loss]]:
        """What is passed over, by key of the thread."""
        for key, count in self._doubled.items():
            yield (
                key,
                Loss(
                    what=f"{count} doubled checkpoints",
                    why="they stand in the table under an identity that another row of the "
                    "thread has; the newest of each came",
                    thread_id=thread_ids[key],
                    checkpoints=count,
                    holdable=False,
                ),
            )
