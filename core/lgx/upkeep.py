"""Looking at a source or sink, and tidying a sink up, without a run: `probe`, `clean`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx.arguments import as_use
from lgx.blocking import wait_for
from lgx.budget import Budget
from lgx.config import convert
from lgx.context import Context
from lgx.contracts import Endpoint, Sink
from lgx.errors import UsageError
from lgx.facts import Probe
from lgx.progress import Progress
from lgx.registry import Registry
from lgx.spec import Use

__all__ = ["clean", "clean_async", "probe", "probe_async"]


def probe(
    *,
    source: Use | str | None = None,
    sink: Use | str | None = None,
    registry: Registry | None = None,
) -> Probe:
    """Opens a source or a sink, looks, and closes it: credentials, reachability, versions.

    Nothing is moved, created or removed. Give exactly one of the two.

    Args:
        source: as for `run`.
        sink: likewise.
        registry: likewise.

    Raises:
        LgxError: it cannot be opened, for the reason given.
    """
    return wait_for(probe_async(source=source, sink=sink, registry=registry))


async def probe_async(
    *,
    source: Use | str | None = None,
    sink: Use | str | None = None,
    registry: Registry | None = None,
) -> Probe:
    """As `probe`, on the running event loop."""
    if (source is None) == (sink is None):
        raise UsageError("a probe takes either a source or a sink")
    plugins = registry or Registry.from_environment()
    cls: type[Endpoint[Any]]
    if source is not None:
        use, role = as_use(source), "source"
        cls = plugins.source(use.name)
    else:
        assert sink is not None
        use, role = as_use(sink), "sink"
        cls = plugins.sink(use.name)
    async with cls(_config(cls, use, role)) as endpoint:
        return await endpoint.probe(_context())


def clean(sink: Use | str, *, registry: Registry | None = None) -> Sequence[str]:
    """Removes what runs that were cut short left in a sink.

    Args:
        sink: as for `run`.
        registry: likewise.

    Returns:
        What was removed, each in a few words for people.

    Raises:
        LgxError: it cannot be opened, is being written to, or cannot be cleaned.
    """
    return wait_for(clean_async(sink, registry=registry))


async def clean_async(sink: Use | str, *, registry: Registry | None = None) -> Sequence[str]:
    """As `clean`, on the running event loop."""
    plugins = registry or Registry.from_environment()
    use = as_use(sink)
    cls = plugins.sink(use.name)
    async with cls(_config(cls, use, "sink")) as endpoint:
        assert isinstance(endpoint, Sink)
        return await endpoint.clean(_context())


def _config(cls: type[Endpoint[Any]], use: Use, role: str) -> Any:
    return convert(cls.config_type, use.options, where=f"--{role} {use.name}")


def _context() -> Context:
    from lgx.engine.requests import Requests
    from lgx.engine.run_context import RunContext
    from lgx.engine.stop import Stop

    progress = Progress()
    return RunContext(
        requests=Requests(progress, concurrency=4, attempts=3),
        budget=Budget(64 << 20),
        progress=progress,
        stop=Stop(),
    )
