"""What an archive looks like from outside, and whether all of it is what was written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby

from msgspec import Struct

from lgx import Fact, LgxError, Probe, ThreadError, decode_line
from lgx_plugins.archive.copying import LocalCopy
from lgx_plugins.archive.index import Entry, Frame
from lgx_plugins.archive.manifest import PartInfo
from lgx_plugins.archive.reader import STREAM_BYTES, PartReader, build_table
from lgx_plugins.archive.state import State, load_state
from lgx_plugins.archive.store import Store

__all__ = ["Verification", "describe", "verify_archive"]


def describe(store: Store, state: State) -> Probe:
    """Facts for `lgx doctor`: what the manifest says, and whether every byte is as it says."""
    parts, manifest = state.parts, state.manifest
    facts = [
        Fact(name="archive", value=manifest.archive),
        Fact(name="parts", value=str(len(parts))),
        *_threads(store, state),
        Fact(name="versions of threads", value=str(sum(part.threads for part in parts))),
        Fact(name="records", value=str(sum(sum(part.records.values()) for part in parts))),
        Fact(name="bytes", value=str(sum(part.size + part.index_size for part in parts))),
        Fact(name="bytes of records", value=str(sum(part.bytes for part in parts))),
        Fact(name="last written", value=state.last_written_at or "never"),
    ]
    facts += [Fact(name="source", value=source) for source in state.sources]
    if state.unfinished or not manifest.is_finished:
        words = "at work, or was cut short; the next run goes on from there"
        if manifest.finished_at is None:
            words = f"none has finished yet: it is {words}"
        facts.append(Fact(name="last run", value=words, level="warn"))
    if not state.listed:
        words = (
            "not permitted: what a crash left behind cannot be seen, and a part "
            "that is missing comes to light only when it is read"
        )
        facts.append(Fact(name="listing", value=words, level="warn"))
    leftovers = [*state.orphans, *store.leftovers()]
    if leftovers:
        words = (
            f"{len(leftovers)} files of a run at work or cut short; the next run removes them, and "
            "so does lgx doctor --sink … --clean"
        )
        facts.append(Fact(name="leftovers", value=words, level="warn"))
    if state.foreign:
        words = (
            f"{len(state.foreign)} files that are not of the archive, such as {state.foreign[0]!r}"
        )
        facts.append(Fact(name="foreign files", value=words, level="warn"))
    verified = verify_archive(store)
    facts += [Fact(name="damage", value=problem, level="error") for problem in verified.problems]
    if not verified.problems:
        facts.append(Fact(name="content", value="every part was read, and is as it was written"))
    return Probe(facts=tuple(facts))


def _threads(store: Store, state: State) -> Iterator[Fact]:
    """How many threads there are now of each source; nothing where that cannot be read, which
    is found to be damage anyway."""
    reader = PartReader(store, state.parts)
    for source in state.sources:
        numbers = [
            number
            for number, part in enumerate(state.parts)
            if part.source == source and part.extras is None
        ]
        try:
            with closing(build_table(reader, numbers, marks_only=True)) as table:
                count, whole = table.count()
        except LgxError:
            continue
        if whole == count:
            yield Fact(name="threads", value=f"{count} of {source}")
        else:
            words = f"{count} of {source}, {count - whole} of them not whole"
            yield Fact(name="threads", value=words, level="warn")


class Verification(Struct, frozen=True, kw_only=True):
    """What was found in a whole archive; without `problems` it is as it was written."""

    parts: int = 0
    threads: int = 0
    records: int = 0
    bytes: int = 0
    problems: tuple[str, ...] = ()


def verify_archive(store: Store) -> Verification:
    """Reads every byte of every version: digests, counts, and that each line is a record.

    Blocks. Never raises for damage: each damaged part is a problem, the others are read.
    """
    try:
        state = load_state(store)
    except LgxError as error:
        return Verification(problems=(str(error),))
    problems: list[str] = []
    with LocalCopy(store) as local:
        reader = PartReader(store if store.reads_twice else local, state.parts)
        for number in range(len(state.parts)):
            try:
                _verify_part(reader, number)
            except LgxError as error:
                problems.append(str(error))
    return Verification(
        parts=len(state.parts),
        threads=sum(part.threads for part in state.parts),
        records=sum(sum(part.records.values()) for part in state.parts),
        bytes=sum(part.bytes for part in state.parts),
        problems=tuple(problems),
    )


def _verify_part(reader: PartReader, number: int) -> None:
    part: PartInfo = reader.parts[number]
    reader.verify(number)
    head, entries = reader.index(number)
    kinds: Counter[str] = Counter()
    size = 0
    for frame in head.frames:
        for lines in reader.stream(number, frame, 0, frame.bytes):
            for line in lines:
                size += len(line) + 1
                try:
                    record = decode_line(line)
                except ThreadError as error:
                    raise reader.damaged(number, str(error)) from error
                kinds[record.kind] += 1
    if kinds != Counter(part.records) or size != part.bytes:
        raise reader.damaged(number, "it holds other records than the manifest says")
    by_frame = sorted(entries, key=lambda entry: entry.frame)
    for frame_number, group in groupby(by_frame, key=lambda entry: entry.frame):
        frame = head.frames[frame_number]
        whole = reader.frame(number, frame) if frame.bytes <= STREAM_BYTES else None
        for entry in group:
            if not entry.piece:  # the digest of a later one begins in another part
                _verify_entry(reader, number, frame, whole, entry)


def _verify_entry(
    reader: PartReader, number: int, frame: Frame, whole: bytes | None, entry: Entry
) -> None:
    digest, count = hashlib.sha256(), 0
    if whole is not None:
        text = whole[entry.offset : entry.offset + entry.bytes]
        digest.update(text)
        count = text.count(b"\n")
    else:
        for lines in reader.stream(number, frame, entry.offset, entry.bytes):
            count += len(lines)
            for line in lines:
                digest.update(line + b"\n")
    if count != entry.records or digest.hexdigest()[:32] != entry.sha256:
        raise reader.damaged(number, f"thread {entry.thread_id!r} is not as its index says")
