"""Sources and sinks that are wrong on purpose, each with its kit; run by `test_kits.py`.

Not collected by itself: its tests are there to fail. `fails` names the tests of the kit
that are to find the fault; no others do.
"""

# ruff: noqa: N801 -- the classes `sink` and `source` stand for attributes

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from lgx import (
    EXTRA_KINDS,
    Bundle,
    Context,
    Fact,
    Loss,
    Mark,
    Probe,
    Query,
    Record,
    RunInfo,
    ThreadEnd,
    ThreadError,
    ThreadRef,
    UnknownRecord,
    WriteOutcome,
    decode_line,
    encode_line,
    split_object,
)
from lgx.testing import SinkConformance, SourceConformance, sample_extras
from lgx.testing.conformance.samples import checkpoint, thread
from lgx.testing.memory import (
    MemoryConfig,
    MemoryDocumentSink,
    MemorySink,
    MemorySource,
    MemoryStream,
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
    """Keeps something else than it was given."""

    def changed(self, lines: Lines) -> Lines:
        raise NotImplementedError

    def put(self, bundle: Bundle, lines: Lines) -> WriteOutcome:
        self.target.threads[self.source, bundle.thread_id] = StoredThread(lines, bundle.mark)
        return WriteOutcome(thread_id=bundle.thread_id)

    def store(self, bundle: Bundle) -> WriteOutcome:
        try:
            return self.put(bundle, self.changed(list(bundle.lines())))
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

        def changed(self, lines: Lines) -> Lines:
            return lines

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

        def changed(self, lines: Lines) -> Lines:
            return lines

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

        def changed(self, lines: Lines) -> Lines:
            return lines

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
            lines = StoredThread(list(bundle.lines()), bundle.mark)
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
                stored.lines.extend(bundle.lines())
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
                lines = list(bundle.lines())
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


class TestTakesAnySource(SinkCase):
    class sink(MemorySink):
        async def begin(self, run: RunInfo) -> None:
            self.source = run.source

    fails = ("test_another_source_is_refused_without_merge",)


class TestMixesMergedSources(SinkCase):
    class sink(MemorySink):
        async def begin(self, run: RunInfo) -> None:
            await super().begin(
                RunInfo(
                    source="kit://first" if run.merge else run.source,
                    started_at=run.started_at,
                    fingerprint=run.fingerprint,
                )
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
        async def begin(self, run: RunInfo) -> None:
            self.target.extras.setdefault("lock", [])
            await super().begin(run)

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
    )


class TestDocumentIsEmptiedFirst(DocumentCase):
    class sink(MemoryDocumentSink):
        async def begin(self, run: RunInfo) -> None:
            if not run.dry_run:
                self.config.target.threads = {}
            await super().begin(run)

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


# -- sources -------------------------------------------------------------------------


class SourceCase(SourceConformance):
    """A source that is wrong, over a handful of threads."""

    source: ClassVar[type[MemorySource] | type[MemoryStream]]
    fails: ClassVar[tuple[str, ...]]

    @pytest.fixture
    def expected(self) -> Mapping[str, Sequence[Record]]:
        given: dict[str, Sequence[Record]] = {}
        for number, status in enumerate(("idle", "busy", "interrupted", "error", "idle")):
            thread_id = f"{number}-🎈"
            head = thread(
                thread_id,
                status=status,
                updated_at=f"2026-02-0{number + 1}T00:00:00+00:00",
                metadata=encode_line_of(number),
            )
            states = [
                checkpoint(thread_id, 0),
                checkpoint(thread_id, 1, parent=0),
                checkpoint(thread_id, 2, parent=1),
                checkpoint(thread_id, 0, namespace="child:1"),
            ]
            given[thread_id] = [head, *states]
        return given

    @pytest.fixture
    def expected_extras(self) -> Mapping[str, Sequence[Record]]:
        return {kind: sample_extras(kind) for kind in EXTRA_KINDS}

    @pytest.fixture
    def target(self, expected: Mapping[str, Sequence[Record]]) -> MemoryTarget:
        target = MemoryTarget()
        for records in expected.values():
            target.put(records)
        for kind in EXTRA_KINDS:
            target.extras[kind] = [encode_line(record) for record in sample_extras(kind)]
        return target

    @pytest.fixture
    def source_factory(self, target: MemoryTarget) -> Callable[[], MemorySource | MemoryStream]:
        return lambda: self.source(MemoryConfig(target=target))

    @pytest.fixture
    def change(self, target: MemoryTarget) -> Callable[[], str]:
        def change() -> str:
            stored = target.threads["memory://given", "2-🎈"]
            stored.lines.append(encode_line(checkpoint("2-🎈", 9, parent=2)))
            return "2-🎈"

        return change


def encode_line_of(number: int) -> Any:
    from lgx import raw

    return raw({"graph_id": "agent", "number": number, "user": {"name": "Zoë"}})


READS = (
    "test_threads_arrive_whole",
    "test_reads_may_run_at_once",
    "test_a_filter_admits_what_it_should",
)
ENDS = (
    "test_records_come_together_and_in_order",
    "test_reads_may_run_at_once",
)


class Editing(MemorySource):
    """Gives something else than it holds."""

    def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
        raise NotImplementedError

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        items = [item async for item in super().read(refs, context)]
        while items:
            end = next(at for at, item in enumerate(items) if isinstance(item, ThreadEnd))
            part, items = items[: end + 1], items[end + 1 :]
            for item in self.edited(part) if len(part) > 1 else part:
                yield item


class TestReadsAllButTheLastRecord(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-2], items[-1]]

    fails = READS


class TestReadsARecordTwice(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-1], *items[-2:]]

    fails = READS


class TestReadsNewestFirst(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [items[0], *items[-2:0:-1], items[-1]]

    fails = ENDS


class TestReadsTheThreadLast(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[1:-1], items[0], items[-1]]

    fails = ENDS


class TestOmitsTheEnd(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return items[:-1]

    fails = (*ENDS, "test_each_thread_ends_once_with_its_outcome")


class TestEndsTwice(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items, items[-1]]

    fails = ENDS


class TestEndsTooEarly(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-2], items[-1], items[-2]]

    fails = ENDS


class TestMixesThreads(SourceCase):
    class source(MemorySource):
        """Gives the records of several threads in turn."""

        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            every = [
                [item async for item in super(type(self), self).read([ref], context)]
                for ref in refs
            ]
            for row in itertools.zip_longest(*every):
                for item in row:
                    if item is not None:
                        yield item

    fails = ENDS


class TestReadsOthersToo(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            more = [ThreadRef(thread_id="0-🎈", version="1")]
            if any(ref.thread_id == "0-🎈" for ref in refs):
                more = []
            async for item in super().read([*refs, *more], context):
                yield item

    fails = (
        *ENDS,
        "test_threads_arrive_whole",
        "test_a_filter_admits_what_it_should",
        "test_a_thread_that_has_gone_ends_as_deleted",
    )


class TestSaysPartialWithoutALoss(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [*items[:-1], ThreadEnd(thread_id=items[-1].thread_id, outcome="partial")]  # type: ignore[union-attr]

    fails = ("test_each_thread_ends_once_with_its_outcome",)


class TestSaysCompleteWithALoss(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            end = items[-1]
            assert isinstance(end, ThreadEnd)
            lost = (Loss(what="checkpoint 1", why="it is gone", thread_id=end.thread_id),)
            return [
                *items[:-1],
                ThreadEnd(thread_id=end.thread_id, outcome="complete", losses=lost),
            ]

    fails = ("test_each_thread_ends_once_with_its_outcome",)


class TestManglesNumbers(SourceCase):
    class source(Editing):
        def edited(self, items: list[Record | ThreadEnd]) -> list[Record | ThreadEnd]:
            return [
                item
                if isinstance(item, ThreadEnd)
                else decode_line(encode_line(item).replace(b'"step":2', b'"step":2.5'))
                for item in items
            ]

    fails = READS


class TestDropsAThread(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            refs = [ref async for ref in super().list(query, context)]
            for ref in refs[:-1]:
                yield ref

    fails = (
        *READS,
        "test_each_thread_is_listed_once",
        "test_each_thread_ends_once_with_its_outcome",
        "test_a_limit_gives_enough",
    )


class TestListsAThreadTwice(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            last = None
            async for last in super().list(query, context):
                yield last
            if last is not None:
                yield last

    fails = (
        "test_threads_arrive_whole",
        "test_records_come_together_and_in_order",
        "test_reads_may_run_at_once",
        "test_each_thread_is_listed_once",
        "test_a_filter_admits_what_it_should",
        "test_a_limit_gives_enough",
    )


class TestClaimsAnOrder(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            for ref in [ref async for ref in super().list(query, context)][::-1]:
                yield ref

    fails = ("test_the_list_is_in_the_order_that_is_claimed",)


class TestIgnoresFilters(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            async for ref in super().list(Query(), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should",
        "test_a_filter_that_nothing_passes_gives_nothing",
    )


class TestIgnoresTheStatus(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            async for ref in super().list(replace(query, status=None), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should[status]",
        "test_a_filter_admits_what_it_should[all at once]",
    )


class TestTakesUntilAsInclusive(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            until = query.until.replace("T00:00:00", "T00:00:01") if query.until else None
            async for ref in super().list(replace(query, until=until), context):
                yield ref

    fails = (
        "test_a_filter_admits_what_it_should[until]",
        "test_a_filter_admits_what_it_should[window]",
    )


class TestTakesNoIdsForAll(SourceCase):
    class source(MemorySource):
        """Drops unknown ids from the filter, and an empty filter admits everything."""

        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            from msgspec.structs import replace

            known = tuple(item for item in query.thread_ids if self.stored(item))
            async for ref in super().list(replace(query, thread_ids=known), context):
                yield ref

    fails = ("test_a_filter_that_nothing_passes_gives_nothing",)


class TestStopsTooEarly(SourceCase):
    class source(MemorySource):
        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            refs = [ref async for ref in super().list(query, context)]
            for ref in refs[: None if query.limit is None else query.limit - 1]:
                yield ref

    fails = ("test_a_limit_gives_enough",)


class TestHasOneVersionForAll(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return "1"

    fails = ("test_a_change_changes_the_version",)


class TestTakesTheCountForAVersion(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return str(len(self.config.target.threads) + sum(map(len, self.all_lines())))

        def all_lines(self) -> list[Lines]:
            return [item.lines for item in self.config.target.threads.values()]

    fails = ("test_a_change_changes_the_version",)


class TestHasNoVersion(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return ""

    fails = ("test_each_thread_is_listed_once", "test_a_change_changes_the_version")


class TestHasUnstableVersions(SourceCase):
    class source(MemorySource):
        def version(self, thread: StoredThread) -> str:
            return str(id(self)) + super().version(thread)

        async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
            # Kept, so that no other source gets the same number.
            KEPT.append(self)
            async for ref in super().list(query, context):
                yield ref

    fails = ("test_versions_stay_while_nothing_changes", "test_a_change_changes_the_version")


KEPT: list[object] = []


class TestOffersTooLittle(SourceCase):
    class source(MemorySource):
        offers = frozenset({"thread", *EXTRA_KINDS})

    fails = ("test_offers_covers_what_comes",)


class TestOffersNoExtras(SourceCase):
    class source(MemorySource):
        offers = frozenset({"thread", "checkpoint"})

    fails = ("test_extras_arrive_whole",)


class TestConfusesExtras(SourceCase):
    class source(MemorySource):
        async def extras(self, kind: str, query: Query, context: Context) -> AsyncIterator[Record]:
            async for record in super().extras("cron", query, context):
                yield record

    fails = ("test_extras_arrive_whole",)


class TestHasNoIdentity(SourceCase):
    class source(MemorySource):
        async def identity(self) -> str:
            return ""

    fails = ("test_the_identity_stays",)


class TestHasANewIdentityEachTime(SourceCase):
    class source(MemorySource):
        async def identity(self) -> str:
            KEPT.append(self)
            return str(id(self))

    fails = ("test_the_identity_stays",)


class TestProbesNothing(SourceCase):
    class source(MemorySource):
        async def probe(self, context: Context) -> Probe:
            return Probe()

    fails = ("test_a_probe_tells_facts",)


class TestProbesAnError(SourceCase):
    class source(MemorySource):
        async def probe(self, context: Context) -> Probe:
            return Probe(facts=(Fact(name="storage", value="none", level="error"),))

    fails = ("test_a_probe_tells_facts",)


class TestRaisesForAThreadThatHasGone(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            for ref in refs:
                if self.stored(ref.thread_id) is None:
                    raise ThreadError(f"thread {ref.thread_id!r} is gone")
            async for item in super().read(refs, context):
                yield item

    fails = ("test_a_thread_that_has_gone_ends_as_deleted",)


class TestTakesGoneForEmpty(SourceCase):
    class source(MemorySource):
        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            async for item in super().read(refs, context):
                if isinstance(item, ThreadEnd):
                    item = ThreadEnd(thread_id=item.thread_id, outcome="complete")
                yield item

    fails = ("test_a_thread_that_has_gone_ends_as_deleted",)


class TestSharesACursor(SourceCase):
    class source(MemorySource):
        """Two reads at once get in each other's way."""

        current: Sequence[ThreadRef] = ()

        async def read(
            self, refs: Sequence[ThreadRef], context: Context
        ) -> AsyncIterator[Record | ThreadEnd]:
            self.current = refs
            await asyncio.sleep(0)
            async for item in super().read(self.current, context):
                yield item

    fails = ("test_reads_may_run_at_once",)


class TestStreamsExtrasUnasked(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            from msgspec.structs import replace

            async for item in super().scan(replace(query, extras=True), context):
                yield item

    fails = ("test_extras_stay_away_where_unwanted",)


class TestStreamsWithoutVersions(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            async for item in super().scan(query, context):
                if isinstance(item, ThreadEnd):
                    item = ThreadEnd(thread_id=item.thread_id, outcome="complete")
                yield item

    fails = ("test_each_thread_is_listed_once", "test_a_change_changes_the_version")


class TestStreamsWithoutTheLastEnd(SourceCase):
    class source(MemoryStream):
        async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
            items = [item async for item in super().scan(query, context)]
            for item in items[:-1]:
                yield item

    fails = (
        "test_records_come_together_and_in_order",
        "test_each_thread_ends_once_with_its_outcome",
        "test_each_thread_is_listed_once",
        "test_a_filter_admits_what_it_should",
        "test_a_limit_gives_enough",
    )


class TestSaysNothingAboutChanges(SourceCase):
    """Neither a way to change the data nor a reason why it cannot change."""

    source = MemorySource
    fails = ("test_a_change_changes_the_version",)

    @pytest.fixture
    def change(self) -> None:
        return None
