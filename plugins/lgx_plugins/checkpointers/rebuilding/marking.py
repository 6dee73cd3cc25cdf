"""What the mark of a rebuilt thread says besides: which graph made it, and whether it was compared.

Another graph would make another copy, and a run that compares all does not take a copy that
nobody looked at for its own. So the fingerprint in such a mark is the run's and an end of its own,
which is taken off again where this run would have made the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from lgx import Mark
from lgx_plugins.checkpointers.rebuilding.options import GraphName

__all__ = ["Marking"]

_END = "+"  # in no fingerprint of a run's
_UNCOMPARED = "?"


class Marking:
    """Of the options of one sink."""

    def __init__(self, names: tuple[GraphName, ...], *, compares_all: bool) -> None:
        self._digests = {one.graph_id: _digest(one) for one in names}
        self._compares_all = compares_all

    def of(self, mark: Mark | None, graph_id: str | None, *, compared: bool) -> Mark | None:
        """The mark to be kept of a thread that was rebuilt.

        Args:
            graph_id: of its graph at the source.
        """
        if mark is None:
            return None
        digest = self._digests.get(graph_id) or next(iter(self._digests.values()))
        end = f"{_END}{digest}{'' if compared else _UNCOMPARED}"
        return msgspec.structs.replace(mark, fingerprint=mark.fingerprint + end)

    def known(self, marks: Mapping[str, Mark]) -> Mapping[str, Mark]:
        """Marks that were kept, as a run knows them."""
        return {thread_id: self._known(mark) for thread_id, mark in marks.items()}

    def _known(self, mark: Mark) -> Mark:
        fingerprint, _, end = mark.fingerprint.partition(_END)
        digest = end.removesuffix(_UNCOMPARED)
        if digest not in self._digests.values() or (digest != end and self._compares_all):
            return mark
        return msgspec.structs.replace(mark, fingerprint=fingerprint)


def _digest(name: GraphName) -> str:
    text = msgspec.json.encode((name.graph_id, name.name))
    return hashlib.blake2b(text, digest_size=8).hexdigest()
