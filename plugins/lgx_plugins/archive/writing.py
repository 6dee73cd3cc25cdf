"""An archive during a run that writes it: recovery, batches, and the manifest at the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain, zip_longest

import msgspec
from msgspec import UNSET

from lgx import (
    Bundle,
    FatalError,
    Mark,
    RunInfo,
    ThreadError,
    Tombstone,
    UsageError,
    encode_line,
)
from lgx_plugins.archive.batch import BatchWriter, describe_thread, digest_thread
from lgx_plugins.archive.extras import read_extras
from lgx_plugins.archive.index import Entry
from lgx_plugins.archive.journal import Batch, JournalHead, encode_entry
from lgx_plugins.archive.manifest import Manifest, encode_manifest
from lgx_plugins.archive.part import Compressor
from lgx_plugins.archive.reader import PartReader, build_table
from lgx_plugins.archive.state import State, load_state
from lgx_plugins.archive.store import Store
from lgx_plugins.archive.threads import ThreadTable
from lgx_plugins.ids import id_bytes

__all__ = ["ArchiveWriter", "clean_archive"]


class ArchiveWriter:
    """An archive during a run. Blocks; its lock is held from `open` to `close`."""

    def __init__(
        self, store: Store, level: int, part_bytes: int, run: RunInfo, state: State
    ) -> None:
        self._store = store
        self._level = level
        self._part_bytes = part_bytes
        self._run = run
        self._manifest = state.manifest
        self._parts = list(state.parts)
        self._batch = state.last_batch
        self._written_at = state.last_written_at
        self._journal_begun = False
        self._journal_bytes = 0
        self._broken = False
        self._compressor: Compressor | None = None
        self._table: ThreadTable | None = None

    @classmethod
    def open(cls, store: Store, level: int, part_bytes: int, run: RunInfo) -> ArchiveWriter:
        """Takes the lock and brings the archive into order, or creates it; in a dry run neither."""
        if not run.dry_run:
            store.lock()
        try:
            exists = store.check(writing=True)
            state = load_state(store) if exists else _new_state(run)
            _check_source(store, state, run)
            if not run.dry_run:
                lgx = run.versions.get("lgx")
                state = _recover(store, state, lgx) if exists else _create(store, state)
            archive = cls(store, level, part_bytes, run, state)
            numbers = [
                number
                for number, part in enumerate(state.parts)
                if part.source == run.source and part.extras is None
            ]
            reader = PartReader(store, state.parts)
            archive._table = build_table(reader, numbers, marks_only=True)
        except BaseException:
            store.unlock()
            raise
        return archive

    def close(self) -> None:
        """Lets go of the archive; what was not finished stays in the journal."""
        if self._compressor is not None:
            self._compressor.close()
        if self._table is not None:
            self._table.close()
        self._store.unlock()

    def held(self, thread_ids: Sequence[str]) -> dict[str, Mark]:
        assert self._table is not None
        marks = ((thread_id, self._table.mark(thread_id)) for thread_id in thread_ids)
        return {thread_id: mark for thread_id, mark in marks if mark is not None}

    def write(self, bundles: Sequence[Bundle]) -> dict[str, str]:
        """Commits these threads; why some of them cannot be kept.

        A partial one has no mark by which a run could leave it out. Where it came as it stands
        here already, nothing is written, or each run would add one more copy of it.
        """
        newest: dict[str, tuple[Entry, Bundle]] = {}
        errors: dict[str, str] = {}
        for bundle in bundles:
            try:
                newest[bundle.thread_id] = (describe_thread(bundle), bundle)
                if self._stands(bundle):
                    del newest[bundle.thread_id]
            except ThreadError as error:
                errors[bundle.thread_id] = str(error)

        def fill(writer: BatchWriter) -> None:
            # In the order in which they will be listed: then reading goes from frame to frame.
            for thread_id in sorted(newest, key=id_bytes):
                writer.add(*newest[thread_id])

        if newest:
            self._commit(fill)
        return errors

    def _stands(self, bundle: Bundle) -> bool:
        """Whether this is a partial thread, and what stands here the same."""
        assert self._table is not None
        held = self._table.partial(bundle.thread_id) if bundle.mark is None else None
        return held is not None and held == (digest_thread(bundle), bundle.losses)

    def write_extras(self, kind: str, bundle: Bundle) -> None:
        whole = bundle.outcome != "partial"
        if (not whole and not len(bundle)) or (whole and self._holds(kind, bundle)):
            return
        self._commit(
            lambda writer: writer.add_extras(bundle.lines()),
            extras=kind,
            whole=whole,
        )

    def _holds(self, kind: str, bundle: Bundle) -> bool:
        """Whether these extras stand here already, to the byte and in this order."""
        numbers = [
            number
            for number, part in enumerate(self._parts)
            if part.source == self._run.source and part.extras == kind
        ]
        held = chain.from_iterable(read_extras(PartReader(self._store, self._parts), numbers))
        try:
            return all(old == new for old, new in zip_longest(held, bundle.lines()))
        except FatalError:
            return False  # what is damaged, or cannot be read any more, is replaced

    def forget(self, thread_ids: Sequence[str]) -> None:
        assert self._table is not None
        held = sorted({t for t in thread_ids if self._table.holds(t)}, key=id_bytes)

        def fill(writer: BatchWriter) -> None:
            for thread_id in held:
                tombstone = Tombstone(thread_id=thread_id, deleted_at=writer.written_at)
                writer.add_deleted(thread_id, encode_line(tombstone))

        if held:
            self._commit(fill)

    def _commit(
        self,
        fill: Callable[[BatchWriter], None],
        *,
        extras: str | None = None,
        whole: bool = True,
    ) -> None:
        """Writes one batch; it counts from the moment at which its journal line is durable."""
        if self._broken:
            raise FatalError(
                f"archive {self._store.place!r} could not be written to before; run again"
            )
        self._broken = True  # until this batch stands: after a failure nothing more is tried
        if not self._journal_begun:
            head = JournalHead(
                archive=self._manifest.archive,
                generation=self._manifest.generation,
                started_at=self._run.started_at,
            )
            self._append(head)
            self._journal_begun = True
        if self._compressor is None:
            self._compressor = Compressor(self._level)
        writer = BatchWriter(
            self._store,
            self._compressor,
            batch=self._batch + 1,
            written_at=max(_now(), self._written_at),
            source=self._run.source,
            part_bytes=self._part_bytes,
            extras=extras,
            whole=whole,
        )
        try:
            fill(writer)
            writer.finish()
        except ThreadError:
            self._broken = not writer.discard()  # the engine then tries the threads one by one
            raise
        except BaseException:
            writer.discard()
            raise
        entry = Batch(batch=self._batch + 1, parts=tuple(writer.parts))
        self._append(entry)
        self._batch += 1
        self._written_at = writer.written_at
        assert self._table is not None
        for part, head_of_index, entries in writer.indexes:
            if extras is None:
                self._table.add(
                    len(self._parts), part.batch, head_of_index, entries, marks_only=True
                )
            self._parts.append(part)
        limit = self._store.journal_bytes
        if limit is not None and self._journal_bytes > limit:
            self._fold()
        self._broken = False

    def _append(self, entry: JournalHead | Batch) -> None:
        line = encode_entry(entry)
        self._store.append_journal(self._manifest.generation, line)
        self._journal_bytes += len(line)

    def finish(self) -> None:
        """Folds the journal into a new manifest, which says that a run has finished; one that
        wrote nothing changes nothing where the manifest says so already."""
        if not self._broken and (self._journal_begun or not self._manifest.is_finished):
            self._fold(finished=True)

    def _fold(self, *, finished: bool = False) -> None:
        manifest = msgspec.structs.replace(self._manifest, versions=self._run.versions)
        state = State(manifest=manifest, parts=tuple(self._parts))
        lgx = self._run.versions.get("lgx")
        self._manifest = _fold(self._store, state, lgx, finished=finished)
        self._journal_begun = False
        self._journal_bytes = 0


def _new_state(run: RunInfo) -> State:
    now = _now()
    manifest = Manifest(
        lgx=run.versions.get("lgx", "unknown"),
        archive=str(uuid.uuid4()),
        created_at=now,
        updated_at=now,
        finished_at=None,
        generation=1,
        versions=run.versions,
    )
    return State(manifest=manifest, parts=())


def _check_source(store: Store, state: State, run: RunInfo) -> None:
    others = [source for source in state.sources if source != run.source]
    if others and run.source not in state.sources and not run.merge:
        raise UsageError(
            f"archive {store.place!r} was filled from {', '.join(map(repr, others))}, and this "
            f"run reads {run.source!r}; a copy in an archive counts as a source of its own; write "
            "to another path, or add --merge to keep both apart in this one"
        )


def _create(store: Store, state: State) -> State:
    store.clear_leftovers()
    store.replace_manifest(encode_manifest(state.manifest))
    return state


def clean_archive(store: Store) -> list[str]:
    """Takes the lock, and removes what crashed runs left; what was removed, in a few words each.

    What such a run committed becomes part of the manifest, as at the begin of the next run; that
    it never finished stays known.
    """
    if not store.check(writing=True) and not store.leftovers():
        return []
    store.lock()
    try:
        found = store.leftovers()
        if not store.check(writing=True):
            store.clear_leftovers()
            return found
        state = load_state(store)
        _recover(store, state, state.manifest.lgx)
        return [*_describe_journal(state), *state.orphans, *found]
    finally:
        store.unlock()


def _describe_journal(state: State) -> list[str]:
    if not state.unfinished:
        return []
    name = f"journal-{state.manifest.generation:08d}"
    count = len(
        {part.batch for part in state.parts} - {part.batch for part in state.manifest.parts}
    )
    if not count:
        return [f"{name} (with nothing in it)"]
    what = "one batch" if count == 1 else f"{count} batches"
    return [f"{name} (the manifest now holds its {what} of records)"]


def _recover(store: Store, state: State, lgx: str | None) -> State:
    """Removes what a crash left, and makes what it committed part of the manifest."""
    manifest = state.manifest
    if state.unfinished or state.orphans:
        store.fence(manifest.generation)
        # Orphans first: without the journal that excuses them they would be damage.
        store.remove(list(state.orphans), durable=True)
        manifest = _fold(store, state, lgx)
    store.clear_leftovers()
    for generation in store.journals():
        if generation < manifest.generation:
            store.remove_journal(generation)
    return State(manifest=manifest, parts=state.parts)


def _fold(store: Store, state: State, lgx: str | None, *, finished: bool = False) -> Manifest:
    old = state.manifest
    now = _now()
    before = old.updated_at if old.finished_at is UNSET else old.finished_at
    manifest = msgspec.structs.replace(
        old,
        lgx=lgx or "unknown",
        updated_at=now,
        finished_at=now if finished else before,
        generation=old.generation + 1,
        sources=state.sources,
        parts=state.parts,
    )
    store.replace_manifest(encode_manifest(manifest))
    store.remove_journal(old.generation)
    return manifest


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
