"""Entries: a thread, and a record, as a ledger has them."""

from __future__ import annotations

from msgspec import Struct

from lgx.verification.fingerprint import Head
from lgx.verification.identities import text_of_id

__all__ = ["Entry", "Row"]


class Entry(Struct, frozen=True):
    """A thread of a ledger.

    Attributes:
        origin: the id that it had where it came from, if it was rebuilt under another one.
        mark: digest of what lgx keeps in it on a server; None where that is nothing.
        fidelity: how far it was rebuilt; None where it was not.
        source: identity of where it came from.
        graph: digest of the graph id that it had where it came from, if it has another one.
        unfinished: whether rebuilding it was cut short.
        names, digests, settled: of its own record; without names it has none.
    """

    id: bytes
    number: int
    origin: bytes | None = None
    mark: bytes | None = None
    fidelity: str | None = None
    source: str | None = None
    graph: bytes | None = None
    unfinished: bool = False
    status: str | None = None
    names: tuple[str, ...] | None = None
    digests: bytes = b""
    settled: dict[str, bytes] = {}

    @property
    def thread_id(self) -> str:
        return text_of_id(self.id)


class Row(Struct, frozen=True):
    """A record of a ledger; `copy` counts those that bear the same ids."""

    kind: str
    place: bytes
    id: bytes
    copy: int
    head: Head
    names: tuple[str, ...]
    digests: bytes
    settled: dict[str, bytes]
