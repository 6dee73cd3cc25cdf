"""The texts of `lgx.toml` and `.env.example`, made from what plugins and commands declare."""

from __future__ import annotations

import json
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from lgx import OptionInfo

__all__ = ["Chosen", "env_example", "toml_text"]

_COLUMNS = 80

# Options of `lgx run` that make no sense in a pipeline, or stand above as lines of their own.
_ELSEWHERE = {"source", "sink", "config", "env_file", "retry", "json", "dry_run", "help"}


class Chosen:
    """A plugin in one of its roles, with its options."""

    def __init__(self, role: str, name: str, summary: str, options: Sequence[OptionInfo]) -> None:
        self.role = role
        self.name = name
        self.summary = summary
        self.options = options

    def variable(self, info: OptionInfo) -> str:
        """The environment variable that the option is read from without being told."""
        if info.env:
            return info.env
        if info.secret and info.example and info.example.startswith("env:"):
            return info.example.removeprefix("env:")
        return f"LGX_{self.role}_{info.name}".upper()


def toml_text(name: str, chosen: Sequence[Chosen], run: Iterable[click.Parameter]) -> str:
    """A pipeline in which every option is explained; those that need no value are comments."""
    names = " ".join(f"--{plugin.role} {plugin.name}" for plugin in chosen)
    lines = [
        f"# What moves where. Run it with:  lgx run {shlex.quote(name)}",
        "# Look at it first with:" + " " * 10 + f"lgx run {shlex.quote(name)} --dry-run",
        "#",
        "# The options are those that this lists, by the same names:",
        f"#   lgx run {names} --help",
        "# A flag goes before a variable LGX_<FLAG>, and that before this file.",
        "# Secrets do not belong here: write env:NAME, file:PATH or keyring:SERVICE/NAME.",
        "",
        f"[pipelines.{_key(name)}]",
    ]
    lines += [f"{plugin.role} = {_value(plugin.name)}" for plugin in chosen]
    lines += ["", *_comment("A file of variables, such as .env.example after you filled it in.")]
    lines += ['# env-file = ".env"']
    for plugin in chosen:
        title = f"{plugin.role} {plugin.name}"
        lines += [
            "",
            *_comment(f"-- {title}: {plugin.summary}" if plugin.summary else f"-- {title}"),
        ]
        for info in plugin.options:
            lines += ["", *_plugin_option(plugin, info)]
    lines += ["", "# -- which threads, and how"]
    for param in run:
        if isinstance(param, click.Option) and param.name not in _ELSEWHERE:
            lines += ["", *_run_option(param)]
    return "\n".join(lines) + "\n"


def env_example(chosen: Sequence[Chosen]) -> str:
    """The variables that hold the secrets of the plugins, without values."""
    lines = [
        "# Copy this file to .env, fill it in, and keep it to yourself (chmod 600 .env).",
        "# lgx reads it where it is asked to: with --env-file .env, or",
        '# env-file = ".env" in lgx.toml. Variables that are set already win.',
    ]
    seen: set[str] = set()
    for plugin in chosen:
        for info in plugin.options:
            variable = plugin.variable(info)
            if info.secret and not info.repeatable and variable not in seen:
                seen.add(variable)
                title = f"{plugin.role} {plugin.name}, {info.flag}"
                lines += ["", *_comment(f"{title}: {info.description}"), f"{variable}="]
    if not seen:
        lines += ["", "# The chosen plugins have no secret options."]
    return "\n".join(lines) + "\n"


def _plugin_option(plugin: Chosen, info: OptionInfo) -> list[str]:
    facts = ["required"] if info.required else []
    if info.env:
        facts.append(f"or from the variable {info.env}")
    text = f"{info.description} ({'; '.join(facts)})" if facts else info.description
    line = f"{plugin.role}-{info.flag} = {_value(_shown(plugin, info))}"
    return [*_comment(text), line if info.required else f"# {line}"]


def _shown(plugin: Chosen, info: OptionInfo) -> object:
    """A value that shows how the option is written: its default, or an example."""
    if info.repeatable and "KEY=VALUE" in info.type:
        key, _, value = (info.example or "NAME=VALUE").partition("=")
        return {key: value}
    if info.repeatable:
        return list(info.default) if isinstance(info.default, list | tuple) else []
    if info.secret:
        return info.example or f"env:{plugin.variable(info)}"
    if info.default not in (None, ""):
        return info.default
    if info.example is not None:
        return info.example
    if info.boolean:
        return True
    if info.type == "number":
        return 1
    return "" if info.type in ("text", "path") else info.type.split("|")[0]


def _run_option(param: click.Option) -> list[str]:
    name = (param.name or "").replace("_", "-")
    if param.is_flag:
        value: object = param.default is True
    elif isinstance(param.type, click.Choice):
        value = param.default if isinstance(param.default, str) else str(param.type.choices[0])
    elif isinstance(param.default, int | str):
        value = param.default
    elif param.metavar == "N":
        value = 100
    elif param.metavar == "TIME":
        value = "2026-01-31T00:00:00+00:00"
    elif param.metavar == "KEY=VALUE":
        value = {"KEY": "VALUE"}
    else:
        value = [] if param.multiple else param.metavar or ""
    return [*_comment(param.help or ""), f"# {name} = {_value(value)}"]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else _value(name)


def _value(value: object) -> str:
    """A TOML value; JSON's texts, numbers and truth values are TOML's too."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(str(key))} = {_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Path):
        return json.dumps(str(value))
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
