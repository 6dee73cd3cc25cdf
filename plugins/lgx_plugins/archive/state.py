"""What an archive holds at this moment: its manifest, and the journal after it."""

from __future__ import annotations

from msgspec import Struct

from lgx import FatalError, IntegrityError, UsageError, parse_time
from lgx_plugins.archive.journal import Journal, decode_journal
from lgx_plugins.archive.manifest import (
    Manifest,
    PartInfo,
    batch_of,
    decode_manifest,
    is_part_file,
)
from lgx_plugins.archive.store import Store

__all__ = ["State", "load_state"]

_ATTEMPTS = 100


class State(Struct, frozen=True, kw_only=True):
    """One consistent view of an archive.

    Attributes:
        parts: of the manifest and of the journal's whole lines, in the order of writing.
        listed: whether the place could be listed. If not, a missing part comes to light only
            when it is read, and what a crash left behind does not.
        unfinished: a run is at work, or one ended before it wrote its manifest.
        torn: the journal ends with a line that a crash cut short.
        orphans: files of a batch that was not committed.
        foreign: files among the parts that are none of this format.
    """

    manifest: Manifest
    parts: tuple[PartInfo, ...]
    listed: bool = True
    unfinished: bool = False
    torn: bool = False
    orphans: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def last_batch(self) -> int:
        return self.parts[-1].batch if self.parts else 0

    @property
    def last_written_at(self) -> str:
        return self.parts[-1].written_at if self.parts else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Identities of the sources whose records are held, in the order of their coming."""
        found = [*self.manifest.sources, *(part.source for part in self.parts)]
        return tuple(dict.fromkeys(found))

    def as_of(self, moment: str | None) -> tuple[PartInfo, ...]:
        """The parts that had been written at that moment.

        Raises:
            UsageError: the archive holds nothing so early.
        """
        if moment is None or not self.parts:
            return self.parts
        when = parse_time(moment)
        early = tuple(part for part in self.parts if parse_time(part.written_at) <= when)
        if not early:
            raise UsageError(
                f"the archive holds nothing as of {moment}; its first state is of "
                f"{self.parts[0].written_at}"
            )
        return early


def load_state(store: Store) -> State:
    """Reads manifest and journal, and compares them with the files that are there.

    A writer may be at work: what is read is one state that stood whole.

    Raises:
        IntegrityError: something is damaged, missing, or there without being listed.
        UsageError: a newer version of lgx wrote it.
    """
    for _ in range(_ATTEMPTS):
        data, manifest = _manifest(store)
        text = store.read_journal(manifest.generation)
        files = store.files()
        if (data, text) == (store.read_manifest(), store.read_journal(manifest.generation)):
            return _assemble(store, manifest, text, files)
    raise FatalError(f"archive {store.place!r} changes faster than it can be read; run again later")


def _manifest(store: Store) -> tuple[bytes, Manifest]:
    data = store.read_manifest()
    if data is None:
        raise IntegrityError(f"archive {store.place!r} has lost its manifest.json")
    return data, decode_manifest(data, store.place)


def _assemble(
    store: Store, manifest: Manifest, text: bytes | None, files: dict[str, int] | None
) -> State:
    place = store.place
    last = manifest.parts[-1].batch if manifest.parts else 0
    journal = Journal()
    if text is not None:
        journal = decode_journal(
            text,
            archive=manifest.archive,
            generation=manifest.generation,
            last=last,
            place=place,
        )
    parts = manifest.parts + tuple(part for batch in journal.batches for part in batch.parts)
    unfinished = text is not None
    if files is None:
        return State(
            manifest=manifest,
            parts=parts,
            listed=False,
            unfinished=unfinished,
            torn=journal.torn,
        )
    for part in parts:
        _check_size(part.data_name, part.size, files, place)
        _check_size(part.index_name, part.index_size, files, place)
    last = parts[-1].batch if parts else 0
    orphans: list[str] = []
    foreign: list[str] = []
    for name in sorted(files):
        batch = batch_of(name)
        if batch is not None and (not store.exclusive or (unfinished and batch == last + 1)):
            orphans.append(name)
        elif is_part_file(name):
            raise IntegrityError(
                f"archive {place!r} holds {name!r}, which its manifest does not list; "
                "remove that file, or restore manifest and journal from a copy"
            )
        else:
            foreign.append(name)
    return State(
        manifest=manifest,
        parts=parts,
        unfinished=unfinished,
        torn=journal.torn,
        orphans=tuple(orphans),
        foreign=tuple(foreign),
    )


def _check_size(name: str, size: int, files: dict[str, int], place: str) -> None:
    """Takes a file that is listed out of those that are there."""
    found = files.pop(name, None)
    if found is None:
        raise IntegrityError(
            f"part {name!r} of archive {place!r} is missing; restore it from a copy, "
            "or make a new backup to another path"
        )
    if found != size:
        raise IntegrityError(
            f"part {name!r} of archive {place!r} has {found} bytes, not {size}; "
            "restore it from a copy, or make a new backup to another path"
        )
