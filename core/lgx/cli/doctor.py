"""`lgx doctor`: looks at a source, a sink or both, and says what it found."""

from __future__ import annotations

import functools
import textwrap
from pathlib import Path
from typing import Any, Literal

import click

from lgx.api import probe
from lgx.cli.endpoints import ROLES, EndpointCommand, endpoint_use
from lgx.cli.flags import Flag
from lgx.cli.session import Session, printable
from lgx.config import convert
from lgx.contracts import Fact
from lgx.errors import LgxError, UsageError
from lgx.spec import Use

__all__ = ["doctor"]

_what = functools.partial(Flag, section="What to look at")
_other = functools.partial(Flag, section="Other")
_MARKS = {"ok": ("ok", "green"), "warn": ("warn", "yellow"), "error": ("error", "red")}

_PARAMS: list[click.Parameter] = [
    click.Argument(["pipeline"], required=False),
    _what(["--source"], metavar="NAME", help="The plugin to read from."),
    _what(["--sink"], metavar="NAME", help="The plugin to write to."),
    _other(
        ["--config"],
        type=click.Path(path_type=Path),
        default="lgx.toml",
        show_default=True,
        metavar="FILE",
        help="Where PIPELINE is defined.",
    ),
    _other(
        ["--env-file"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Set variables from a .env file; those of the environment win.",
    ),
]


def _doctor(ctx: click.Context, **_: Any) -> int:
    session = ctx.ensure_object(Session)
    uses = [(role, use) for role in ROLES if (use := endpoint_use(ctx, role)) is not None]
    if not uses:
        raise UsageError("lgx doctor needs --source NAME, --sink NAME or both; see lgx plugins")
    for role, use in uses:
        config_type = getattr(session.registry, role)(use.name).config_type
        session.learn(convert(config_type, use.options, where=f"--{role} {use.name}"))
    healthy = True
    for role, use in uses:
        facts = _facts("source" if role == "source" else "sink", use, session)
        click.echo(f"{role} {use.name}")
        width = max((len(fact.name) for fact in facts), default=0)
        for fact in facts:
            healthy = healthy and fact.level != "error"
            _show(fact, width, session)
    return 0 if healthy else 1


def _facts(role: Literal["source", "sink"], use: Use, session: Session) -> list[Fact]:
    """What the probe found; an error that it ends with is a finding, too."""
    try:
        if role == "source":
            found = probe(source=use, registry=session.registry)
        else:
            found = probe(sink=use, registry=session.registry)
    except UsageError:
        raise
    except LgxError as error:
        return [Fact(name=role, value=str(error), level="error")]
    return list(found.facts)


def _show(fact: Fact, width: int, session: Session) -> None:
    word, colour = _MARKS[fact.level]
    lead = f"  {word:<5}  {printable(fact.name):<{width}}  "
    lines = textwrap.wrap(
        printable(session.redact(fact.value)),
        max(40, 100 - len(lead)),
        break_on_hyphens=False,
        break_long_words=False,
    )
    mark = click.style(f"{word:<5}", fg=colour)
    click.echo(f"  {mark}  {printable(fact.name):<{width}}  {lines[0] if lines else ''}")
    for line in lines[1:]:
        click.echo(" " * len(lead) + line)


doctor = EndpointCommand(
    "doctor",
    ignores=True,
    params=_PARAMS,
    callback=click.pass_context(_doctor),
    help="Looks at a source, a sink or both: whether it can be reached with these options, its "
    "versions and limits, and what would be lost. Nothing is moved or created.\n\n"
    "Exits with 1 where something stands in the way of a run.",
    short_help="Checks whether a source or sink can be used.",
)
