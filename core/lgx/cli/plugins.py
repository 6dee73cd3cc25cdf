"""`lgx plugins`: what is installed, from which distribution, and with `show` its options."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import click
import msgspec
from msgspec import Struct

from lgx.cli.flags import option_help
from lgx.cli.root import CORE_COMMANDS
from lgx.cli.session import Session, printable
from lgx.cli.wrapping import columns_of, wrapped
from lgx.config import OptionInfo, describe
from lgx.contracts import Component
from lgx.errors import LgxError
from lgx.loading import Role
from lgx.registry import Listed, Registry

__all__ = ["plugins"]


class _Row(Struct, kw_only=True):
    """One line of the list; `problem` is known after `--check` only, `roles` and `summary`
    without it where they can be read from the source."""

    name: str
    kind: str
    distribution: str
    version: str
    target: str
    location: str
    roles: list[str] | None = None
    summary: str | None = None
    problem: str | None = None


@click.group(invoke_without_command=True, short_help="Lists the plugins that are installed.")
@click.option("--check", is_flag=True, help="Import each, and say what fails and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def plugins(ctx: click.Context, check: bool, as_json: bool) -> int:
    """Lists the plugins that are installed, from which distribution, and what each is.

    None of them is imported: whether one is a source or a sink is read from its code, with ?
    where that does not tell. With --check each is imported, and one that cannot be used is told
    with the reason, and makes the exit code 1.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    session = ctx.ensure_object(Session)
    rows = _rows(session.registry, check=check)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
    else:
        _print_table(rows, check=check)
    # Both owners of a name have the same problem, which is told once.
    for problem in dict.fromkeys(row.problem for row in rows if row.problem):
        session.warn(printable(problem))
    return 1 if check and any(row.problem for row in rows) else 0


def _rows(registry: Registry, *, check: bool) -> list[_Row]:
    rows = []
    for kind, found in (
        ("plugin", registry.listed()),
        ("command", registry.listed_commands()),
    ):
        for item in found:
            row = _Row(
                name=item.name,
                kind=kind,
                distribution=item.distribution,
                version=item.version,
                target=item.target,
                location=item.location,
            )
            rows.append(row)
            if kind == "plugin" and not check:
                roles = registry.roles(item)
                row.roles = None if roles is None else list(roles)
                row.summary = registry.summary(item)
            elif kind == "command" and not check:
                row.summary = registry.command_summary(item)
            if kind == "command" and item.name in CORE_COMMANDS:
                row.problem = (
                    f"command {item.name!r} of {item.owner} is refused: lgx has one of that name"
                )
            elif check or item.conflict:
                _check(row, item, registry)
    return rows


def _check(row: _Row, item: Listed, registry: Registry) -> None:
    try:
        if row.kind == "command":
            row.summary = registry.command(item.name).get_short_help_str(limit=100)
            return
        components = registry.components(item.name)
    except LgxError as error:
        row.problem = str(error)
        return
    row.roles = list(components)
    row.summary = next((cls.summary for cls in components.values() if cls.summary), None)


def _print_table(rows: list[_Row], *, check: bool) -> None:
    cells = []
    for row in rows:
        what = "command" if row.kind == "command" else ", ".join(row.roles or ("?",))
        summary = row.summary or ""
        if row.problem:
            what, summary = ("cannot be used", "") if check else (what, "cannot be used")
        cells.append((row.name, what, f"{row.distribution} {row.version}", printable(summary)))
    if not cells:
        click.echo("no plugin is installed", err=True)
        return
    widths = [max(len(line[column]) for line in cells) for column in range(3)]
    columns = columns_of(sys.stdout)
    for line in cells:
        lead = "".join(f"{cell:<{width}}  " for cell, width in zip(line, widths, strict=False))
        if columns is None:
            click.echo(f"{lead}{line[3]}".rstrip())
            continue
        for text in wrapped(line[3], columns, first=lead, rest=" " * len(lead)):
            click.echo(text.rstrip())


@plugins.command(short_help="Shows a plugin's options.")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Shows what the plugin or command NAME is, and its options, from its own declarations."""
    registry = ctx.ensure_object(Session).registry
    if not any(item.name == name for item in registry.listed()):
        command = next((item for item in registry.listed_commands() if item.name == name), None)
        if command is not None:
            _show_command(command, registry, as_json=as_json)
            return
    components = registry.components(name)
    item = next(item for item in registry.listed() if item.name == name)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_document(item, components)), indent=2))
        return
    click.echo(f"{name}  {item.owner}  {item.target}")
    for role, cls in components.items():
        click.echo(f"\n{role}{': ' + cls.summary if cls.summary else ''}")
        for info in describe(cls.config_type):
            _print_option(role, info)


def _show_command(item: Listed, registry: Registry, *, as_json: bool) -> None:
    summary = registry.command(item.name).get_short_help_str(limit=200)
    if as_json:
        document = {**_document(item, {}), "command": summary}
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
        return
    click.echo(f"{item.name}  {item.owner}  {item.target}\n\ncommand: {summary}")
    click.echo(f"  `lgx {item.name} --help` lists its options")


def _document(item: Listed, components: Mapping[Role, type[Component[Any]]]) -> dict[str, object]:
    return {
        "name": item.name,
        "distribution": item.distribution,
        "version": item.version,
        "target": item.target,
        "roles": {
            role: {
                "summary": cls.summary,
                "options": [
                    {**msgspec.structs.asdict(info), "default": _default(info)}
                    for info in describe(cls.config_type)
                ],
            }
            for role, cls in components.items()
        },
    }


def _default(info: OptionInfo) -> object:
    plain = isinstance(info.default, str | int | float | bool | None)
    return info.default if plain else str(info.default)


def _print_option(role: Role, info: OptionInfo) -> None:
    prefix = f"--{role}-" if role in ("source", "sink") else ""
    head = f"{prefix}{info.flag}" + ("" if info.boolean else f" <{info.type}>")
    if info.boolean and prefix:
        head += f" / --no-{role}-{info.flag}"
    click.echo(f"  {head}")
    for line in textwrap.wrap(option_help(info), 74, break_on_hyphens=False):
        click.echo(f"      {line}")
