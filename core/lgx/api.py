"""Runs from Python, of which the command line is a thin layer: `run`, `run_async`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import msgspec

from lgx.blocking import wait_for
from lgx.errors import UsageError
from lgx.progress import Progress
from lgx.query import Query, parse_time
from lgx.registry import Registry
from lgx.report import Report
from lgx.spec import RunSpec, Use, ValidatorUse

if TYPE_CHECKING:
    from lgx.engine.stop import Stop

__all__ = [
    "STATUSES",
    "RunOptions",
    "make_query",
    "make_spec",
    "run",
    "run_async",
    "run_spec",
    "take_query",
]

# What `make_query` takes.
_FILTERS = (
    "thread_ids",
    "metadata",
    "status",
    "since",
    "until",
    "as_of",
    "limit",
    "extras",
)

STATUSES = ("idle", "busy", "interrupted", "error")


class RunOptions(TypedDict, total=False):
    """What `run` takes besides source and sink; what is not given is as in `RunSpec`."""

    transforms: Iterable[Use | str]
    """Applied in this order."""
    validators: Iterable[ValidatorUse | Use | str]
    """See the transformed data; a `ValidatorUse(at="source")` sees the source's."""
    query: Query | None
    """Which threads, in place of the eight that follow."""
    thread_ids: Iterable[str]
    """These threads alone."""
    metadata: Mapping[str, object] | None
    """Each key of the thread's metadata contains this value."""
    status: str | None
    """idle, busy, interrupted or error."""
    since: datetime | str | None
    """`updated_at` not before this time; without an offset it is UTC."""
    until: datetime | str | None
    """`updated_at` before this time."""
    as_of: datetime | str | None
    """The state at that moment, for sources that keep earlier ones."""
    limit: int | None
    """At most so many threads."""
    extras: bool | None
    """Assistants, crons and store too; None: yes, unless threads are filtered."""
    full: bool
    """Read and write every thread again, whatever the sink holds."""
    merge: bool
    """Allow threads of several sources in one target."""
    fidelity: Literal["raw", "state"] | None
    """None: the most that both ends can hold."""
    concurrency: int
    """How many bulk requests or reads of the source run at once."""
    memory: int
    """Bytes of bulk data in flight."""
    attempts: int
    """How often a request is tried."""
    on_violation: Literal["fail", "quarantine", "warn"]
    """fail: end the run; quarantine: leave the thread out; warn: list it."""
    dry_run: bool
    """List what would move (`Report.would_move`, of `Unmoved`), write nothing."""
    spool_directory: Path | None
    """Where large threads spill; None: the temporary directory."""


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
        UsageError: nothing was begun, for the reason given. What happens after that is in
            the report: see `Report.exit_code`, `aborted` and `failures`.
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
    unknown = sorted(set(values) - set(RunSpec.__struct_fields__))
    if unknown:
        raise TypeError(f"run() got an unexpected keyword argument {unknown[0]!r}")
    spec = RunSpec(
        source=as_use(source),
        sink=as_use(sink),
        transforms=tuple(as_use(item) for item in values.pop("transforms", ())),
        validators=tuple(_validator_use(item) for item in values.pop("validators", ())),
        query=query,
        **values,
    )
    for name in ("concurrency", "memory", "attempts"):
        if getattr(spec, name) < 1:
            raise UsageError(f"{name} must be at least 1, not {getattr(spec, name)}")
    _one_of("fidelity", spec.fidelity, ("raw", "state", None))
    _one_of("on_violation", spec.on_violation, ("fail", "quarantine", "warn"))
    return spec


def take_query(values: dict[str, Any]) -> Query:
    """The query that a function's options name; they are taken out of `values`."""
    filters = {name: values.pop(name) for name in _FILTERS if name in values}
    query: Query | None = values.pop("query", None)
    given = sorted(name for name, value in filters.items() if value not in (None, (), [], {}))
    if query is not None and given:
        raise UsageError(f"query and {', '.join(given)} exclude each other; put all into the query")
    return make_query(**filters) if query is None else query


def make_query(
    *,
    thread_ids: Iterable[str] = (),
    metadata: Mapping[str, object] | None = None,
    status: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    as_of: datetime | str | None = None,
    limit: int | None = None,
    extras: bool | None = None,
) -> Query:
    """The filters of `run` as a query; times are checked here."""
    if isinstance(thread_ids, str):
        raise UsageError(f"thread_ids is a list of ids, not the single text {thread_ids!r}")
    if status is not None:
        _one_of("status", status, STATUSES)
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    ids = tuple(dict.fromkeys(thread_ids))
    for thread_id in ids:
        try:
            thread_id.encode()
        except UnicodeEncodeError:
            raise UsageError(f"thread id {thread_id!r} is not valid UTF-8; correct it") from None
    query = Query(
        thread_ids=ids,
        metadata={
            key: msgspec.Raw(msgspec.json.encode(value)) for key, value in (metadata or {}).items()
        },
        status=status,
        since=_time(since),
        until=_time(until),
        as_of=_time(as_of),
        limit=limit,
    )
    if query.since and query.until and parse_time(query.since) >= parse_time(query.until):
        raise UsageError(
            f"--since {query.since} is not before --until {query.until}: no thread passes"
        )
    return msgspec.structs.replace(query, extras=not query.filtered if extras is None else extras)


def _time(when: datetime | str | None) -> str | None:
    if when is None:
        return None
    return parse_time(when.isoformat() if isinstance(when, datetime) else when).isoformat()


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        words = ", ".join(str(word) for word in allowed if word is not None)
        raise UsageError(f"{name} {value!r} is not one of {words}")


def as_use(item: Use | str) -> Use:
    return Use(name=item) if isinstance(item, str) else item


def _validator_use(item: ValidatorUse | Use | str) -> ValidatorUse:
    if isinstance(item, ValidatorUse):
        return item
    plain = as_use(item)
    return ValidatorUse(name=plain.name, options=plain.options)
