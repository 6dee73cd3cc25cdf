"""Taking in: a sink that keeps digests of what a run brings, and nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from lgx.config import Config
from lgx.context import Context
from lgx.contracts import RunInfo, Sink, SourceBase
from lgx.coverage import Coverage
from lgx.errors import ThreadError
from lgx.facts import Probe
from lgx.records import ANY_KIND, Thread
from lgx.spool import Bundle
from lgx.threads import Mark, ThreadRef, WriteOutcome
from lgx.verification.entries import Entry
from lgx.verification.fingerprint import digest_of, fingerprint, head_of
from lgx.verification.identities import id_bytes
from lgx.verification.ledger import Ledger
from lgx.verification.marks import label_of

__all__ = ["LedgerSink", "Wanted"]

Wanted: TypeAlias = Callable[[Sequence[str]], set[str]]
"""Says which of these threads are to be read."""

_TOGETHER = 20  # records between two pauses


class LedgerSink(Sink[Config]):
    """Digests what comes into a ledger. Threads that are not wanted it claims to hold, so that
    they are not read.

    Attributes:
        identity: of the place that is read.
        coverage: what there is room for in it.
    """

    name = "digests"
    config_type = Config
    accepts = ANY_KIND

    def __init__(
        self, ledger: Ledger, source: SourceBase[Any], wanted: Wanted | None = None
    ) -> None:
        """
        Args:
            wanted: None: all threads are.
        """
        super().__init__(Config())
        self._ledger = ledger
        self._source = source
        self._wanted = wanted
        self._fingerprint = ""
        self._number = ledger.last()
        self.identity = ""
        self.coverage = Coverage()

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def begin(self, run: RunInfo, context: Context) -> None:
        self.identity = run.source
        self._fingerprint = run.fingerprint
        self.coverage = await self._source.coverage()

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        if self._wanted is None:
            return {}
        wanted = self._wanted([ref.thread_id for ref in refs])
        return {
            ref.thread_id: Mark(version=ref.version, fingerprint=self._fingerprint)
            for ref in refs
            if ref.thread_id not in wanted
        }

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return [await self._take(bundle) for bundle in bundles]

    async def _take(self, bundle: Bundle) -> WriteOutcome:
        thread_id = bundle.thread_id
        try:
            # A stream brings partial threads, whatever is held.
            if self._wanted is None or self._wanted([thread_id]):
                with self._ledger.together():
                    await self._add(thread_id, bundle)
        except ThreadError as error:
            return WriteOutcome(thread_id=thread_id, error=str(error))
        return WriteOutcome(thread_id=thread_id)

    async def _add(self, thread_id: str, bundle: Bundle) -> None:
        self._number += 1
        own: Thread | None = None
        for count, record in enumerate(bundle):
            if own is None and isinstance(record, Thread) and record.thread_id == thread_id:
                own = record
            else:
                self._ledger.add_record(self._number, fingerprint(record), head_of(record))
            if count % _TOGETHER == 0:
                await asyncio.sleep(0)
        self._ledger.add_thread(_entry(self._number, thread_id, own))

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        with self._ledger.together():
            self._ledger.forget_extras(kind)
            for count, record in enumerate(bundle):
                self._ledger.add_record(0, fingerprint(record), head_of(record))
                if count % _TOGETHER == 0:
                    await asyncio.sleep(0)
        return WriteOutcome(thread_id=None)

    async def forget(self, thread_ids: Sequence[str]) -> None:
        raise NotImplementedError("a ledger forgets nothing")


def _entry(number: int, thread_id: str, own: Thread | None) -> Entry:
    if own is None:
        return Entry(id_bytes(thread_id), number)
    label = label_of(own.metadata, thread_id)
    found = fingerprint(own)
    entry = Entry(
        id_bytes(thread_id),
        number,
        status=own.status,
        names=found.names,
        digests=found.digests,
        settled=found.settled,
    )
    if label is None:
        return entry
    return msgspec.structs.replace(
        entry,
        origin=None if label.thread_id is None else id_bytes(label.thread_id),
        mark=label.digest,
        fidelity=label.fidelity,
        source=label.source,
        graph=None if label.graph_id is None else digest_of(label.graph_id),
        unfinished=label.unfinished,
    )
