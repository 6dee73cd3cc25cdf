"""Fills a target through its sink: for tests of the source that reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lgx.contracts import Sink
from lgx.records import Record
from lgx.testing.conformance.bundles import extras_bundle, make_bundle, make_run
from lgx.testing.contexts import make_context

__all__ = ["fill"]


async def fill(
    sink: Sink[Any],
    threads: Sequence[Sequence[Record]],
    extras: Mapping[str, Iterable[Record]] | None = None,
) -> None:
    """A whole run into a sink that is not opened yet; it is to take all that it is given.

    Args:
        threads: the records of each, the first of them its `thread`.
        extras: the deployment's own records by kind.
    """
    context = make_context()
    async with sink:
        await sink.begin(make_run(), make_context())
        for start in range(0, len(threads), sink.batch_threads):
            part = threads[start : start + sink.batch_threads]
            bundles = [make_bundle(context, records) for records in part]
            outcomes = await sink.write(bundles, context)
            assert [outcome.error for outcome in outcomes] == [None] * len(part)
            for bundle in bundles:
                bundle.close()
        for kind, records in (extras or {}).items():
            bundle = extras_bundle(context, records)
            assert (await sink.write_extras(kind, bundle, context)).error is None
            bundle.close()
        await sink.finish(context)
