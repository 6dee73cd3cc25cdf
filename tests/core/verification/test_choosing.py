"""Some threads of many: filters and samples choose at the source, the sink is asked for these."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lgx import Checkpoint, Loss, UsageError
from lgx.testing.memory import MemorySource, MemoryStream
from lgx.verification.report import Compared
from lgx.verification.sampling import Sample


def fill(pair: Any, make: Any, count: int) -> list[str]:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(count)]
    for thread_id in ids:
        pair.put(make.history(thread_id, 1))
    return ids


class TestFilters:
    async def test_the_sink_is_looked_at_for_what_the_source_chose(
        self, pair: Any, make: Any
    ) -> None:
        """Its own times and statuses may be others; what it has besides is no difference."""
        ids = fill(pair, make, 5)
        for thread_id in ids[:2]:
            pair.put(
                [make.thread(thread_id, status="busy"), make.state(thread_id, 0)],
                [make.thread(thread_id, status="idle"), make.state(thread_id, 0)],
            )
        reads = pair.there()

        found = await pair.verify(status="busy")

        assert [(d.thread_id, d.first) for d in found.differences] == [
            (thread_id, "the thread's status differs") for thread_id in ids[:2]
        ]
        assert (found.threads, sorted(reads)) == (Compared(different=2), ids[:2])

    async def test_one_that_the_sink_lacks_is_missing(self, pair: Any, make: Any) -> None:
        """Also where it was asked for by its id."""
        ids = fill(pair, make, 2)
        pair.source.put(make.history("only here"))

        by_id = await pair.verify(thread_ids=[ids[0], "only here"])
        by_filter = await pair.verify(metadata={"owner": "zoe"})

        for found, equal in ((by_id, 1), (by_filter, 2)):
            assert found.threads == Compared(equal=equal, missing=1)
            assert [(d.thread_id, d.what) for d in found.differences] == [("only here", "missing")]

    async def test_one_that_the_source_lacks_cannot_be_compared(self, pair: Any, make: Any) -> None:
        """Whoever names a thread believes that it is there; without any it is no comparison."""
        ids = fill(pair, make, 2)

        found = await pair.verify(thread_ids=[ids[0], "nowhere"])
        nothing = await pair.verify(thread_ids=["nowhere"])

        assert [(d.thread_id, d.what, d.first) for d in found.differences] == [
            (
                "nowhere",
                "unread",
                "could not be read whole in the source (the source has no such thread)",
            )
        ]
        assert (nothing.exit_code, nothing.aborted) == (
            4,
            "no thread could be read: the source, here: the source has no such thread",
        )

    async def test_a_limit_counts_threads_of_the_source(self, pair: Any, make: Any) -> None:
        """The sink may list others first."""
        fill(pair, make, 6)

        found = await pair.verify(limit=2)

        assert (found.equal, found.threads) == (True, Compared(equal=2))
        assert found.source.threads == found.sink.threads == 2

    async def test_where_nothing_was_chosen_that_is_told(self, pair: Any, make: Any) -> None:
        """An equality of nothing is worth a word."""
        fill(pair, make, 2)

        found = await pair.verify(status="busy")

        assert (found.equal, found.threads) == (True, Compared())
        assert [note.message for note in found.notes] == ["no thread of the source was chosen"]

    async def test_more_than_can_be_asked_for_by_id(self, pair: Any, make: Any) -> None:
        """Then all are listed, and those that were not chosen are not read."""
        ids = fill(pair, make, 520)
        pair.sink.put(make.history("another"))
        reads = pair.there()

        found = await pair.verify(metadata={"owner": "zoe"}, limit=510)

        assert (found.equal, found.threads.equal) == (True, 510)
        assert sorted(reads) == ids[:510]

    async def test_extras_stay_out_unless_asked_for(self, pair: Any, make: Any) -> None:
        """As in a run."""
        fill(pair, make, 1)
        pair.source.extras["cron"] = [b'{"kind":"cron","cron_id":"1"}']

        assert (await pair.verify(limit=1)).equal
        assert (await pair.verify(limit=1, extras=True)).records.missing == 1

    async def test_an_earlier_moment_is_the_sources(self, pair: Any, make: Any) -> None:
        """A source that keeps none refuses; the sink is looked at as it is."""
        fill(pair, make, 1)
        asked: list[str | None] = []

        async def listing(self: Any, query: Any, context: Any) -> Any:
            asked.append(query.as_of)
            async for ref in MemorySource.list(self, query, context):
                yield ref

        with pytest.raises(UsageError, match="the memory source has none but the present one"):
            await pair.verify(as_of="2026-11-20")
        pair.here(keeps_earlier=True, list=listing)
        pair.there(keeps_earlier=True, list=listing)

        assert (await pair.verify(as_of="2026-11-20")).equal
        assert sorted(asked, key=str) == ["2026-11-20T00:00:00+00:00", None]


class TestSample:
    async def test_so_many_threads_are_compared(self, pair: Any, make: Any) -> None:
        """The same ones for the same seed, others for another; which seed it was is told."""
        ids = fill(pair, make, 200)
        chosen = []
        for seed in ("a", "a", "b"):
            reads = pair.there()
            found = await pair.verify(sample=10, seed=seed)
            assert (found.threads, found.equal) == (Compared(equal=10), True)
            assert (found.sample, found.seed) == (10, seed)
            chosen.append(sorted(reads))

        assert chosen[0] == chosen[1] != chosen[2]
        assert set(chosen[0]) < set(ids)

    async def test_no_thread_is_read_in_vain(self, pair: Any, make: Any) -> None:
        """Which ones are of the sample is known once all are listed; then these are read."""
        fill(pair, make, 200)
        asked: list[int] = []

        async def listing(self: Any, query: Any, context: Any) -> Any:
            asked.append(len(query.thread_ids))
            async for ref in MemorySource.list(self, query, context):
                yield ref

        here, there = pair.here(list=listing), pair.there()

        assert (await pair.verify(sample=10, seed="a")).threads.equal == 10
        assert (len(here), sorted(here)) == (10, sorted(there))
        assert asked == [0, 10]

    async def test_one_that_cannot_be_listed_may_be_of_it(self, pair: Any, make: Any) -> None:
        """Else what is damaged would never be looked at."""
        fill(pair, make, 20)

        async def listing(self: Any, query: Any, context: Any) -> Any:
            async for ref in MemorySource.list(self, query, context):
                odd = int(ref.thread_id[-1]) % 2
                lost = Loss(what="thread", why="its row is damaged", thread_id=ref.thread_id)
                yield lost if odd else ref

        pair.here(list=listing)

        for size, equal in ((20, 10), (6, 4)):
            found = await pair.verify(sample=size, seed="d")
            assert found.threads == Compared(equal=equal, unread=size - equal)

    async def test_what_the_listing_lacks_makes_a_difference(self, pair: Any, make: Any) -> None:
        """Nobody knows which threads that is."""
        fill(pair, make, 20)

        async def listing(self: Any, query: Any, context: Any) -> Any:
            async for ref in MemorySource.list(self, query, context):
                yield ref
            if not query.thread_ids:
                yield Loss(what="the rest", why="the file was cut short")

        pair.here(list=listing)

        found = await pair.verify(sample=3, seed="d")

        assert (found.exit_code, found.threads) == (1, Compared(equal=3))
        assert [loss.what for loss in found.source.unread] == ["the rest"]

    @pytest.mark.parametrize("source", ["here", "streamed"])
    async def test_of_one_side_alone(self, pair: Any, make: Any, source: str) -> None:
        """Of a stream threads are read that then are not of it; they do not count."""
        fill(pair, make, 200)

        found = await pair.verify(source, None, sample=10, seed="a")

        assert (found.source.threads, found.source.checkpoints) == (10, 10)

    async def test_it_has_its_size_though_a_stream_brings_what_fails(
        self, pair: Any, make: Any
    ) -> None:
        """A thread that fails is of the sample, or it is not; it pushes none out too late."""
        fill(pair, make, 30)

        async def scan(self: Any, query: Any, context: Any) -> Any:
            async for item in MemoryStream.scan(self, query, context):
                if isinstance(item, Checkpoint) and item.thread_id[-1] in "13579":
                    item = msgspec.structs.replace(item, values=msgspec.Raw(b'"\xff"'))
                yield item

        pair.classes["streamed"].scan = scan

        for seed in "abcd":
            found = await pair.verify("streamed", sample=6, seed=seed)
            assert found.threads.equal + found.threads.unread == 6

    async def test_losses_of_others_do_not_count(self, pair: Any, make: Any) -> None:
        """Of either side."""
        ids = fill(pair, make, 50)
        losses = {thread_id: Loss(what="x", why="y", thread_id=thread_id) for thread_id in ids}
        reads = pair.there()
        assert (await pair.verify(sample=5, seed="x")).equal
        chosen = set(reads)
        pair.here(losses={i: loss for i, loss in losses.items() if i not in chosen})
        pair.there(losses={i: loss for i, loss in losses.items() if i not in chosen})

        assert (await pair.verify(sample=5, seed="x")).equal
        pair.here(losses=losses)
        assert (await pair.verify(sample=5, seed="x")).threads == Compared(unread=5)

    async def test_without_a_seed_one_is_made(self, pair: Any, make: Any) -> None:
        """And can be used again."""
        fill(pair, make, 50)
        reads = pair.there()
        first = await pair.verify(sample=5)
        again = pair.there()
        await pair.verify(sample=5, seed=first.seed)

        assert sorted(reads) == sorted(again)
        assert len(first.seed) == 12

    async def test_a_stream_gives_the_same_sample(self, pair: Any, make: Any) -> None:
        """Whatever the order in which threads come."""
        fill(pair, make, 50)
        chosen = []
        for source in ("here", "streamed"):
            reads = pair.there()
            assert (await pair.verify(source, sample=5, seed="x")).threads.equal == 5
            chosen.append(sorted(reads))

        assert chosen[0] == chosen[1]

    def test_few_of_a_stream_are_read_in_vain(self) -> None:
        """Those that come first are candidates until others take their place."""
        sample = Sample(100, "seed")
        read = sum(len(sample.candidates([f"t{number}"])) for number in range(100_000))

        assert len(sample.ids) == 100
        assert read < 1200

    def test_all_are_taken_where_there_are_fewer(self) -> None:
        """And an id that comes again counts once."""
        sample = Sample(10, "")
        assert sample.candidates(["a", "b", "a", "\ud800"]) == {"a", "b", "\ud800"}
        assert len(sample.ids) == 3

    def test_every_thread_is_as_likely_as_any_other(self) -> None:
        """Over many seeds each of ten is chosen about as often."""
        counts = dict.fromkeys("abcdefghij", 0)
        for seed in range(2000):
            sample = Sample(3, str(seed))
            sample.see(list(counts))
            for own in sample.ids:
                counts[own.decode()] += 1

        assert all(500 < count < 700 for count in counts.values())
