"""Comparing two places by content, or looking at one, from Python: `verify`, `verify_async`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from lgx.arguments import CommonOptions, as_use, at_least_one, refuse_others, take_query
from lgx.blocking import wait_for
from lgx.errors import UsageError
from lgx.progress import Progress
from lgx.registry import Registry
from lgx.spec import Use
from lgx.verification.report import Verification
from lgx.verification.spec import VerifySpec

if TYPE_CHECKING:
    from lgx.engine.stop import Stop

__all__ = [
    "VerifyOptions",
    "make_verify_spec",
    "verify",
    "verify_async",
    "verify_spec",
]


class VerifyOptions(CommonOptions, total=False):
    """What `verify` takes besides source and sink; what is not given is as in `VerifySpec`.

    Where threads are chosen, the sink is looked at for the source's threads alone.
    """

    sample: int | None
    """So many threads of the source."""
    seed: str
    """Chooses them: the same for the same text. Empty: one is made, and told."""


def verify(
    source: Use | str | None = None,
    sink: Use | str | None = None,
    *,
    progress: Progress | None = None,
    registry: Registry | None = None,
    **options: Unpack[VerifyOptions],
) -> Verification:
    """Compares what two places hold, thread by thread and field by field; changes nothing.

    With one of the two: reads all of it, and has the place check itself where it can.

    Args:
        source: a plugin's name, or `use("cloud", url=…)` to give it options.
        sink: likewise: the plugin that wrote what is to be compared, with the options that it
            was given. It is read by the source of the same name.
        progress: a `lgx.Progress`: counters to watch from another thread or task.
        registry: the plugins that may be used; None: those installed, within LGX_PLUGINS.
        **options: which threads and how: see `VerifyOptions`.

    Raises:
        UsageError: nothing was begun, for the reason given: both sides are one place, for one.
        LgxError: a side cannot be opened. What happens after that is in the result: see
            `Verification.exit_code`, `aborted` and `differences`.
    """
    return wait_for(
        verify_spec(make_verify_spec(source, sink, **options), registry, progress=progress)
    )


async def verify_async(
    source: Use | str | None = None,
    sink: Use | str | None = None,
    *,
    progress: Progress | None = None,
    registry: Registry | None = None,
    stop: Stop | None = None,
    **options: Unpack[VerifyOptions],
) -> Verification:
    """As `verify`, on the running event loop; takes the same arguments.

    Args:
        stop: a `lgx.Stop`, by which another task ends it early.
    """
    return await verify_spec(
        make_verify_spec(source, sink, **options), registry, progress=progress, stop=stop
    )


async def verify_spec(
    spec: VerifySpec,
    registry: Registry | None = None,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Verification:
    """As `verify_async`, of a verification that is written down."""
    from lgx.verification.execution import compare

    plugins = registry or Registry.from_environment()
    await _check_two_places(spec, plugins)
    return await compare(spec, plugins, progress=progress, stop=stop)


async def _check_two_places(spec: VerifySpec, registry: Registry) -> None:
    """
    Raises:
        UsageError: both sides are one place, read at one moment; or as `verify`.
    """
    from lgx.sameness import refuse_one_place
    from lgx.verification.reading import source_of

    source, sink = spec.source, spec.sink
    if source is not None and sink is not None and not spec.query.as_of:
        await refuse_one_place(
            source_of("source", source, registry), source_of("sink", sink, registry)
        )


def make_verify_spec(
    source: Use | str | None = None,
    sink: Use | str | None = None,
    **options: Unpack[VerifyOptions],
) -> VerifySpec:
    """The plain data of a verification, from the arguments of `verify`."""
    values: dict[str, Any] = dict(options)
    if values.get("sample") is not None and values.get("query") is None:
        values["extras"] = bool(values.get("extras"))
    query = take_query(values)
    refuse_others(values, VerifySpec, "verify")
    if source is None and sink is None:
        raise UsageError("verify needs a source, a sink, or both")
    spec = VerifySpec(
        source=None if source is None else as_use(source),
        sink=None if sink is None else as_use(sink),
        query=query,
        **values,
    )
    at_least_one(spec, "concurrency", "memory", "attempts", "sample")
    return spec
