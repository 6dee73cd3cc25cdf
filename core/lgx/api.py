"""Runs from Python, of which the command line is a thin layer: `run`, `run_async`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Unpack

from lgx.arguments import CommonOptions, as_use, at_least_one, one_of, refuse_others, take_query
from lgx.blocking import wait_for
from lgx.progress import Progress
from lgx.registry import Registry
from lgx.report import Report
from lgx.spec import RunSpec, Use, ValidatorUse

if TYPE_CHECKING:
    from lgx.engine.stop import Stop

__all__ = ["RunOptions", "make_spec", "run", "run_async", "run_spec"]


class RunOptions(CommonOptions, total=False):
    """What `run` takes besides source and sink; what is not given is as in `RunSpec`."""

    transforms: Iterable[Use | str]
    """Applied in this order."""
    validators: Iterable[ValidatorUse | Use | str]
    """See the transformed data; a `ValidatorUse(at="source")` sees the source's."""
    full: bool
    """Read and write every thread again, whatever the sink holds."""
    merge: bool
    """Allow threads of several sources in one target."""
    fidelity: Literal["raw", "state"] | None
    """None: the most that both ends can hold."""
    on_violation: Literal["fail", "quarantine", "warn"]
    """fail: end the run; quarantine: leave the thread out; warn: list it."""
    dry_run: bool
    """List what would move (`Report.would_move`, of `Unmoved`), write nothing."""


def run(
    source: Use | str,
    sink: Use | str,
    *,
    progress: Progress | None = None,
    registry: Registry | None = None,
    **options: Unpack[RunOptions],
) -> Report:
    """Moves threads from a source to a sink, and returns what became of each.

    Works everywhere: where an event loop runs already (a notebook, a server's handler) the
    run gets a thread and a loop of its own, and this call waits for it; use `run_async`
    there to wait without blocking the loop.

    Args:
        source: a plugin's name, or `use("cloud", url=…)` to give it options.
        sink: likewise.
        progress: a `lgx.Progress`: counters to watch from another thread or task.
        registry: the plugins that may be used; None: those installed, within LGX_PLUGINS.
        **options: which threads and how: see `RunOptions`.

    Raises:
        UsageError: nothing was begun, for the reason given.
        LgxError: an end cannot be opened. What happens after that is in the report: see
            `Report.exit_code`, `aborted` and `failures`.
    """
    return wait_for(run_spec(make_spec(source, sink, **options), registry, progress=progress))


async def run_async(
    source: Use | str,
    sink: Use | str,
    *,
    progress: Progress | None = None,
    registry: Registry | None = None,
    stop: Stop | None = None,
    **options: Unpack[RunOptions],
) -> Report:
    """As `run`, on the running event loop; takes the same arguments.

    Args:
        stop: a `lgx.Stop`, by which another task ends the run early: what is
            being written is finished, and the report says that the run was stopped.
    """
    return await run_spec(
        make_spec(source, sink, **options), registry, progress=progress, stop=stop
    )


async def run_spec(
    spec: RunSpec,
    registry: Registry | None = None,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Report:
    """As `run_async`, of a run that is written down."""
    from lgx.engine import execute

    plugins = registry or Registry.from_environment()
    return await execute(spec, plugins, progress=progress, stop=stop)


def make_spec(source: Use | str, sink: Use | str, **options: Unpack[RunOptions]) -> RunSpec:
    """The plain data of a run, from the arguments of `run`."""
    values: dict[str, Any] = dict(options)
    query = take_query(values)
    refuse_others(values, RunSpec, "run")
    spec = RunSpec(
        source=as_use(source),
        sink=as_use(sink),
        transforms=tuple(as_use(item) for item in values.pop("transforms", ())),
        validators=tuple(_validator_use(item) for item in values.pop("validators", ())),
        query=query,
        **values,
    )
    at_least_one(spec, "concurrency", "memory", "attempts")
    one_of("fidelity", spec.fidelity, ("raw", "state", None))
    one_of("on_violation", spec.on_violation, ("fail", "quarantine", "warn"))
    return spec


def _validator_use(item: ValidatorUse | Use | str) -> ValidatorUse:
    if isinstance(item, ValidatorUse):
        return item
    plain = as_use(item)
    return ValidatorUse(name=plain.name, options=plain.options)
