"""Commands whose options depend on the source and the sink that they name.

Which flags exist is known only once `--source` and `--sink` are; so these are looked for
first, on the command line, in `LGX_SOURCE` and `LGX_SINK`, and in the pipeline of `lgx.toml`.
Then click parses everything, with the plugins' flags beside the command's own.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from msgspec import Struct

from lgx.cli.flags import Flag, plugin_flags, plugin_value, resolved_env
from lgx.cli.pipelines import DEFAULT_PATH, flag_text, load_env_file, pipeline_names, read_pipeline
from lgx.cli.session import Session, is_reference
from lgx.config import OptionInfo, describe
from lgx.errors import UsageError
from lgx.hints import closest
from lgx.spec import Use

__all__ = ["ROLES", "Chosen", "EndpointCommand", "chosen", "endpoint_use", "secret_literals"]

ROLES = ("source", "sink")
_KEY = "lgx.chosen"
_OTHERS = ("PLUGINS", "NO_PLUGINS")  # variables that are no option of a command


class Chosen(Struct, kw_only=True):
    """What is known before the options are parsed.

    Attributes:
        names: of the components, by role.
        infos: their options, by role.
        table: the pipeline's table, without what belongs to a component that a flag replaced.
    """

    names: dict[str, str] = {}
    infos: dict[str, tuple[OptionInfo, ...]] = {}
    pipeline: str | None = None
    config: Path = DEFAULT_PATH
    table: dict[str, object] = {}


def chosen(ctx: click.Context) -> Chosen:
    found = ctx.meta[_KEY]
    assert isinstance(found, Chosen)
    return found


class EndpointCommand(click.Command):
    """A command with `--source`, `--sink` and the options of what they name.

    Args:
        ignores: whether a pipeline's options for moving threads mean nothing to it.
    """

    def __init__(self, *args: Any, ignores: bool = False, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._ignores = ignores

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        session = ctx.ensure_object(Session)
        own = super().get_params(ctx)
        scan = _Scan(own, args)
        if "--no-plugins" in scan.seen:
            session.use_builtin_only()
        ctx.meta[_KEY] = choice = _choose(scan, session)
        ctx.default_map = _defaults(choice, own, ignores=self._ignores)
        _learn_literals(choice, scan, session)
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
        for section in (first, *rest, "Other"):
            with formatter.section(section):
                formatter.write_dl(sections[section])
        missing = [role for role in ROLES if role not in chosen(ctx).names]
        if missing:
            flags = " and ".join(f"--{role} NAME" for role in missing)
            formatter.write_paragraph()
            formatter.write_text(f"Together with {flags}, --help lists the options of that plugin.")


class _Scan:
    """A first look at the arguments, without knowing all flags.

    Attributes:
        values: of the command's own options that take one.
        seen: all flags.
        words: what is an argument for sure.
        doubtful: what is an argument, or the value of a flag that is not known yet.
        literals: texts after a flag that is not known yet, by flag.
    """

    def __init__(self, params: Sequence[click.Parameter], args: Sequence[str]) -> None:
        options = [param for param in params if isinstance(param, click.Option)]
        takes_value = {text: p for p in options for text in p.opts if not p.is_flag}
        known = {text for p in options for text in (*p.opts, *p.secondary_opts)}
        self.values: dict[str, str] = {}
        self.seen: set[str] = set()
        self.words: list[str] = []
        self.doubtful: list[str] = []
        self.literals: list[tuple[str, str]] = []
        rest: Iterator[str] = iter(args)
        unknown: str | None = None
        for arg in rest:
            flag, separator, value = arg.partition("=")
            if arg == "--":
                self.words.extend(rest)
            elif not (arg.startswith("-") and len(arg) > 1):
                if unknown is None:
                    self.words.append(arg)
                else:
                    self.doubtful.append(arg)
                    self.literals.append((unknown, arg))
                unknown = None
            elif flag in takes_value:
                self.seen.add(flag)
                name = takes_value[flag].name
                self.values[name or ""] = value if separator else next(rest, "")
                unknown = None
            else:
                self.seen.add(flag)
                if separator:
                    self.literals.append((flag, value))
                unknown = None if separator or flag in known else flag


def _choose(scan: _Scan, session: Session) -> Chosen:
    config = Path(scan.values.get("config") or resolved_env("config") or DEFAULT_PATH)
    choice = Chosen(config=config)
    name = scan.words[0] if scan.words else None
    if name is None and scan.doubtful and config.exists():
        try:
            names = pipeline_names(config)
        except UsageError as error:
            # Most likely no pipeline is wanted; if one is, what it names is missed.
            session.warn(f"{error}; it was not used")
            names = ()
        name = next((word for word in scan.doubtful if word in names), None)
    table: dict[str, object] = {}
    if name is None and "--config" in scan.seen and not scan.seen & {"--help", "-h"}:
        if not config.exists():
            raise UsageError(f"--config {config} does not exist; correct the path")
        known = ", ".join(pipeline_names(config)) or "none"
        raise UsageError(f"--config {config} needs a PIPELINE of that file; it has: {known}")
    if name is not None:
        choice.pipeline = name
        table = read_pipeline(config, name)
    env_file = scan.values.get("env_file") or resolved_env("env_file") or table.get("env_file")
    if env_file:
        for variable, value in load_env_file(Path(str(env_file)).expanduser()).items():
            os.environ.setdefault(variable, value)
    for role in ROLES:
        written = table.get(role)
        if written is not None and not isinstance(written, str):
            raise UsageError(f"{config}: {role} must be a plugin's name, not {written!r}")
        found = scan.values.get(role) or resolved_env(role) or written
        if not found:
            continue
        choice.names[role] = found
        if written is not None and found != written:
            # The pipeline's options are those of the plugin that it names.
            table = {key: v for key, v in table.items() if not key.startswith(f"{role}_")}
        cls = getattr(session.registry, role)(found)
        choice.infos[role] = describe(cls.config_type)
    choice.table = table
    return choice


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


def _learn_literals(choice: Chosen, scan: _Scan, session: Session) -> None:
    """Secrets are remembered, and warned of, before anything can fail and print them."""
    for role, infos in choice.infos.items():
        for info in infos:
            if not info.secret:
                continue
            key, flag = f"{role}_{info.name}", f"--{role}-{info.flag}"
            on_line = [text for given, text in scan.literals if given == flag]
            literals = [text for item in on_line for text in secret_literals(item, info)]
            in_file = secret_literals(choice.table.get(key), info)
            for text in (*literals, *in_file, *secret_literals(resolved_env(key), info)):
                session.learn_text(text)
            if literals:
                session.warn(
                    f"{flag} holds the secret itself, which other users of this machine can "
                    "read; write env:NAME or file:PATH"
                )
            elif in_file:
                session.warn(
                    f"{choice.config}: {role}-{info.flag} holds the secret itself; "
                    "write env:NAME or file:PATH"
                )


def secret_literals(value: object, info: OptionInfo) -> list[str]:
    """The secrets that are written out in what a secret option was given."""
    if isinstance(value, Mapping):
        texts = list(value.values())
    elif isinstance(value, list | tuple):
        return [text for item in value for text in secret_literals(item, info)]
    elif isinstance(value, str) and "KEY=VALUE" in info.type:
        pairs = (line.partition("=") for line in value.splitlines())
        texts = [text if separator else key for key, separator, text in pairs]
    else:
        texts = [value]
    return [text for text in texts if isinstance(text, str) and text and not is_reference(text)]


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
