"""Sinks that are wrong on purpose, each with its kit; run by `test_kits.py`.

Not collected by itself: its tests are there to fail. `fails` names the tests of the kit
that are to find the fault; no others do.
"""

# ruff: noqa: N801 -- the classes `sink` and `source` stand for attributes

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import pytest

from lgx import (
    Bundle,
    Context,
    LockedError,
    Mark,
    Record,
    RunInfo,
    ThreadError,
    ThreadRef,
    UnknownRecord,
    UsageError,
    WriteOutcome,
    decode_line,
    encode_line,
    split_object,
)
from lgx.testing import SinkConformance
from lgx.testing.memory import (
    MemoryConfig,
    MemoryDocumentSink,
    MemorySink,
    MemoryTarget,
    StoredThread,
)

Lines = list[bytes]


class SinkCase(SinkConformance):
    """A sink that is wrong."""

    sink: ClassVar[type[MemorySink]]
    fails: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def target(self) -> MemoryTarget:
        return MemoryTarget()

    @pytest.fixture
    def sink_factory(self, target: MemoryTarget) -> Callable[[], MemorySink]:
        return lambda: self.sink(MemoryConfig(target=target))

    @pytest.fixture
    def read_back(self, target: MemoryTarget) -> Callable[[], list[Record]]:
        return target.records

    @pytest.fixture
    def target_state(self, target: MemoryTarget) -> Callable[[], object]:
        return target.state


class Changing(MemorySink):
    """Keeps something else than it was given, or keeps it otherwise than it should."""

    def changed(self, lines: Lines) -> Lines:
        return lines

    def put(self, bundle: Bundle, lines: Lines) -> WriteOutcome:
        self.target.threads[self.source, bundle.thread_id] = StoredThread(lines, bundle.mark)
        return WriteOutcome(thread_id=bundle.thread_id)

    def store(self, bundle: Bundle) -> WriteOutcome:
        try:
            return self.put(bundle, self.changed([encode_line(record) for record in bundle]))
        except ThreadError as error:
            return WriteOutcome(thread_id=bundle.thread_id, error=str(error))


ARRIVES = "test_a_thread_arrives_whole_and_its_neighbours_too"
CONTENT = (  # every test that compares what stands in the target
    ARRIVES,
    "test_many_threads_arrive_in_several_batches",
    "test_a_bundle_that_lies_on_disk_arrives",
    "test_writers_may_work_at_once",
    "test_writing_twice_leaves_what_writing_once_leaves",
    "test_a_new_copy_replaces_the_old_one",
    "test_marks_survive_reopening_under_any_id",
    "test_a_partial_thread_is_stored_and_not_marked",
    "test_another_source_is_refused_without_merge",
    "test_merged_sources_are_kept_apart",
    "test_forgotten_threads_are_gone_with_their_marks",
    "test_extras_arrive_and_replace",
    "test_a_dry_run_creates_nothing",
    "test_an_aborted_run_leaves_nothing_broken",
    "test_a_thread_that_breaks_off_leaves_the_old_copy",
    "test_a_record_that_is_not_json_costs_its_thread_alone",
    "test_a_cancelled_begin_leaves_nothing_behind",
    "test_a_cancelled_write_is_over_when_it_returns",
)
MARKS = (  # every test that looks at marks
    "test_a_new_copy_replaces_the_old_one",
    "test_whole_threads_are_held_and_no_others",
    "test_marks_survive_reopening_under_any_id",
    "test_held_answers_for_thousands_of_threads",
    "test_a_partial_thread_is_stored_and_not_marked",
    "test_merged_sources_are_kept_apart",
    "test_forgotten_threads_are_gone_with_their_marks",
    "test_a_dry_run_creates_nothing",
    "test_an_aborted_run_leaves_nothing_broken",
    "test_a_thread_that_breaks_off_leaves_the_old_copy",
)


class TestDoesNothing(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            return WriteOutcome(thread_id=bundle.thread_id)

        async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
            return WriteOutcome(thread_id=None)

    fails = (*CONTENT, *MARKS)


class TestDropsTheLastRecord(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return lines[:-1]

    fails = CONTENT


class TestDoublesTheLastRecord(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [*lines, lines[-1]]

    fails = CONTENT


class TestTurnsTheOrderRound(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [lines[0], *reversed(lines[1:])]

    fails = tuple(
        name
        for name in CONTENT
        if name != "test_merged_sources_are_kept_apart"  # looks at the records alone
    )


class TestManglesWhatIsNotAscii(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [line.decode().encode("ascii", "replace") for line in lines]

    fails = (
        f"{ARRIVES}[unicode]",
        f"{ARRIVES}[id-emoji]",
        f"{ARRIVES}[id-composed]",
        f"{ARRIVES}[id-decomposed]",
        f"{ARRIVES}[unknown-kind]",
        "test_marks_survive_reopening_under_any_id",
    )


class TestComposesCharacters(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            import unicodedata

            return [unicodedata.normalize("NFC", line.decode()).encode() for line in lines]

    fails = (
        f"{ARRIVES}[unicode]",
        f"{ARRIVES}[id-decomposed]",
        "test_marks_survive_reopening_under_any_id",
    )


class TestLosesBigIntegers(SinkCase):
    class sink(Changing):
        """As orjson does, and so the SDK."""

        def changed(self, lines: Lines) -> Lines:
            return [encode_line(decode_line(self.narrowed(line))) for line in lines]

        def narrowed(self, line: bytes) -> bytes:
            for wide in (b"18446744073709551616", b"-340282366920938463463374607431768211457"):
                line = line.replace(wide, str(float(wide)).encode())
            return line

    fails = (f"{ARRIVES}[numbers]", f"{ARRIVES}[runs]")


class TestKeepsFloatsOnly(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [
                line.replace(b"0.1000000000000000055", b"0.1").replace(b"1e400", b"1e308")
                for line in lines
            ]

    fails = (f"{ARRIVES}[numbers]",)


class TestReplacesNul(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [line.replace(b"\\u0000", b"\\ufffd") for line in lines]

    fails = (
        f"{ARRIVES}[nul]",
        f"{ARRIVES}[id-nul]",
        "test_marks_survive_reopening_under_any_id",
    )


class TestReplacesSurrogates(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [line.replace(b'"\\ud800"', b'"?"') for line in lines]

    fails = (f"{ARRIVES}[surrogates]",)


class TestFailsOnDeepNesting(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            for line in lines:
                if line.count(b"[") > 1500:
                    raise RecursionError("maximum recursion depth exceeded")
            return lines

    fails = (f"{ARRIVES}[nested-2000]",)


class TestDropsUnknownFields(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [self.known(line) for line in lines]

        def known(self, line: bytes) -> bytes:
            record = decode_line(line)
            known = dict(split_object(line))
            for name in getattr(record, "extra", None) or {}:
                del known[name]
            return (
                b"{"
                + b",".join(
                    json.dumps(key).encode() + b":" + bytes(value) for key, value in known.items()
                )
                + b"}"
            )

    fails = (f"{ARRIVES}[unknown-fields]", f"{ARRIVES}[runs]")


class TestDropsUnknownKinds(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [line for line in lines if not isinstance(decode_line(line), UnknownRecord)]

    fails = (f"{ARRIVES}[unknown-kind]",)


class TestTakesNullForAbsent(SinkCase):
    class sink(Changing):
        def changed(self, lines: Lines) -> Lines:
            return [
                line.replace(b'"metadata":null', b'"x":0').replace(b',"x":0', b"") for line in lines
            ]

    fails = (f"{ARRIVES}[null-and-absent]",)


class TestForgetsNamespaces(SinkCase):
    class sink(Changing):
        """Two states of one id are one to it, as to a table without the namespace in its key."""

        def changed(self, lines: Lines) -> Lines:
            kept: dict[object, bytes] = {}
            for number, line in enumerate(lines):
                kept[getattr(decode_line(line), "checkpoint_id", number)] = line
            return list(kept.values())

    fails = (f"{ARRIVES}[namespaces]", "test_writing_twice_leaves_what_writing_once_leaves")


class TestAddsWithoutRemoving(SinkCase):
    class sink(Changing):
        """Upserts rows and leaves those that are gone."""

        def put(self, bundle: Bundle, lines: Lines) -> WriteOutcome:
            held = self.target.threads.get((self.source, bundle.thread_id))
            older = [line for line in held.lines if line not in lines] if held else []
            older = [line for line in older if b'"kind":"thread"' not in line]
            return super().put(bundle, [lines[0], *older, *lines[1:]])

    fails = (
        "test_a_new_copy_replaces_the_old_one",
        "test_a_partial_thread_is_stored_and_not_marked",
    )


class TestTakesPresentForDone(SinkCase):
    class sink(Changing):
        """Leaves alone what stands there, as one who takes 409 for success."""

        def put(self, bundle: Bundle, lines: Lines) -> WriteOutcome:
            if (self.source, bundle.thread_id) in self.target.threads:
                return WriteOutcome(thread_id=bundle.thread_id)
            return super().put(bundle, lines)

    fails = (
        "test_a_new_copy_replaces_the_old_one",
        "test_a_partial_thread_is_stored_and_not_marked",
    )


class TestAppends(SinkCase):
    class sink(Changing):
        """A second copy stands beside the first."""

        def put(self, bundle: Bundle, lines: Lines) -> WriteOutcome:
            held = self.target.threads.get((self.source, bundle.thread_id))
            return super().put(bundle, [*(held.lines if held else ()), *lines])

    fails = (
        "test_writing_twice_leaves_what_writing_once_leaves",
        "test_a_new_copy_replaces_the_old_one",
        "test_a_partial_thread_is_stored_and_not_marked",
        "test_extras_arrive_and_replace",
        "test_an_aborted_run_leaves_nothing_broken",
        "test_a_thread_that_breaks_off_leaves_the_old_copy",
        "test_a_cancelled_write_is_over_when_it_returns",
    )


class TestMarksPartialThreads(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            bundle.mark = bundle.mark or Mark(version="1", fingerprint="f")
            return super().store(bundle)

    fails = ("test_a_partial_thread_is_stored_and_not_marked",)


class TestKeepsTheMarkOfABetterCopy(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            held = self.target.threads.get((self.source, bundle.thread_id))
            bundle.mark = bundle.mark or (held.mark if held else None)
            return super().store(bundle)

    fails = ("test_a_partial_thread_is_stored_and_not_marked",)


class TestRefusesPartialThreads(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            if bundle.mark is None:
                return WriteOutcome(thread_id=bundle.thread_id, error="this thread is partial")
            return super().store(bundle)

    fails = ("test_a_partial_thread_is_stored_and_not_marked",)


class TestForgetsMarks(SinkCase):
    class sink(MemorySink):
        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            return {}

    fails = MARKS


class TestRemembersMarksInTheObject(SinkCase):
    class sink(MemorySink):
        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            marks = getattr(self, "marks", {})
            return {ref.thread_id: marks[ref.thread_id] for ref in refs if ref.thread_id in marks}

        def store(self, bundle: Bundle) -> WriteOutcome:
            if bundle.mark:
                self.marks = {**getattr(self, "marks", {}), bundle.thread_id: bundle.mark}
            return super().store(bundle)

        async def forget(self, thread_ids: Sequence[str]) -> None:
            await super().forget(thread_ids)
            self.marks = {
                key: mark
                for key, mark in getattr(self, "marks", {}).items()
                if key not in thread_ids
            }

    fails = (
        "test_a_new_copy_replaces_the_old_one",
        "test_marks_survive_reopening_under_any_id",
        "test_a_partial_thread_is_stored_and_not_marked",
        "test_merged_sources_are_kept_apart",
        "test_forgotten_threads_are_gone_with_their_marks",
        "test_a_dry_run_creates_nothing",
        "test_an_aborted_run_leaves_nothing_broken",
        "test_a_thread_that_breaks_off_leaves_the_old_copy",
    )


class TestHoldsWhateverItIsAsked(SinkCase):
    class sink(MemorySink):
        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            mark = Mark(version="1", fingerprint="f" * 64, checkpoints=2)
            return {ref.thread_id: mark for ref in refs}

    fails = tuple(name for name in MARKS if "any_id" not in name and "aborted" not in name)


class TestHoldsTheListedVersion(SinkCase):
    class sink(MemorySink):
        """Answers with the version that it is asked about, not with the one that it holds."""

        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            versions = {ref.thread_id: ref.version for ref in refs}
            return {
                key: Mark(
                    version=versions[key],
                    fingerprint=mark.fingerprint,
                    checkpoints=mark.checkpoints,
                )
                for key, mark in (await super().held(refs)).items()
            }

    fails = (
        "test_a_new_copy_replaces_the_old_one",
        "test_whole_threads_are_held_and_no_others",
        "test_merged_sources_are_kept_apart",
    )


class TestTakesTooFewQuestions(SinkCase):
    class sink(MemorySink):
        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            assert len(refs) < 1000, "too many SQL variables"
            return await super().held(refs)

    fails = ("test_held_answers_for_thousands_of_threads",)


class TestFoldsIds(SinkCase):
    class sink(MemorySink):
        """Keys threads as some file systems and collations do."""

        def key(self, thread_id: str) -> str:
            return thread_id.casefold().strip()[:255]

        async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
            stored = {
                ref.thread_id: self.target.threads.get((self.source, self.key(ref.thread_id)))
                for ref in refs
            }
            return {name: item.mark for name, item in stored.items() if item and item.mark}

        def store(self, bundle: Bundle) -> WriteOutcome:
            lines = StoredThread([encode_line(record) for record in bundle], bundle.mark)
            self.target.threads[self.source, self.key(bundle.thread_id)] = lines
            return WriteOutcome(thread_id=bundle.thread_id)

    fails = ("test_marks_survive_reopening_under_any_id",)


class TestHalfWrites(SinkCase):
    class sink(MemorySink):
        """Writes while it reads, and leaves what came before the end."""

        def store(self, bundle: Bundle) -> WriteOutcome:
            stored = StoredThread([], bundle.mark)
            self.target.threads[self.source, bundle.thread_id] = stored
            try:
                stored.lines.extend(encode_line(record) for record in bundle)
            except ThreadError as error:
                return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
            return WriteOutcome(thread_id=bundle.thread_id)

    fails = ("test_a_thread_that_breaks_off_leaves_the_old_copy",)


class TestSwallowsFailures(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            super().store(bundle)
            return WriteOutcome(thread_id=bundle.thread_id)

    fails = ("test_a_thread_that_breaks_off_leaves_the_old_copy",)


class TestRefusesTheNeighboursToo(SinkCase):
    class sink(MemorySink):
        """One thread that it cannot hold takes the whole batch with it."""

        async def write(
            self, bundles: Sequence[Bundle], context: Context
        ) -> Sequence[WriteOutcome]:
            if any(b"\\u0000" in line for bundle in bundles for line in bundle.lines()):
                return [
                    WriteOutcome(thread_id=bundle.thread_id, error="text holds NUL")
                    for bundle in bundles
                ]
            return await super().write(bundles, context)

    may_refuse: ClassVar[Mapping[str, str]] = {
        "nul": "text holds NUL",
        "id-nul": "the id holds NUL",
    }
    fails = (f"{ARRIVES}[nul]", f"{ARRIVES}[id-nul]")


class TestDeclaresARefusalThatIsNone(SinkCase):
    sink = MemorySink
    may_refuse: ClassVar[Mapping[str, str]] = {"nul": "it was so in an earlier version"}
    fails = (f"{ARRIVES}[nul]",)


class TestRefusesWithoutAWord(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            if any(b"\\u0000" in line for line in bundle.lines()):
                return WriteOutcome(thread_id=bundle.thread_id, error="")
            return super().store(bundle)

    may_refuse: ClassVar[Mapping[str, str]] = {"nul": "NUL", "id-nul": "NUL"}
    fails = (f"{ARRIVES}[nul]", f"{ARRIVES}[id-nul]")


class TestGivesOutcomesInAnyOrder(SinkCase):
    class sink(MemorySink):
        async def write(
            self, bundles: Sequence[Bundle], context: Context
        ) -> Sequence[WriteOutcome]:
            return [*await super().write(bundles, context)][::-1]

    fails = (
        ARRIVES,
        "test_many_threads_arrive_in_several_batches",
        "test_writers_may_work_at_once",
        "test_writing_twice_leaves_what_writing_once_leaves",
        "test_a_new_copy_replaces_the_old_one",
        "test_marks_survive_reopening_under_any_id",
        "test_a_partial_thread_is_stored_and_not_marked",
        "test_merged_sources_are_kept_apart",
        "test_forgotten_threads_are_gone_with_their_marks",
        "test_whole_threads_are_held_and_no_others",
        "test_an_aborted_run_leaves_nothing_broken",
    )


class TestClosesBundles(SinkCase):
    class sink(MemorySink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            outcome = super().store(bundle)
            bundle.close()
            return outcome

    fails = ("test_bundles_stay_the_engines",)


class TestReadsMemoryOnly(SinkCase):
    class sink(Changing):
        """Takes what lies in memory for the whole bundle."""

        def store(self, bundle: Bundle) -> WriteOutcome:
            list(bundle.lines()) if bundle.size < 1 << 18 else None
            try:
                lines = [encode_line(record) for record in bundle]
            except ThreadError as error:
                return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
            return self.put(bundle, lines[:10])

    fails = ("test_a_bundle_that_lies_on_disk_arrives",)


class TestLosesUpdates(SinkCase):
    class sink(MemorySink):
        """Two writers read, change and write back the same state."""

        async def write(
            self, bundles: Sequence[Bundle], context: Context
        ) -> Sequence[WriteOutcome]:
            read = self.target.threads = dict(self.target.threads)
            await asyncio.sleep(0)
            self.target.threads = read
            return await super().write(bundles, context)

    fails = ("test_writers_may_work_at_once",)


class TestKeepsWhatNobodyCanRead(SinkCase):
    class sink(MemorySink):
        """Copies lines, and its target cannot be read any more."""

        def store(self, bundle: Bundle) -> WriteOutcome:
            if not super().store(bundle).error:
                return WriteOutcome(thread_id=bundle.thread_id)
            try:
                stored = StoredThread(list(bundle.lines()), bundle.mark)
            except ThreadError as error:
                return WriteOutcome(thread_id=bundle.thread_id, error=str(error))
            self.target.threads[self.source, bundle.thread_id] = stored
            return WriteOutcome(thread_id=bundle.thread_id)

    fails = ("test_a_record_that_is_not_json_costs_its_thread_alone",)


class TestLeavesItsThreadAlone(SinkCase):
    class sink(MemorySink):
        """A worker thread goes on reading what the engine has closed."""

        async def write(
            self, bundles: Sequence[Bundle], context: Context
        ) -> Sequence[WriteOutcome]:
            return await asyncio.to_thread(lambda: [self.store(bundle) for bundle in bundles])

    fails = ("test_a_cancelled_write_is_over_when_it_returns",)


class TestKeepsItsLock(SinkCase):
    class sink(MemorySink):
        """It forgets that it holds the lock where `begin` is cancelled."""

        has_begun = False

        async def begin(self, run: RunInfo, context: Context) -> None:
            if getattr(self.target, "locked", False):
                raise LockedError("another run writes there")
            if not run.dry_run:
                setattr(self.target, "locked", True)  # noqa: B010 -- it is not one of its own
            try:
                await super().begin(run, context)
            except UsageError:
                setattr(self.target, "locked", False)  # noqa: B010
                raise
            await asyncio.sleep(0)
            self.has_begun = True

        async def __aexit__(self, *_: object) -> None:
            if self.has_begun:
                setattr(self.target, "locked", False)  # noqa: B010

    fails = ("test_a_cancelled_begin_leaves_nothing_behind",)


class TestTakesAnySource(SinkCase):
    class sink(MemorySink):
        async def begin(self, run: RunInfo, context: Context) -> None:
            self.source = run.source

    fails = ("test_another_source_is_refused_without_merge",)


class TestMixesMergedSources(SinkCase):
    class sink(MemorySink):
        async def begin(self, run: RunInfo, context: Context) -> None:
            await super().begin(
                RunInfo(
                    source="kit://first" if run.merge else run.source,
                    started_at=run.started_at,
                    fingerprint=run.fingerprint,
                ),
                context,
            )

    fails = ("test_merged_sources_are_kept_apart",)


class TestForgetsNothing(SinkCase):
    class sink(MemorySink):
        async def forget(self, thread_ids: Sequence[str]) -> None:
            pass

    fails = ("test_forgotten_threads_are_gone_with_their_marks",)


class TestForgetsMarksOnly(SinkCase):
    class sink(MemorySink):
        async def forget(self, thread_ids: Sequence[str]) -> None:
            for thread_id in thread_ids:
                if (self.source, thread_id) in self.target.threads:
                    self.target.threads[self.source, thread_id].mark = None

    fails = ("test_forgotten_threads_are_gone_with_their_marks",)


class TestForgetsAll(SinkCase):
    class sink(MemorySink):
        async def forget(self, thread_ids: Sequence[str]) -> None:
            self.target.threads.clear()

    fails = (
        "test_merged_sources_are_kept_apart",
        "test_forgotten_threads_are_gone_with_their_marks",
    )


class TestKeepsOldExtras(SinkCase):
    class sink(MemorySink):
        async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
            bundle.outcome = "partial"
            return await super().write_extras(kind, bundle, context)

    fails = ("test_extras_arrive_and_replace",)


class TestReplacesByPartialExtras(SinkCase):
    class sink(MemorySink):
        async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
            bundle.outcome = "complete"
            return await super().write_extras(kind, bundle, context)

    fails = ("test_extras_arrive_and_replace",)


class TestKeysStoreItemsByJoinedNamespace(SinkCase):
    class sink(MemorySink):
        """`("a", "b")` and `("a.b",)` are one to it."""

        async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
            outcome = await super().write_extras(kind, bundle, context)
            kept = {}
            for line in self.target.extras[kind]:
                fields = json.loads(line)
                where = (
                    ".".join(fields["namespace"]) + "/" + fields["key"]
                    if kind == "store_item"
                    else line
                )
                kept[where] = line
            self.target.extras[kind] = list(kept.values())
            return outcome

    fails = ("test_extras_arrive_and_replace[store_item]",)


class TestCreatesInADryRun(SinkCase):
    class sink(MemorySink):
        async def begin(self, run: RunInfo, context: Context) -> None:
            self.target.extras.setdefault("lock", [])
            await super().begin(run, context)

    fails = ("test_a_dry_run_creates_nothing",)


class TestCreatesWhenOpened(SinkCase):
    class sink(MemorySink):
        async def __aenter__(self) -> MemorySink:
            self.target.extras.setdefault("schema", [])
            return self

    fails = ("test_a_dry_run_creates_nothing", "test_opening_and_probing_create_nothing")


class TestCreatesWhenMade(SinkCase):
    class sink(MemorySink):
        def __init__(self, config: MemoryConfig) -> None:
            super().__init__(config)
            self.target.extras.setdefault("schema", [])

    fails = ("test_a_dry_run_creates_nothing", "test_opening_and_probing_create_nothing")


class TestIsDurableAtTheEndOnly(SinkCase):
    """A document that claims to keep marks: nothing of it survives an abort."""

    class sink(MemorySink):
        def __init__(self, config: MemoryConfig) -> None:
            super().__init__(config)
            self.draft = MemoryTarget(dict(config.target.threads), dict(config.target.extras))

        @property
        def target(self) -> MemoryTarget:
            return self.draft

        async def finish(self, context: Context) -> None:
            self.config.target.threads = self.draft.threads
            self.config.target.extras = self.draft.extras

    fails = ("test_an_aborted_run_leaves_nothing_broken",)


class DocumentCase(SinkCase):
    """A sink without marks that is wrong."""

    keeps_no_marks = "it is one document"
    merges_not = "each run makes the document anew"


class TestDocumentShowsEarly(DocumentCase):
    class sink(MemoryDocumentSink):
        def store(self, bundle: Bundle) -> WriteOutcome:
            outcome = super().store(bundle)
            self.config.target.threads = self.draft.threads
            return outcome

    fails = (
        "test_an_aborted_run_leaves_nothing_broken",
        "test_nothing_shows_before_the_end_without_marks",
        "test_a_cancelled_write_is_over_when_it_returns",
    )


class TestDocumentIsEmptiedFirst(DocumentCase):
    class sink(MemoryDocumentSink):
        async def begin(self, run: RunInfo, context: Context) -> None:
            if not run.dry_run:
                self.config.target.threads = {}
            await super().begin(run, context)

    fails = (
        "test_an_aborted_run_leaves_nothing_broken",
        "test_a_partial_thread_is_stored_and_not_marked",
        "test_marks_survive_reopening_under_any_id",
    )


class TestDocumentNeverAppears(DocumentCase):
    class sink(MemoryDocumentSink):
        async def finish(self, context: Context) -> None:
            pass

    fails = (
        *(name for name in CONTENT if "merge" not in name and "forgotten" not in name),
        "test_nothing_shows_before_the_end_without_marks",
    )
