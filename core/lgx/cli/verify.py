"""`lgx verify`: compares two places by content, or has a look at all of one."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lgx.cli.display import show_progress
from lgx.cli.endpoints import ROLES, EndpointCommand, chosen, endpoint_use
from lgx.cli.files import (
    check_report_path,
    check_spool_directory,
    path_is_wrong,
    paths_in,
    write_report,
)
from lgx.cli.flags import Flag, count, metadata_values
from lgx.cli.meter import Meter
from lgx.cli.options import EFFORT, EXTRAS, OUTPUT, THREADS
from lgx.cli.session import Session
from lgx.cli.signals import graceful_stop
from lgx.cli.verdict import clean, in_brief, verdict
from lgx.errors import LgxError, UsageError
from lgx.progress import Progress
from lgx.verification.reading import config_of
from lgx.verification.report import Verification
from lgx.verification.spec import VerifySpec
from lgx.verifying import make_verify_spec, verify_spec

__all__ = ["verify"]

_ENDPOINTS = "What is compared"
_which = functools.partial(Flag, section="Which threads")

# Flags that `lgx.verify` takes under the same names.
_AS_GIVEN = (
    *("status", "since", "until", "as_of", "limit", "extras", "sample"),
    *("concurrency", "memory", "attempts"),
)

_PARAMS: list[click.Parameter] = [
    *THREADS,
    EXTRAS,
    _which(
        ["--sample"],
        type=count,
        metavar="N",
        help="So many threads of the source, chosen at random.",
    ),
    _which(
        ["--seed"],
        default="",
        metavar="TEXT",
        help="Choose the sample by this text: the same one gives the same threads.",
    ),
    *EFFORT,
    *OUTPUT,
]


def _verify(ctx: click.Context, **given: Any) -> int:
    session = ctx.ensure_object(Session)
    session.failure_code = 4
    source, sink = (endpoint_use(ctx, role) for role in ROLES)
    if source is None and sink is None:
        raise UsageError("lgx verify needs --source NAME, --sink NAME or both; see lgx plugins")
    _warn_of_transforms(ctx, session)
    spec = make_verify_spec(
        source,
        sink,
        thread_ids=given["thread_id"],
        metadata=metadata_values(given["metadata"]),
        seed=given["seed"],
        spool_directory=given["spool_dir"],
        **{name: given[name] for name in _AS_GIVEN},
    )
    paths = _check_options(spec, session)
    if given["report"] is not None:
        check_report_path(given["report"], paths)
    if given["spool_dir"] is not None:
        check_spool_directory(given["spool_dir"])
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        found = asyncio.run(_compare(spec, session, quiet=given["quiet"]))
    except UsageError:
        raise
    except LgxError as error:
        if path_is_wrong(error):
            raise UsageError(str(error)) from error
        found = Verification(started_at=begun, aborted=str(error))
    found = clean(found, session.redact)
    if given["report"] is not None:
        write_report(given["report"], found)
    path = given["report"] and str(given["report"])
    if given["json"]:
        click.echo(found.to_json(), nl=False)
    elif not given["quiet"]:
        for line in verdict(found, report_path=path):
            click.echo(line)
    if given["quiet"] and found.exit_code == 1:
        session.say(in_brief(found, report_path=path))
    if found.aborted is not None:
        session.say(f"error: {found.aborted}")
    return found.exit_code


def _warn_of_transforms(ctx: click.Context, session: Session) -> None:
    choice = chosen(ctx)
    if choice.table.get("transform"):
        session.warn(
            f"pipeline {choice.pipeline!r} has transforms; what they change is told as a difference"
        )


def _check_options(spec: VerifySpec, session: Session) -> dict[str, Path]:
    """Both sides' options are right, and their secrets known, before anything begins.

    Returns:
        the paths that they were given, by their flags.
    """
    paths: dict[str, Path] = {}
    for role, use in (("source", spec.source), ("sink", spec.sink)):
        if use is None:
            continue
        config = config_of(role, use, session.registry)
        session.learn(config)
        paths |= paths_in(role, config)
    return paths


async def _compare(spec: VerifySpec, session: Session, *, quiet: bool) -> Verification:
    from lgx.engine.stop import Stop

    stop = Stop()
    progress = Progress()
    sides = [use.name for use in (spec.source, spec.sink) if use is not None]
    title = " = ".join(sides)
    of = " of both sides" if len(sides) == 2 else ""
    with (
        show_progress(Meter(progress, of=of), title, session, quiet=quiet) as erasing,
        graceful_stop(stop, session.say, erasing),
    ):
        return await verify_spec(spec, session.registry, progress=progress, stop=stop)


verify = EndpointCommand(
    "verify",
    section=_ENDPOINTS,
    ignores=True,
    reads_sink=True,
    params=_PARAMS,
    callback=click.pass_context(_verify),
    help="Compares what two places hold: every thread, every checkpoint, every field; nothing is "
    "changed. The sink is read by the source of its name, with the same options. Of one place "
    "alone all is read, and an archive compares itself with its hashes.\n\n"
    "With options that choose threads, those of the source are looked for in the sink, and others "
    "that it may hold are no difference.\n\n"
    "Exits with 0 where nothing differs, 1 where something does, 4 where that could not be told.",
    short_help="Compares two places by content.",
)
