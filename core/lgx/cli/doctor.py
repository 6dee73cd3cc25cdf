"""`lgx doctor`: looks at a source, a sink or both, and says what it found."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import click

from lgx.cli.endpoints import ROLES, EndpointCommand, endpoint_use
from lgx.cli.flags import Flag
from lgx.cli.meter import size
from lgx.cli.session import Session, printable
from lgx.cli.wrapping import wrapped
from lgx.config import convert
from lgx.errors import LgxError, UsageError
from lgx.facts import Fact
from lgx.spec import RunSpec, Use
from lgx.upkeep import clean as clean_sink
from lgx.upkeep import probe

__all__ = ["doctor", "show"]

_ENDPOINTS = "What to look at"
_LEVELS = ("ok", "warn", "error")
_COLOURS = {"ok": "green", "warn": "yellow", "error": "red"}
_WIDEST = 100
_FRACTION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+")

_PARAMS: list[click.Parameter] = [
    Flag(
        ["--clean"],
        section=_ENDPOINTS,
        is_flag=True,
        help="Remove what runs that were cut short left in the sink, then look.",
    ),
]


def _doctor(ctx: click.Context, *, clean: bool, **_: Any) -> int:
    session = ctx.ensure_object(Session)
    uses = [(role, use) for role in ROLES if (use := endpoint_use(ctx, role)) is not None]
    if not uses:
        raise UsageError("lgx doctor needs --source NAME, --sink NAME or both; see lgx plugins")
    if clean and "sink" not in dict(uses):
        raise UsageError("--clean removes what is left over in a sink; name it with --sink NAME")
    for role, use in uses:
        _check_options(role, use, session)
    healthy = True
    for role, use in uses:
        facts = _facts("source" if role == "source" else "sink", use, session, clean=clean)
        worst = max((fact.level for fact in facts), key=_LEVELS.index, default="ok")
        click.echo(f"{role} {use.name}  {_mark(worst)}")
        width = max((len(fact.name) for fact in facts), default=0)
        for fact in facts:
            healthy = healthy and fact.level != "error"
            show(fact, width, session)
    misfit = _misfit(dict(uses), session)
    if misfit is not None:
        healthy = False
        click.echo(f"{' → '.join(use.name for _, use in uses)}  {_mark('error')}")
        show(misfit, len(misfit.name), session)
    return 0 if healthy else 1


def _misfit(uses: Mapping[str, Use], session: Session) -> Fact | None:
    """Why no run moves anything from the one to the other, though both may be well."""
    from lgx.engine.plan import make_plan

    if len(uses) < len(ROLES):
        return None
    try:
        make_plan(RunSpec(source=uses["source"], sink=uses["sink"]), session.registry)
    except UsageError as error:
        return Fact(name="fit", value=str(error), level="error")
    return None


def _check_options(role: str, use: Use, session: Session) -> None:
    """What the command line says wrongly is told before anything is looked at.

    A component's constructor judges its options and touches nothing else: whatever it raises
    later is about the place, and a finding.

    Raises:
        UsageError: the options are wrong.
    """
    cls = getattr(session.registry, role)(use.name)
    config = convert(cls.config_type, use.options, where=f"--{role} {use.name}")
    session.learn(config)
    cls(config)


def _facts(
    role: Literal["source", "sink"], use: Use, session: Session, *, clean: bool
) -> list[Fact]:
    """What the probe found; an error that it ends with is a finding, of whatever sort."""
    try:
        if role == "source":
            return list(probe(source=use, registry=session.registry).facts)
        removed = [_removed(clean_sink(use, registry=session.registry))] if clean else []
        return [*removed, *probe(sink=use, registry=session.registry).facts]
    except LgxError as error:
        return [Fact(name=role, value=str(error), level="error")]


def _removed(what: Sequence[str]) -> Fact:
    rest = f" and {len(what) - 1} more" if len(what) > 1 else ""
    words = f"{what[0]}{rest}" if what else "nothing"
    return Fact(name="removed", value=words)


def show(fact: Fact, width: int, session: Session) -> None:
    """One finding; only what asks for attention bears a mark."""
    word = "" if fact.level == "ok" else fact.level
    lead = " " * (2 + 5 + 2 + width + 2)
    columns = min(_WIDEST, shutil.get_terminal_size().columns)
    text = printable(session.redact(_formatted(fact)))
    head, *lines = wrapped(text, columns, first=lead, rest=lead)
    mark = _mark(fact.level) + " " * (5 - len(word)) if word else " " * 5
    name = f"{printable(fact.name):<{width}}"
    click.echo(f"  {mark}  {name}  {head[len(lead) :]}".rstrip())
    for line in lines:
        click.echo(line)


def _mark(level: str) -> str:
    return click.style(level, fg=_COLOURS[level])


def _formatted(fact: Fact) -> str:
    """Numbers and times as `lgx run` shows them: `1,600`, `28.5 MB`, no fractions of seconds."""
    if fact.value.isascii() and fact.value.isdigit():
        number = int(fact.value)
        return size(number) if fact.name.split()[0] == "bytes" else f"{number:,}"
    return _FRACTION.sub(r"\1", fact.value)


doctor = EndpointCommand(
    "doctor",
    section=_ENDPOINTS,
    ignores=True,
    params=_PARAMS,
    callback=click.pass_context(_doctor),
    help="Looks at a source, a sink or both: whether it can be reached with these options, its "
    "versions and limits, what would be lost, and whether both fit together. Nothing is moved or "
    "created, and with --clean only removed what no run needs any more.\n\n"
    "Exits with 1 where something stands in the way of a run.",
    short_help="Checks whether a source or sink can be used.",
)
