"""Options of click, made by hand or from the fields that a plugin declares."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from lgx.config import OptionInfo
from lgx.errors import UsageError
from lgx.query import parse_time

__all__ = [
    "Flag",
    "count",
    "key_values",
    "metadata_values",
    "option_help",
    "plugin_flags",
    "plugin_value",
    "resolved_env",
    "size",
    "time",
]


_LEAST_MEMORY = 1_000_000


class Flag(click.Option):
    """An option that stands in a section of the help and can come from `LGX_<NAME>`.

    A repeatable one takes one value for each line of that variable, or a JSON list: values
    such as `Authorization=Bearer x` hold blanks, at which click would split.
    """

    def __init__(self, declarations: Sequence[str], *, section: str, **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.section = section
        if self.envvar is None and self.name:
            self.envvar = f"LGX_{self.name.upper()}"

    def value_from_envvar(self, ctx: click.Context) -> Any:
        if not self.multiple:
            return super().value_from_envvar(ctx)
        text = self.resolve_envvar_value(ctx)
        if text is None:
            return None
        if text.lstrip().startswith("["):
            try:
                items = json.loads(text)
            except ValueError:
                items = None
            if isinstance(items, list) and all(isinstance(item, str) for item in items):
                return items
        return [line for line in text.splitlines() if line.strip()]


def size(text: str) -> int:
    """An amount of memory: `64M`, `1.5G`, `100000000`; the type of a flag."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", str(text).strip(), re.IGNORECASE)
    if not match:
        raise click.BadParameter(f"{text!r} is no size; write it as 64M or 1G")
    power = " KMGT".index(match[2].upper() or " ")
    number = int(float(match[1]) * 1024**power)
    if number < _LEAST_MEMORY:
        raise click.BadParameter(f"{text!r} is too little to work with; give at least 1M")
    return number


def count(text: str) -> int:
    """A whole number from 1; the type of a flag."""
    number = int(text) if str(text).strip().isdecimal() else 0
    if number < 1:
        raise click.BadParameter(f"{text!r} is no whole number of at least 1")
    return number


def time(text: str) -> str:
    """A time or date of ISO 8601; the type of a flag."""
    try:
        return parse_time(str(text)).isoformat()
    except UsageError as error:
        raise click.BadParameter(str(error)) from None


def plugin_flags(role: str, name: str, infos: Sequence[OptionInfo]) -> list[click.Parameter]:
    """The flags `--<role>-<option>` of a chosen plugin. None of them has a default here: what
    is not given is left to the plugin's declaration."""
    flags: list[click.Parameter] = []
    for info in infos:
        flag = f"--{role}-{info.flag}"
        common: dict[str, Any] = {
            "section": f"{role.capitalize()} {name}",
            "default": None,
            "help": option_help(info),
        }
        if info.boolean:
            flags.append(Flag([f"{flag}/--no-{role}-{info.flag}"], is_flag=True, **common))
        else:
            metavar = info.type.upper() if info.type in ("text", "number", "path") else info.type
            flags.append(Flag([flag], multiple=info.repeatable, metavar=metavar, **common))
    return flags


def option_help(info: OptionInfo) -> str:
    """An option's description and what else there is to know, for help texts."""
    facts = []
    if info.required:
        facts.append("required")
    elif info.default not in (None, "", (), [], {}):
        shown = {True: "yes", False: "no"}.get(info.default, info.default)  # type: ignore[call-overload]
        facts.append(f"default: {shown}")
    if info.example and not info.boolean and info.example != f"env:{info.env}":
        facts.append(f"such as {info.example}")
    if info.repeatable:
        facts.append("may be given several times")
    if info.env:
        facts.append(f"or from {info.env}")
    return f"{info.description} [{'; '.join(facts)}]" if facts else info.description


def plugin_value(role: str, info: OptionInfo, given: object) -> object:
    """What a plugin's flag was given, as `lgx.config.convert` takes it."""
    if "KEY=VALUE" in info.type and isinstance(given, tuple):
        return key_values(given, f"--{role}-{info.flag}")
    return list(given) if isinstance(given, tuple) else given


def key_values(items: Sequence[str], what: str) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping."""
    pairs = {}
    for item in items:
        key, separator, value = item.partition("=")
        if not (separator and key):
            raise UsageError(f"{what}: {item!r} is not KEY=VALUE")
        pairs[key] = value
    return pairs


def metadata_values(items: Sequence[str]) -> Mapping[str, object]:
    """`--metadata` texts: a value that is JSON is meant as such, any other is text."""
    import msgspec

    values: dict[str, object] = {}
    for key, text in key_values(items, "--metadata").items():
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            if text.lstrip()[:1] in ("{", "[", '"'):
                raise UsageError(
                    f"--metadata {key}: {text!r} begins like JSON and is none: {error}; correct "
                    "it, or write text that begins so as a JSON string"
                ) from None
            values[key] = text
        else:
            values[key] = msgspec.Raw(text.encode())
    return values


def resolved_env(name: str) -> str | None:
    """The variable behind a flag, None where it is empty or not set."""
    return os.environ.get(f"LGX_{name.upper()}") or None
