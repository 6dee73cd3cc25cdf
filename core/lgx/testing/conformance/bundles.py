"""Bundles and runs as the engine makes them, and one that breaks off in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from lgx.context import Context
from lgx.contracts import RunInfo
from lgx.errors import ThreadError
from lgx.records import EXTRA_KINDS, Record
from lgx.spool import Bundle
from lgx.threads import Loss, Mark, ThreadRef

__all__ = ["BrokenBundle", "GatedBundle", "extras_bundle", "make_bundle", "make_run"]

T = TypeVar("T")

FINGERPRINT = "f" * 64


def make_run(*, source: str = "kit://first", merge: bool = False, dry_run: bool = False) -> RunInfo:
    """What a sink is told at the begin."""
    return RunInfo(
        source=source,
        started_at="2026-01-03T12:00:00+00:00",
        fingerprint=FINGERPRINT,
        kinds=frozenset({"thread", "checkpoint", "run", *EXTRA_KINDS}),
        versions={"lgx": "0"},
        merge=merge,
        dry_run=dry_run,
    )


def make_bundle(
    context: Context,
    records: Sequence[Record],
    *,
    version: str = "1",
    partial: bool = False,
    fingerprint: str = FINGERPRINT,
) -> Bundle:
    """One thread's records, whole with a mark, or partial with a loss and none."""
    thread_id = getattr(records[0], "thread_id")  # noqa: B009 -- not every kind has one
    spool = context.spool()
    for record in records:
        spool.append(record)
    ref = ThreadRef(thread_id=thread_id, version=version)
    if partial:
        loss = Loss(what="checkpoint x", why="the server has lost it", thread_id=thread_id)
        return Bundle(spool, ref=ref, mark=None, outcome="partial", losses=(loss,))
    mark = Mark(version=version, fingerprint=fingerprint, checkpoints=spool.checkpoints)
    return Bundle(spool, ref=ref, mark=mark)


def extras_bundle(context: Context, records: Iterable[Record], *, partial: bool = False) -> Bundle:
    """The deployment's own records of one kind."""
    spool = context.spool()
    for record in records:
        spool.append(record)
    return Bundle(spool, ref=None, mark=None, outcome="partial" if partial else "complete")


class BrokenBundle(Bundle):
    """A bundle whose records cannot be read past the second."""

    def __iter__(self) -> Iterator[Record]:
        yield from _broken_off(super().__iter__())

    def lines(self) -> Iterator[bytes]:
        yield from _broken_off(super().lines())

    def blocks(self) -> Iterator[bytes]:
        for line in self.lines():
            yield line + b"\n"


class GatedBundle(Bundle):
    """A bundle that holds up whoever reads it in another thread than its maker's.

    Attributes:
        entered: set once somebody reads.
        gate: set it to let readers go on.
        readers: how many are at it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.readers = 0
        self._maker = threading.get_ident()

    def __iter__(self) -> Iterator[Record]:
        return self._held_up(super().__iter__())

    def lines(self) -> Iterator[bytes]:
        return self._held_up(super().lines())

    def blocks(self) -> Iterator[bytes]:
        return self._held_up(super().blocks())

    def _held_up(self, items: Iterator[T]) -> Iterator[T]:
        self.readers += 1
        self.entered.set()
        try:
            if threading.get_ident() != self._maker:
                self.gate.wait(30)
            yield from items
        finally:
            self.readers -= 1


def _broken_off(items: Iterator[T]) -> Iterator[T]:
    for number, item in enumerate(items):
        if number == 2:
            raise ThreadError("the spool cannot be read past the second record")
        yield item
