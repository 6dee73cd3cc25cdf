"""What the engine does between a source and a sink, without transforms: for tests of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Bundle, Mark, Query, RunInfo, Sink, Source, ThreadEnd, ThreadRef, WriteOutcome
from lgx.testing import make_context

__all__ = ["move", "run_of"]


def run_of(source: str = "test://one", *, merge: bool = False, dry_run: bool = False) -> RunInfo:
    return RunInfo(
        source=source,
        started_at="2026-01-03T00:00:00+00:00",
        fingerprint="f",
        merge=merge,
        dry_run=dry_run,
    )


async def move(
    source: Source[Any],
    sink: Sink[Any],
    *,
    run: RunInfo | None = None,
    query: Query | None = None,
) -> list[WriteOutcome]:
    """A whole run; what became of each thread that the target did not hold already."""
    context = make_context()
    outcomes: list[WriteOutcome] = []
    async with source, sink:
        await sink.begin(run or run_of(await source.identity()), context)
        refs = [
            ref
            async for ref in source.list(query or Query(), context)
            if isinstance(ref, ThreadRef)
        ]
        for start in range(0, len(refs), source.refs_per_read):
            part = refs[start : start + source.refs_per_read]
            held = await sink.held(part)
            part = [
                ref
                for ref in part
                if ref.thread_id not in held or held[ref.thread_id].version != ref.version
            ]
            bundles = await _bundles(source, part, context)
            outcomes += await sink.write(bundles, context)
            for bundle in bundles:
                bundle.close()
        await sink.finish(context)
    assert context.budget.used == 0
    return outcomes


async def _bundles(source: Source[Any], refs: Sequence[ThreadRef], context: Any) -> list[Bundle]:
    bundles: list[Bundle] = []
    by_id = {ref.thread_id: ref for ref in refs}
    spool = context.spool()
    async for item in source.read(refs, context):
        if not isinstance(item, ThreadEnd):
            spool.append(item)
            continue
        ref = by_id[item.thread_id]
        whole = item.outcome == "complete"
        mark = Mark(version=ref.version, fingerprint="f", checkpoints=spool.checkpoints)
        bundles.append(
            Bundle(
                spool,
                ref=ref,
                mark=mark if whole else None,
                outcome=item.outcome,
                losses=item.losses,
            )
        )
        spool = context.spool()
    spool.close()
    return bundles
