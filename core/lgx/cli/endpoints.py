"""Commands whose options depend on the source and the sink that they name.

Which flags exist is known only once `--source` and `--sink` are; so these are looked for
first, on the command line, in `LGX_SOURCE` and `LGX_SINK`, and in the pipeline of `lgx.toml`.
Then click parses everything, with the plugins' flags beside the command's own.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from lgx.cli.choice import ROLES, Chosen, choose
from lgx.cli.flags import Flag, plugin_flags, plugin_value
from lgx.cli.literals import learn_of_endpoints
from lgx.cli.pipelines import DEFAULT_PATH, flag_text
from lgx.cli.scan import Scan
from lgx.cli.session import Session
from lgx.cli.wrapping import wrapped
from lgx.errors import UsageError
from lgx.hints import closest
from lgx.spec import Use

__all__ = ["ROLES", "Chosen", "EndpointCommand", "chosen", "endpoint_use"]

_KEY = "lgx.chosen"
_LEAST_NAMES, _MOST_NAMES = 20, 30  # columns of flags in the help
_BESIDE_NAMES = 4  # the indent of a section and the gap between its columns
_OTHERS = ("PLUGINS", "NO_PLUGINS")  # variables that are no option of a command


def chosen(ctx: click.Context) -> Chosen:
    found = ctx.meta[_KEY]
    assert isinstance(found, Chosen)
    return found


class EndpointCommand(click.Command):
    """A command with PIPELINE, `--source`, `--sink` and the options of what they name.

    Args:
        section: of the help, where `--source` and `--sink` are to stand.
        params: beside those, PIPELINE, `--config` and `--env-file`.
        ignores: whether a pipeline's options for moving threads mean nothing to it.
        reads_sink: whether the sink is read: the options are those of the source of its name,
            and those that only writing has are taken and hidden.
    """

    def __init__(
        self,
        name: str,
        *,
        params: Sequence[click.Parameter],
        section: str,
        ignores: bool = False,
        reads_sink: bool = False,
        **attributes: Any,
    ) -> None:
        ends = _endpoints(section, reads_sink=reads_sink)
        super().__init__(name, params=[*ends, *params, *_files()], **attributes)
        self._ignores = ignores
        self._reads_sink = reads_sink

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        session = ctx.ensure_object(Session)
        own = super().get_params(ctx)
        scan = Scan(own, args)
        if "--no-plugins" in scan.seen:
            session.use_builtin_only()
        ctx.meta[_KEY] = choice = choose(scan, session, reads_sink=self._reads_sink)
        ctx.default_map = _defaults(choice, own, ignores=self._ignores)
        learn_of_endpoints(choice, scan, session)
        if not ctx.resilient_parsing:
            _warn_of_variables(choice, own, session, ignores=self._ignores)
        rest = super().parse_args(ctx, args)
        if "pipeline" in ctx.params and ctx.params["pipeline"] != choice.pipeline:
            raise UsageError(
                f"{ctx.params['pipeline']!r} was not understood; put the pipeline's name first"
            )
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        choice = ctx.meta.get(_KEY)
        if not isinstance(choice, Chosen):
            return params
        dynamic = [
            flag
            for role in choice.infos
            for flag in plugin_flags(role, choice.names[role], choice.infos[role])
        ]
        for flag in dynamic:
            if isinstance(flag, Flag) and flag.name in {f"sink_{name}" for name in choice.unused}:
                flag.hidden = True
        return [*params[:-1], *dynamic, params[-1]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            row = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
            if row:
                section = param.section if isinstance(param, Flag) else "Other"
                sections.setdefault(section, []).append(row)
        first, *rest = (name for name in sections if name != "Other")
        rest.sort(key=lambda name: not name.startswith(("Source ", "Sink ")))
        names = _widest_names(sections, formatter)
        for section in (first, *rest, "Other"):
            with formatter.section(section):
                for name, text in sections[section]:
                    _write_row(formatter, name, text, names)
        missing = [role for role in ROLES if role not in chosen(ctx).names]
        if missing:
            flags = " and ".join(f"--{role} NAME" for role in missing)
            formatter.write_paragraph()
            formatter.write_text(f"Together with {flags}, --help lists the options of that plugin.")


def _endpoints(section: str, *, reads_sink: bool) -> list[click.Parameter]:
    sink = "The plugin that wrote what is read." if reads_sink else "The plugin to write to."
    return [
        click.Argument(["pipeline"], required=False),
        Flag(["--source"], section=section, metavar="NAME", help="The plugin to read from."),
        Flag(["--sink"], section=section, metavar="NAME", help=sink),
    ]


def _widest_names(
    sections: Mapping[str, Sequence[tuple[str, str]]], formatter: click.HelpFormatter
) -> int:
    """How wide the column of names may be, so that an example beside it is not broken."""
    rows = (row for found in sections.values() for row in found)
    longest = max(len(word) for _, text in rows for word in text.split())
    return max(_LEAST_NAMES, min(_MOST_NAMES, formatter.width - longest - _BESIDE_NAMES))


def _write_row(formatter: click.HelpFormatter, name: str, text: str, names: int) -> None:
    """As click writes it, but that examples are not broken at hyphens."""
    lead = " " * formatter.current_indent
    rest = " " * (names + _BESIDE_NAMES)
    first = f"{lead}{name}".ljust(len(rest))
    if len(name) > names:
        formatter.write(f"{lead}{name}\n")
        first = rest
    for line in wrapped(text, formatter.width, first=first, rest=rest):
        formatter.write(f"{line}\n")


def _files() -> list[click.Parameter]:
    return [
        Flag(
            ["--config"],
            section="Other",
            type=click.Path(path_type=Path),
            default=str(DEFAULT_PATH),
            show_default=True,
            metavar="FILE",
            help="Where PIPELINE is defined.",
        ),
        Flag(
            ["--env-file"],
            section="Other",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Set variables from a .env file; those of the environment win.",
        ),
    ]


def _defaults(choice: Chosen, own: Sequence[click.Parameter], *, ignores: bool) -> dict[str, Any]:
    """The pipeline's values for the command's own options; any other key is an error."""
    options = {
        param.name: param
        for param in own
        if isinstance(param, Flag) and param.name not in (None, "config")
    }
    of_plugins = {f"{role}_{info.name}" for role, infos in choice.infos.items() for info in infos}
    defaults: dict[str, Any] = {}
    for key, value in choice.table.items():
        role = key.partition("_")[0]
        if key in options:
            defaults[key] = flag_text(value, repeatable=options[key].multiple)
        elif role in choice.infos if role in ROLES else not ignores:
            if key in of_plugins:
                continue
            flag = key.replace("_", "-")
            known = [name.replace("_", "-") for name in (*options, *of_plugins) if name]
            raise UsageError(
                f"{choice.config}: pipeline {choice.pipeline!r} has an unknown option {flag!r}"
                f"{closest(flag, known)}; options are named like flags"
            )
    return defaults


def _warn_of_variables(
    choice: Chosen, own: Sequence[click.Parameter], session: Session, *, ignores: bool
) -> None:
    """Says which variables were probably meant for an option and are none.

    One that looks like no option of the chosen source or sink is taken to be another one's.
    """
    flags = {param.name.upper() for param in own if isinstance(param, Flag) and param.name}
    for variable in sorted(os.environ):
        name = variable.removeprefix("LGX_")
        if name == variable or name in _OTHERS or name.startswith("TEST_"):
            continue
        role, _, option = name.lower().partition("_")
        if role in ROLES and option:
            if role not in choice.infos:
                continue
            known = {f"{role}_{info.name}".upper(): info for info in choice.infos[role]}
            near = difflib.get_close_matches(option, [info.name for info in known.values()], n=1)
            if name not in known and near:
                session.warn(
                    f"{variable} is no option of {role} {choice.names[role]} and was not used; "
                    f"did you mean LGX_{role.upper()}_{near[0].upper()}?"
                )
        elif not ignores and name not in flags:
            near = difflib.get_close_matches(name, flags, n=1)
            meant = f"; did you mean LGX_{near[0]}?" if near else ""
            session.warn(f"{variable} is no option of lgx and was not used{meant}")


def endpoint_use(ctx: click.Context, role: str) -> Use | None:
    """The component of that role with the options that were given; flags hide variables,
    and those the pipeline's table. None where none is named."""
    choice = chosen(ctx)
    if role not in choice.names:
        return None
    options: dict[str, object] = {}
    prefix = f"{role}_"
    table: Mapping[str, object] = {
        key.removeprefix(prefix): v for key, v in choice.table.items() if key.startswith(prefix)
    }
    options.update(table)
    for info in choice.infos[role]:
        name = prefix + info.name
        given = ctx.params.get(name)
        if ctx.get_parameter_source(name) in (
            ParameterSource.COMMANDLINE,
            ParameterSource.ENVIRONMENT,
        ):
            options[info.name] = plugin_value(role, info, given)
    return Use(name=choice.names[role], options=options)
