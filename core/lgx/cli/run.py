"""`lgx run`: moves threads from a source to a sink."""

from __future__ import annotations

import asyncio
import functools
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from lgx.api import make_spec, run_spec
from lgx.cli.display import show_progress
from lgx.cli.endpoints import ROLES, EndpointCommand, chosen, endpoint_use
from lgx.cli.files import (
    check_report_path,
    check_spool_directory,
    path_is_wrong,
    paths_in,
    to_retry,
    without_secrets,
    write_report,
)
from lgx.cli.flags import Flag, metadata_values
from lgx.cli.literals import learn_of_use
from lgx.cli.meter import Meter, counted
from lgx.cli.options import EFFORT, EXTRAS, OUTPUT, THREADS
from lgx.cli.pipelines import pipeline_names
from lgx.cli.session import Session, printable
from lgx.cli.signals import graceful_stop, reader_gone
from lgx.cli.summary import in_brief, summary
from lgx.cli.unmoved import unmoved_lines
from lgx.cli.uses import parse_use, parse_validator
from lgx.cli.wrapping import columns_of
from lgx.config import convert, describe
from lgx.errors import LgxError, UsageError
from lgx.progress import Progress
from lgx.report import Report
from lgx.spec import RunSpec

__all__ = ["run"]

_ENDPOINTS = "What moves where"
_what = functools.partial(Flag, section=_ENDPOINTS)
_which = functools.partial(Flag, section="Which threads")
_how = functools.partial(Flag, section="How")
_output = functools.partial(Flag, section="Output")

# Flags that `lgx.run` takes under the same names.
_AS_GIVEN = (
    *("status", "since", "until", "as_of", "limit", "extras", "full", "merge", "fidelity"),
    *("concurrency", "memory", "attempts", "on_violation", "dry_run"),
)
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(RunSpec)}

_PARAMS: list[click.Parameter] = [
    _what(
        ["--transform"],
        multiple=True,
        metavar="NAME[:key=value,…]",
        help="Changes records on their way; several are applied in the order given.",
    ),
    _what(
        ["--validator"],
        multiple=True,
        metavar="NAME[:key=value,…][@source]",
        help="Checks what is to be written, or with @source what was read.",
    ),
    *THREADS,
    _which(
        ["--retry"],
        type=click.Path(path_type=Path),
        metavar="REPORT",
        help="Threads that failed in the run of which this is the report.",
    ),
    EXTRAS,
    _how(["--full"], is_flag=True, help="Copy also what the sink holds unchanged."),
    _how(["--merge"], is_flag=True, help="Allow threads of several sources in one target."),
    _how(
        ["--fidelity"],
        type=click.Choice(["raw", "state"]),
        help="raw: a checkpointer's bytes; state: the API's view. [default: the most possible]",
    ),
    _how(
        ["--on-violation"],
        type=click.Choice(["fail", "quarantine", "warn"]),
        default=_DEFAULTS["on_violation"],
        show_default=True,
        help="End the run, leave the thread out, or write it all the same.",
    ),
    *EFFORT,
    _output(
        ["--dry-run"],
        is_flag=True,
        help="List the threads that would move on stdout (id, version, bytes if known); "
        "write nothing.",
    ),
    *OUTPUT,
]


def _run(ctx: click.Context, **given: Any) -> int:
    session = ctx.ensure_object(Session)
    if given["retry"] is not None:
        again = to_retry(given["retry"])
        if again.others:
            session.warn(
                f"{given['retry']} also lists {counted(again.others, 'failure')} of what belongs "
                f"to no thread; a run without --retry tries {'it' if again.others == 1 else 'them'}"
                " again"
            )
        if again.unfinished is not None:
            if not again.threads:
                raise UsageError(
                    f"--retry {given['retry']} lists no failed thread, but its run "
                    f"{again.unfinished}; run again without --retry"
                )
            session.warn(
                f"the run of {given['retry']} {again.unfinished}; what it has not reached is moved "
                "by a run without --retry"
            )
        if not again.threads:
            session.say(f"nothing to try again: {given['retry']} lists no failed thread")
            return 0
        given["thread_id"] = (*given["thread_id"], *again.threads)
    spec = _spec(ctx, given)
    if given["json"] and spec.sink.options.get("path") == "-":
        raise UsageError("--json and a sink that writes to - both want stdout; use --report FILE")
    paths = _check_options(spec, session)
    if given["report"] is not None:
        check_report_path(given["report"], paths)
    if given["spool_dir"] is not None:
        check_spool_directory(given["spool_dir"])
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    progress = Progress()
    try:
        report = asyncio.run(_move(spec, session, progress, quiet=given["quiet"]))
    except UsageError:
        raise
    except LgxError as error:
        if path_is_wrong(error):
            raise UsageError(str(error)) from error
        # Source or sink could not be opened: that is a report, too.
        report = Report(
            source=spec.source.name,
            sink=spec.sink.name,
            started_at=begun,
            dry_run=spec.dry_run,
            aborted=str(error),
        )
    report = without_secrets(report, session.redact)
    if given["report"] is not None:
        write_report(given["report"], report)
    if report.aborted is None or spec.sink.options.get("path") != "-" or not reader_gone():
        _show(report, session, given, listed_all=progress.total is not None)
    return report.exit_code


def _spec(ctx: click.Context, given: dict[str, Any]) -> RunSpec:
    session = ctx.ensure_object(Session)
    source, sink = endpoint_use(ctx, "source"), endpoint_use(ctx, "sink")
    if source is None or sink is None:
        missing = " and ".join(
            f"--{role} NAME" for role, use in (("source", source), ("sink", sink)) if use is None
        )
        config = chosen(ctx).config
        known = ""
        if chosen(ctx).pipeline is None:
            try:
                known = ", ".join(pipeline_names(config))
            except UsageError as error:
                session.warn(str(error))
        remedy = f", or a pipeline of {config}: {known}" if known else "; see lgx plugins"
        raise UsageError(f"lgx run needs {missing}{remedy}")
    return make_spec(
        source,
        sink,
        transforms=[parse_use(text, "--transform") for text in given["transform"]],
        validators=[parse_validator(text) for text in given["validator"]],
        thread_ids=given["thread_id"],
        metadata=metadata_values(given["metadata"]),
        spool_directory=given["spool_dir"],
        **{name: given[name] for name in _AS_GIVEN},
    )


def _check_options(spec: RunSpec, session: Session) -> dict[str, Path]:
    """Every component's options are right, and their secrets known, before anything begins.

    Returns:
        the paths that source and sink were given, by their flags.
    """
    registry = session.registry
    paths: dict[str, Path] = {}
    for role, uses, find in (
        ("source", (spec.source,), registry.source),
        ("sink", (spec.sink,), registry.sink),
        ("transform", spec.transforms, registry.transform),
        ("validator", spec.validators, registry.validator),
    ):
        for use in uses:
            config_type = find(use.name).config_type
            if role in ("transform", "validator"):
                learn_of_use(role, use, describe(config_type), session)
            config = convert(config_type, use.options, where=f"--{role} {use.name}")
            session.learn(config)
            if role in ROLES:
                paths |= paths_in(role, config)
    source, sink = paths.get("--source-path"), paths.get("--sink-path")
    if source is not None and sink is not None and source.resolve() == sink.resolve():
        raise UsageError(f"--source-path and --sink-path are both {source}; name another sink")
    return paths


async def _move(spec: RunSpec, session: Session, progress: Progress, *, quiet: bool) -> Report:
    from lgx.engine.stop import Stop

    stop = Stop()
    title = f"{spec.source.name} → {spec.sink.name}"
    meter = Meter(progress, failed="would fail" if spec.dry_run else "failed")
    with (
        show_progress(meter, title, session, quiet=quiet) as erasing,
        graceful_stop(stop, session.say, erasing),
    ):
        return await run_spec(spec, session.registry, progress=progress, stop=stop)


def _show(report: Report, session: Session, given: dict[str, Any], *, listed_all: bool) -> None:
    if given["json"]:
        click.echo(report.to_json(), nl=False)
    elif report.dry_run:
        for line in unmoved_lines(report.would_move, columns_of(sys.stdout)):
            click.echo(line)
    path = given["report"] and str(given["report"])
    if given["quiet"]:
        if report.exit_code == 3:
            session.say(in_brief(report, report_path=path))
    elif not given["json"]:
        for line in summary(report, report_path=path, listed_all=listed_all):
            click.echo(line, err=True)
    if report.aborted is not None:
        session.say(f"error: {printable(report.aborted)}")


run = EndpointCommand(
    "run",
    section=_ENDPOINTS,
    params=_PARAMS,
    callback=click.pass_context(_run),
    help="Moves threads from a source to a sink: those that differ from what the sink holds. "
    "Nothing is removed there: a thread that was deleted at the source stays.\n\n"
    "PIPELINE names a table [pipelines.PIPELINE] of lgx.toml, which holds the same options by "
    "the same names. A flag goes before a variable LGX_<FLAG>, and that before the table.",
    short_help="Moves threads from a source to a sink.",
)
