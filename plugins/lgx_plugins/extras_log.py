"""Which records of a deployment a file that only grows has taken already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lgx import Bundle, ThreadError

__all__ = ["ExtrasLog"]


class ExtrasLog:
    """The engine offers a kind again, with the whole, where more of it came later."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[int, bytes]] = {}

    def fresh(self, kind: str, bundle: Bundle) -> Iterator[bytes]:
        """The lines that were not taken before; exhausting it makes them so. Of a partial
        bundle, which is added to what there is, all.

        Raises:
            ThreadError: the bundle does not begin with what it held before.
        """
        if bundle.outcome == "partial":
            yield from bundle.lines()
            return
        count, digest = self._taken.get(kind, (0, b""))
        state = hashlib.blake2b(digest_size=16)
        for number, line in enumerate(bundle.lines()):
            if number == count and count and state.digest() != digest:
                raise _changed(kind)
            state.update(line)
            state.update(b"\n")
            if number >= count:
                yield line
        if len(bundle) < count or (len(bundle) == count and count and state.digest() != digest):
            raise _changed(kind)
        self._taken[kind] = (len(bundle), state.digest())


def _changed(kind: str) -> ThreadError:
    return ThreadError(
        f"{kind} records came again, and not those that were written before; run again"
    )
