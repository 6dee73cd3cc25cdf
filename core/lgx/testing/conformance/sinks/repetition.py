"""Writing a thread again: the newest copy stands, once."""

from __future__ import annotations

from lgx.context import Context
from lgx.testing.conformance.reading import ReadBack, read_target
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.samples import PLAIN, sample_threads
from lgx.testing.conformance.sinks.engine import SinkFactory, running
from lgx.testing.conformance.sinks.ids import id_of, ref_of, said
from lgx.testing.conformance.sinks.kit import SinkKit

__all__ = ["Repetition"]


class Repetition(SinkKit):
    """The same thread a second time, as it was or changed."""

    def test_writing_twice_leaves_what_writing_once_leaves(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """A second run with the same threads changes nothing; with marks, nor does a second
        write in the same run."""

        async def test(context: Context) -> None:
            samples = sample_threads(sink_factory().accepts)
            threads = [samples[name] for name in (PLAIN, "namespaces", "fork", "no-checkpoints")]
            for _ in range(2):
                async with running(sink_factory, context) as sink:
                    await self._store(sink, threads, context)
                    if not self.keeps_no_marks:
                        await self._store(sink, threads, context)
            self._compare(await read_target(read_back, context), threads)

        run_test(test)

    def test_a_new_copy_replaces_the_old_one(
        self, sink_factory: SinkFactory, read_back: ReadBack
    ) -> None:
        """What a thread no longer holds (states, a namespace, fields) is gone; its neighbour,
        where marks are kept, stands as it was."""

        async def test(context: Context) -> None:
            samples = sample_threads(sink_factory().accepts)
            old, neighbour = samples["namespaces"], samples["fork"]
            new = [samples["namespaces"][0], *samples["namespaces"][2:4]]
            async with running(sink_factory, context) as sink:
                await self._store(sink, [old, neighbour], context)
            async with running(sink_factory, context) as sink:
                again = [new, neighbour] if self.keeps_no_marks else [new]
                await self._store(sink, again, context, version="2")
                marks = await sink.held([ref_of(new), ref_of(neighbour)])
            self._compare(await read_target(read_back, context), [new, neighbour])
            if not self.keeps_no_marks:
                assert said(marks) == {id_of(new): ("2", 2), id_of(neighbour): ("1", 5)}

        run_test(test)
