"""The context that the engine lends to plugins."""

from __future__ import annotations

from lgx import Budget, Progress
from lgx.engine import Stop
from lgx.engine.requests import Requests
from lgx.engine.run_context import RunContext


def test_who_else_is_waited_for_is_told_as_long_as_that_is_so() -> None:
    """Several parts of a run may wait at once, and each ends when it ends."""
    progress = Progress()
    context = RunContext(
        requests=Requests(progress, concurrency=1, attempts=1),
        budget=Budget(1 << 20),
        progress=progress,
        stop=Stop(),
    )
    told = []

    first, second = context.waiting("process 7"), context.waiting("process 8")
    for step in (first.__enter__, second.__enter__):
        step()
        told.append(progress.waiting_for)
    for wait in (first, second):
        wait.__exit__(None, None, None)
        told.append(progress.waiting_for)

    assert told == ["process 7", "process 8", "process 8", None]
