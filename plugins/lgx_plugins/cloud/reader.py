"""One thread, read whole: storage, history of all namespaces, runs, and its record at last.

The record comes last because it carries the time of the last update: if that is still the one
that was listed, all that was read in between belongs to it, and no further look is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import Struct, UnsetType

from lgx import (
    Context,
    LgxError,
    Loss,
    Record,
    RetryableError,
    Thread,
    ThreadEnd,
    ThreadRef,
)
from lgx_plugins.cloud.access import denied
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.gathering import Gathering
from lgx_plugins.cloud.history import (
    PAGE_BYTES,
    HistoryReader,
)
from lgx_plugins.cloud.lookup import SMALL, Lookup
from lgx_plugins.cloud.runs import read_runs
from lgx_plugins.cloud.storage import Storage, StorageReader
from lgx_plugins.cloud.walk import Walk

__all__ = ["ThreadReader"]

_READS = 4  # of a thread that changes while it is read


class _Result(Struct):
    """What one read of a thread came to."""

    thread: Thread | None
    losses: list[Loss]


class ThreadReader:
    """Reads threads of one server; any number at once."""

    def __init__(
        self,
        client: Client,
        lookup: Lookup,
        storage: StorageReader,
        history: HistoryReader,
        *,
        runs: bool,
        suffix: str = "",
    ) -> None:
        """`suffix`: of the versions of refs, beside what the server says."""
        self._client = client
        self._lookup = lookup
        self._storage = storage
        self._history = history
        self._runs = runs
        self._suffix = suffix

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        """The one thread's records and end; read again while it changes, up to three times."""
        (ref,) = refs
        version = ref.version.removesuffix(self._suffix)
        for attempt in range(_READS):
            gathering = Gathering(ref.thread_id, context)
            held = 0
            try:
                result, held = await self._once(ref.thread_id, gathering, context)
                if result.thread is None:
                    yield ThreadEnd(thread_id=ref.thread_id, outcome="deleted")
                    return
                found = result.thread.updated_at or version
                if found != version and attempt + 1 < _READS:
                    version = found
                    continue
                if found != version:
                    result.losses.append(
                        Loss(
                            what="the thread's latest state",
                            why=f"it was still changing after {_READS} reads; the next run "
                            "reads it again",
                            thread_id=ref.thread_id,
                        )
                    )
                yield result.thread
                for record in gathering.records():
                    yield record
            except RefusedError as error:
                if error.status in (401, 403):
                    await self._check_access(context)
                raise
            finally:
                gathering.close()
                if held:
                    context.budget.give_page(held)
            if result.thread.status == "busy":
                context.note(
                    "a run was going on while it was read; the next run reads it again",
                    thread_id=ref.thread_id,
                )
            partial = any(loss.holdable for loss in result.losses)
            yield ThreadEnd(
                thread_id=ref.thread_id,
                outcome="partial" if partial else "complete",
                version=found + self._suffix,
                losses=tuple(result.losses),
            )
            return

    async def _once(
        self, thread_id: str, gathering: Gathering, context: Context
    ) -> tuple[_Result, int]:
        """One read, and the bytes of the budget that the record is held under."""
        storage = await self._storage.read(thread_id, context)
        reading = Walk(self._history, gathering, thread_id, storage, context)
        await reading.all()
        if storage is not None and reading.in_doubt:
            # Steps that came since the count was taken must not hide those that were refused.
            storage = await self._storage.read(thread_id, context) or storage
            reading.recount(storage)
        if self._runs:
            await read_runs(self._client, gathering, thread_id, context)
        thread, losses, held = await self._record(thread_id, gathering, storage, context)
        reason = reading.refused or (_without_graph(thread) if thread else None)
        if thread is not None and storage is None and not reason and _has_values(thread):
            reason = "the server gives an empty history of a thread that has values"
        if reason and not (gathering.count or gathering.tried or reading.interrupted):
            losses += _unreachable(thread, reason, storage, context)
        else:
            losses += reading.losses()
        return _Result(thread, losses), held

    async def _record(
        self, thread_id: str, gathering: Gathering, storage: Storage | None, context: Context
    ) -> tuple[Thread | None, list[Loss], int]:
        size = gathering.newest_values
        if not gathering.count and storage is not None:
            size = storage.step_size()
        held = 0
        if size > SMALL:
            gathering.stow()
            held = min(size, PAGE_BYTES)
            await context.budget.take(held)
        try:
            return await self._lookup.record(thread_id, size, context), [], held
        except RetryableError as error:
            if error.outage or error.throttled or (error.status or 0) < 500:
                _give(context, held)
                raise
            try:
                thread = await self._lookup.bare(thread_id, context)
            except BaseException:
                _give(context, held)
                raise
            if thread is None:
                _give(context, held)
                raise
            why = str(error)
        except BaseException:
            _give(context, held)
            raise
        loss = Loss(what="the thread's present values", why=why, thread_id=thread_id)
        return thread, [loss], held

    async def _check_access(self, context: Context) -> None:
        """Raises FatalError if the key is no longer good for anything."""
        try:
            await self._client.light(
                context, "POST", "/threads/search", {"limit": 1}, opening=b"[", what="access check"
            )
        except LgxError as error:
            raise denied(error, self._client) from error


def _unreachable(
    thread: Thread | None, reason: str, storage: Storage | None, context: Context
) -> list[Loss]:
    """Why a thread came without a history: a loss, if it is known to have one."""
    if thread is None:
        return []
    stored = storage.count if storage is not None else None
    if not (_has_values(thread) if stored is None else stored):
        context.note(f"it has no history: {reason}", thread_id=thread.thread_id)
        return []
    return [
        Loss(
            what="its history" if stored is None else f"its {stored} checkpoints",
            why=reason,
            thread_id=thread.thread_id,
            checkpoints=stored or 0,
        )
    ]


def _give(context: Context, held: int) -> None:
    if held:
        context.budget.give_page(held)


def _without_graph(thread: Thread) -> str | None:
    if isinstance(thread.metadata, UnsetType):
        return "the thread names no graph"
    try:
        graph = msgspec.json.decode(thread.metadata, type=_Graph).graph_id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return None if graph else "the thread names no graph"


class _Graph(Struct):
    graph_id: str | None = None


def _has_values(thread: Thread) -> bool:
    if isinstance(thread.values, UnsetType):
        return False
    return bytes(thread.values).strip() not in (b"null", b"{}")
