"""A verification as a whole: how it ends, of one side or two, and what it leaves behind."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lgx
from lgx import (
    Fact,
    FatalError,
    Loss,
    Probe,
    Progress,
    RetryableError,
    Stop,
    ThreadError,
    UsageError,
    encode_line,
    raw,
)
from lgx.testing import sample_extras
from lgx.testing.memory import MemorySource
from lgx.verification.fingerprint import fingerprint, head_of
from lgx.verification.ledger import Ledger
from lgx.verification.report import Compared, Verification

NO_JSON = msgspec.Raw(b'"\x01"')

LOSS = Loss(what="checkpoint c9", why="the server answered 500", thread_id="t", checkpoints=1)


class TestFailures:
    async def test_a_thread_that_could_not_be_read_whole_is_no_equal_one(
        self, pair: Any, make: Any
    ) -> None:
        """Even if what came of it is equal."""
        pair.put(make.history("t"))
        pair.put(make.history("u"))
        pair.there(losses={"t": LOSS})

        found = await pair.verify()

        assert [(d.thread_id, d.what, d.first) for d in found.differences] == [
            (
                "t",
                "unread",
                "could not be read whole in the sink (checkpoint c9: the server answered 500)",
            )
        ]
        assert (found.threads, found.exit_code) == (Compared(equal=1, unread=1), 1)
        assert found.sink.unread == [LOSS]

    async def test_nor_are_its_checkpoints_missing_or_equal(self, pair: Any, make: Any) -> None:
        """Nobody knows, whichever side it is and however much came of it."""
        pair.put(make.history("t"), make.history("t", 2))
        pair.source.put(make.history("here"))
        pair.put(make.history("u"))
        other = msgspec.structs.replace(LOSS, thread_id="here")
        pair.here(losses={"t": LOSS, "here": other})

        found = await pair.verify()

        assert (found.checkpoints, found.records) == (Compared(equal=3), Compared())
        assert (found.threads, found.source.checkpoints) == (Compared(equal=1, unread=2), 9)

    async def test_one_of_which_nothing_came_is_told_with_its_reason(
        self, pair: Any, make: Any
    ) -> None:
        """It is not taken for one that is missing."""
        pair.put(make.history("t"))
        pair.put(make.history("u"))
        pair.here(read=failing_for("t", ThreadError("it is cursed")), refs_per_read=1)

        found = await pair.verify()

        assert [(d.thread_id, d.what, d.first) for d in found.differences] == [
            ("t", "unread", "could not be read whole in the source (it is cursed)")
        ]
        assert found.threads == Compared(equal=1, unread=1)

    async def test_both_sides_reasons_are_told_of_a_thread_at_once(
        self, pair: Any, make: Any
    ) -> None:
        """It is one thread, and counted once; also where nothing of it came."""
        pair.put(make.history("gone"))
        pair.put(make.history("t"))
        pair.put(make.history("u"))
        for bind in (pair.here, pair.there):
            bind(
                read=failing_for("gone", ThreadError("it is cursed")),
                losses={"t": LOSS},
                refs_per_read=1,
            )

        found = await pair.verify()

        both = "could not be read whole in the source ({0}), nor in the sink ({0})"
        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("t", both.format("checkpoint c9: the server answered 500")),
            ("gone", both.format("it is cursed")),
        ]
        assert found.threads == Compared(equal=1, unread=2)

    async def test_without_any_thread_read_nothing_can_be_told(self, pair: Any, make: Any) -> None:
        """Both sides' first reasons are."""
        pair.put(make.history("t"))
        for bind, words in ((pair.here, "no answer"), (pair.there, "no disk")):
            bind(broken=RetryableError(words))

        found = await pair.verify()

        assert (found.exit_code, found.equal) == (4, None)
        assert found.aborted == (
            "no thread could be read: the source, here: no answer; the sink, there: no disk"
        )

    async def test_nor_where_that_is_so_of_one_side(self, pair: Any, make: Any) -> None:
        """However much was read of the other."""
        pair.put(make.history("t"))
        pair.there(broken=RetryableError("no disk"))

        found = await pair.verify()

        assert (found.exit_code, found.aborted) == (
            4,
            "no thread could be read: the sink, there: no disk",
        )

    @pytest.mark.parametrize("side", ["here", "there"])
    async def test_a_side_that_breaks_off_ends_the_other(
        self, pair: Any, make: Any, side: str
    ) -> None:
        """The reason is told, and no word of the other, which was only stopped."""
        pair.put(make.history("t"))
        getattr(pair, side)(broken=FatalError("the disk is gone"))
        getattr(pair, "there" if side == "here" else "here")(list=endless)

        found = await pair.verify()

        title = {"here": "the source, here", "there": "the sink, there"}[side]
        assert (found.aborted, found.exit_code) == (f"{title}: the disk is gone", 4)

    async def test_sides_that_cannot_be_opened_raise(self, pair: Any, make: Any) -> None:
        """With both reasons where it is both."""
        pair.here(__aenter__=refusing(FatalError("no server there")))
        with pytest.raises(FatalError, match=r"^no server there$"):
            await pair.verify()
        pair.there(__aenter__=refusing(FatalError("no key; use --source-key")))
        with pytest.raises(FatalError) as raised:
            await pair.verify()

        assert str(raised.value) == (
            "the source, here: no server there; the sink, there: no key; use --sink-key"
        )

    async def test_a_bug_in_a_plugin_comes_through(self, pair: Any, make: Any) -> None:
        """And the other side is not left running."""
        pair.put(make.history("t"))
        pair.here(broken=KeyError("a bug"))
        pair.there(list=endless)

        with pytest.raises(KeyError):
            await asyncio.wait_for(pair.verify(), 10)

    async def test_a_plugin_that_breaks_the_contract_is_named_as_the_cause(
        self, pair: Any, make: Any
    ) -> None:
        """Here one that ends a thread which nobody asked for."""
        pair.put(make.history("t"))
        pair.there(read=failing_for("", None, ends="another"))

        found = await pair.verify()

        assert found.exit_code == 4
        assert "its plugin is at fault" in found.aborted

    async def test_values_that_are_no_json_fail_their_thread(self, pair: Any, make: Any) -> None:
        """Which a source vouches for, and may get wrong."""
        pair.put(make.history("t"))
        pair.put(make.history("u"))
        stored = pair.source.threads["memory://given", "t"]
        broken = msgspec.structs.replace(make.state("t", 1), values=msgspec.Raw(b'{"n":nope}'))
        stored.lines[2] = encode_line(broken)

        found = await pair.verify()

        assert [(d.thread_id, d.what) for d in found.differences] == [("t", "unread")]

    async def test_extras_that_are_no_json_are_no_equal_ones(self, pair: Any, make: Any) -> None:
        """Also where both sides have the same."""
        pair.put(make.history("t"))
        item = msgspec.structs.replace(sample_extras("store_item")[0], value=NO_JSON)
        pair.here(extras=vouching_for_extra(item))
        pair.there(extras=vouching_for_extra(item))

        found = await pair.verify()

        assert (found.exit_code, found.equal) == (1, False)
        for side in (found.source, found.sink):
            assert [loss.what for loss in side.unread] == ["store_item records"]

    async def test_losses_of_no_thread_make_a_difference(self, pair: Any, make: Any) -> None:
        """As of a file that ends too early: what else was in it nobody knows."""
        pair.put(make.history("t"))
        pair.here(list=losing)

        found = await pair.verify()

        assert (found.exit_code, found.equal, found.differences) == (1, False, [])
        assert [loss.what for loss in found.source.unread] == ["the rest"]


def failing_for(thread_id: str, error: Exception | None, ends: str | None = None) -> Any:
    async def read(self: Any, refs: Any, context: Any) -> Any:
        if ends is not None:
            yield lgx.ThreadEnd(thread_id=ends, outcome="complete")
        if error is not None and refs[0].thread_id == thread_id:
            raise error
        async for item in MemorySource.read(self, refs, context):
            if isinstance(item, lgx.ThreadEnd) and item.thread_id in self.losses:
                losses = (self.losses[item.thread_id],)
                item = msgspec.structs.replace(item, outcome="partial", losses=losses)
            yield item

    return read


def vouching_for_extra(record: lgx.Record) -> Any:
    async def extras(self: Any, kind: str, query: Any, context: Any) -> Any:
        if kind == record.kind:
            yield record

    return extras


def refusing(error: Exception) -> Any:
    async def enter(self: Any) -> Any:
        raise error

    return enter


async def endless(self: Any, query: Any, context: Any) -> Any:
    await asyncio.Event().wait()
    yield


async def losing(self: Any, query: Any, context: Any) -> Any:
    async for ref in MemorySource.list(self, query, context):
        yield ref
    yield Loss(what="the rest", why="the file was cut short")


class TestOneSide:
    @pytest.mark.parametrize("role", ["source", "sink"])
    async def test_all_of_it_is_read_and_counted(self, pair: Any, make: Any, role: str) -> None:
        """With the digest that a comparison tells of the same content."""
        pair.put(make.history("t"))
        pair.put(make.history("u", 5))
        for place in (pair.source, pair.sink):
            place.extras["assistant"] = list(map(encode_line, sample_extras("assistant")))
        both = await pair.verify()

        found = await (
            pair.verify("here", None) if role == "source" else pair.verify(None, "there")
        )

        side = getattr(found, role)
        assert (side.threads, side.checkpoints, side.records) == (2, 8, 3)
        assert side.digest == both.source.digest
        assert (found.equal, found.exit_code, found.threads) == (None, 0, Compared())

    async def test_what_cannot_be_read_is_told(self, pair: Any, make: Any) -> None:
        """Exit code 1."""
        pair.put(make.history("t"))
        pair.put(make.history("u"))
        pair.here(losses={"t": LOSS})

        found = await pair.verify("here", None)

        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("t", "could not be read whole (checkpoint c9: the server answered 500)")
        ]
        assert found.exit_code == 1

    async def test_a_place_that_finds_itself_damaged_is_not_read(
        self, pair: Any, make: Any
    ) -> None:
        """What it says is told; reading would end at the first damage."""
        pair.put(make.history("t"))
        damage = Fact(name="damage", value="part 3 is damaged", level="error")
        reads = pair.here(check=checking(damage))

        found = await pair.verify("here", None)

        assert (found.checks, found.exit_code, reads) == ([damage], 1, [])
        sound = Fact(name="content", value="as it was written")
        pair.here(check=checking(sound))
        found = await pair.verify("here", None)
        assert (found.checks, found.exit_code, found.source.threads) == ([sound], 0, 1)

    async def test_one_side_is_not_checked_where_there_are_two(self, pair: Any, make: Any) -> None:
        """Reading all of it twice would be no better comparison."""
        pair.put(make.history("t"))
        pair.here(check=checking(Fact(name="damage", value="x", level="error")))

        assert (await pair.verify()).checks == []

    async def test_without_a_side_there_is_nothing_to_do(self) -> None:
        """A usage error."""
        with pytest.raises(UsageError, match="verify needs a source, a sink, or both"):
            await lgx.verify_async()


def checking(*facts: Fact) -> Any:
    async def check(self: Any, context: Any) -> Probe:
        return Probe(facts=facts)

    return check


class TestStopping:
    async def test_while_reading(self, pair: Any, make: Any) -> None:
        """Both sides end; the signal is in the result."""
        pair.put(make.history("t"))
        pair.here(list=endless)
        stop = Stop()
        asyncio.get_running_loop().call_later(0.05, stop.request, 15)

        found = await pair.verify(stop=stop)

        assert (found.signal, found.exit_code, found.equal) == (15, 143, None)

    async def test_without_a_signal(self, pair: Any, make: Any) -> None:
        """As from Python."""
        pair.put(make.history("t"))
        stop = Stop()
        stop.request()

        found = await pair.verify(stop=stop)

        assert found.aborted == "the verification was stopped before its end"

    async def test_a_task_can_be_cancelled(self, pair: Any, make: Any) -> None:
        """Nothing goes on behind it, and nothing is left."""
        pair.put(make.history("t"))
        pair.here(list=endless)
        task = asyncio.create_task(pair.verify())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_progress_is_the_sum_of_both_sides(pair: Any, make: Any) -> None:
    """So that one bar shows it."""
    for number in range(4):
        pair.put(make.history(f"t{number}"))
    progress = Progress()

    await pair.verify(progress=progress)

    assert (progress.listed, progress.written, progress.checkpoints) == (8, 8, 24)
    assert (progress.phase, progress.total) == ("done", 8)


async def test_notes_name_their_side(pair: Any, make: Any) -> None:
    """And the options of that side; the same may be told of both."""
    pair.put(make.history("t"))

    async def listing(self: Any, query: Any, context: Any) -> Any:
        context.note("it has moved; see --source-place")
        async for ref in MemorySource.list(self, query, context):
            yield ref

    pair.here(list=listing)
    pair.there(list=listing)

    assert [note.message for note in (await pair.verify()).notes] == [
        "the source, here: it has moved; see --source-place",
        "the sink, there: it has moved; see --sink-place",
    ]


async def test_an_equality_of_nothing_is_told(pair: Any, make: Any) -> None:
    """As where a key sees no thread, and so did the one that the copy was made with."""
    found = await pair.verify()

    assert (found.equal, found.exit_code) == (True, 0)
    assert [note.message for note in found.notes] == ["neither side holds any thread"]
    pair.put(make.history("t"))
    assert (await pair.verify()).notes == []


async def test_nothing_is_left_on_disk_and_nothing_has_a_name_there(
    pair: Any, make: Any, tmp_path: Path
) -> None:
    """Digests say less than values, and still are nobody's: the file is unlinked while it is
    open, and its owner's alone."""
    for number in range(3):
        pair.put(make.history(f"t{number}"))
    seen: list[tuple[tuple[str, ...], tuple[int, ...]]] = []

    def look() -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Names in the directory, and the modes of files there that are open."""
        links = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
        ours = [path for path in links if str(path.readlink()).startswith(str(tmp_path))]
        modes = tuple(stat.S_IMODE(path.stat().st_mode) for path in ours)
        return tuple(path.name for path in tmp_path.iterdir()), modes

    async def reading(self: Any, refs: Any, context: Any) -> Any:
        seen.append(look())
        async for item in MemorySource.read(self, refs, context):
            yield item

    pair.here(read=reading)

    assert (await pair.verify(spool_directory=tmp_path)).equal
    assert set(seen) == {((), (0o600, 0o600))}
    assert look() == ((), ())


def test_a_thread_that_fails_leaves_nothing_in_the_ledger(make: Any) -> None:
    """Nor what its first records had made known: the names of their fields."""
    given, other = (make.state("t", 0, values=raw({key: 1})) for key in ("given", "other"))
    ledger = Ledger()
    try:
        with pytest.raises(ThreadError), ledger.together():
            ledger.add_record(1, fingerprint(given), head_of(given))
            raise ThreadError("the next one is no JSON")
        with ledger.together():
            for number, state in enumerate((other, given)):
                ledger.add_record(number, fingerprint(state), head_of(state))

        assert [[row.names for row in ledger.rows(number)] for number in range(2)] == [
            [fingerprint(state).names] for state in (other, given)
        ]
    finally:
        ledger.close()


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    """As an error that says what to do, not as one of SQLite's."""
    with pytest.raises(FatalError, match=r"cannot be kept on disk .*--spool-dir"):
        Ledger(tmp_path / "nowhere")


async def test_differences_beyond_a_bound_are_counted(
    pair: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison of two places that have nothing in common stays bounded."""
    monkeypatch.setattr("lgx.verification.listing.MOST_DIFFERENCES", 5)
    for number in range(9):
        pair.source.put(make.history(f"t{number}"))

    found = await pair.verify()

    assert (len(found.differences), found.unlisted, found.threads.missing) == (5, 4, 9)


def test_a_result_reads_back_as_it_was() -> None:
    """The document is that of the struct, with a format that says so."""
    found = Verification(aborted="no", threads=Compared(equal=3))

    text = found.to_json()

    assert msgspec.json.decode(text, type=Verification) == found
    assert msgspec.json.decode(text)["format"] == "lgx-verification/1"


def test_the_arguments_of_verify_are_checked(install: Callable[..., list[Path]]) -> None:
    """Before anything is opened."""
    install("tiny")
    tiny = lgx.use("tiny", place="here")
    verify: Any = lgx.verify
    for options, words in (
        ({"sample": 0}, "sample must be at least 1"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"query": lgx.Query(), "status": "idle"}, "query and status exclude each other"),
    ):
        with pytest.raises(UsageError, match=words):
            verify(tiny, **options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'full'"):
        verify(tiny, full=True)
    assert verify(tiny).source.threads == 3
