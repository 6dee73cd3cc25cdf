"""Options: one typed, described struct per component, from which all else is derived.

The command line's flags, `lgx.toml`, environment variables, help texts, validation
and the redaction of secrets come from the same declaration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from lgx.errors import UsageError
from lgx.hints import closest
from lgx.secrets import Secret, resolve_reference

__all__ = ["Config", "OptionInfo", "convert", "describe", "option"]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every component's options; a subclass repeats `frozen=True, kw_only=True`."""


def option(
    description: str,
    *,
    example: str | None = None,
    env: str | None = None,
    at_least: int | None = None,
) -> Meta:
    """Describes a field: `path: Annotated[Path, option("Where to write.")]`.

    A field of type `Secret` is a secret option; one of type `bool` becomes a flag with
    a `--no-` twin; a tuple or dict may be given several times.

    Args:
        description: one sentence, shown by `--help` and `lgx plugins show`.
        example: a value, shown in the configuration that `lgx init` writes.
        env: an environment variable that is read where the option is not given.
        at_least: the smallest number allowed.
    """
    extra = {"example": example, "env": env}
    if at_least is None:
        return Meta(description=description, extra=extra)
    return Meta(description=description, extra=extra, ge=at_least)


class OptionInfo(Struct, frozen=True, kw_only=True):
    """One option as a user sees it."""

    name: str
    type: str
    description: str
    required: bool
    default: object
    secret: bool
    boolean: bool
    repeatable: bool
    example: str | None
    env: str | None

    @property
    def flag(self) -> str:
        return self.name.replace("_", "-")


C = TypeVar("C", bound=Config)

# Words for help texts; what is not here is shown as Python spells it.
_TYPE_WORDS = {str: "text", int: "number", float: "number", bool: "yes/no", Path: "path"}


def describe(config_type: type[Config]) -> tuple[OptionInfo, ...]:
    """The options of a component, in the order of declaration."""
    hints = get_type_hints(config_type, include_extras=True)
    infos = []
    for field in msgspec.structs.fields(config_type):
        hint = hints[field.name]
        meta = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta)), Meta())
        members = _members(hint)
        extra = meta.extra or {}
        default = None if field.default is msgspec.NODEFAULT else field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        infos.append(
            OptionInfo(
                name=field.name,
                type=_type_words(members),
                description=meta.description or "",
                required=field.required,
                default=default,
                secret=_holds_secret(hint),
                boolean=members == (bool,),
                repeatable=any(
                    getattr(m, "__origin__", None) in (list, tuple, dict) for m in members
                ),
                example=extra.get("example"),
                env=extra.get("env"),
            )
        )
    return tuple(infos)


def _members(hint: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, without Annotated and without None."""
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return tuple(m for a in get_args(hint) if a is not type(None) for m in _members(a))
    return (hint,)


def _type_words(members: tuple[Any, ...]) -> str:
    words = []
    for member in members:
        origin, args = get_origin(member), get_args(member)
        if member is Secret:
            words.append("env:NAME or file:PATH")
        elif origin is Literal:
            words.append("|".join(str(a) for a in args))
        elif origin is dict:
            words.append("KEY=VALUE")
        elif origin in (list, tuple):
            words.append(_type_words(_members(args[0])))
        else:
            words.append(_TYPE_WORDS.get(member, getattr(member, "__name__", str(member))))
    return " or ".join(dict.fromkeys(words))


def convert(
    config_type: type[C],
    options: Mapping[str, object],
    *,
    where: str,
    environ: Mapping[str, str] | None = None,
) -> C:
    """Options as they were written, made into a component's config.

    Strings become the types that the fields declare (`yes` and `no` truth values, one
    string a list of one); `env:`, `file:` and `keyring:` references are resolved in secret
    fields and in the values of dicts of secrets.

    Args:
        options: field names (hyphens allowed) to values.
        where: how the user names the component, for messages: `--sink sqlite`.
        environ: in place of the process's environment.

    Raises:
        UsageError: an unknown or missing option, or a value of another type.
    """
    infos = {info.name: info for info in describe(config_type)}
    hints = get_type_hints(config_type, include_extras=True)
    values: dict[str, object] = {}
    for written, value in options.items():
        name = written.replace("-", "_")
        if name not in infos:
            known = sorted(info.flag for info in infos.values())
            raise UsageError(
                f"{where} has no option {written!r}{closest(written.replace('_', '-'), known)}; "
                f"its options: {', '.join(known) or 'none'}"
            )
        values[name] = _prepare(value, _members(hints[name]), environ)
    env = os.environ if environ is None else environ
    for info in infos.values():
        if info.name not in values and info.env and env.get(info.env):
            text = env[info.env]
            plain = Secret not in _members(hints[info.name])
            values[info.name] = text if plain else Secret(text)
    missing = [info for info in infos.values() if info.required and info.name not in values]
    if missing:
        raise UsageError(f"{where} needs {_needed(where, missing)}")
    try:
        return msgspec.convert(values, config_type, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        prefix = _prefix(where)
        raise UsageError(f"{where}: {_explain(error, infos, hints, values, prefix)}") from None


def _prefix(where: str) -> str:
    """`--source-` for options that are flags of their own, nothing for those of a transform."""
    role = where.partition(" ")[0]
    return f"{role}-" if role in ("--source", "--sink") else ""


def _needed(where: str, missing: Sequence[OptionInfo]) -> str:
    prefix = _prefix(where)
    if not prefix:
        return f"{', '.join(info.flag for info in missing)}; `lgx plugins show` lists its options"
    variable = "LGX_" + prefix.strip("-").upper()
    names = " and ".join(
        f"{prefix}{info.flag} (or the variable {info.env or f'{variable}_{info.name.upper()}'})"
        for info in missing
    )
    return f"{names}; `lgx run {where} --help` lists its options"


_TRUTH = {"yes": True, "on": True, "y": True, "no": False, "off": False, "n": False}


def _prepare(value: object, members: tuple[Any, ...], environ: Mapping[str, str] | None) -> object:
    """A written value in the form that msgspec converts by itself."""
    origins = {get_origin(member) for member in members}
    if isinstance(value, str):
        if Secret in members:
            return _secret(value, environ)
        if members == (bool,):
            return _TRUTH.get(value.lower(), value)
        if origins & {list, tuple} and str not in members:
            value = [value]
    if isinstance(value, Mapping) and any(Secret in get_args(member) for member in members):
        return {k: _secret(v, environ) if isinstance(v, str) else v for k, v in value.items()}
    return value


def _holds_secret(hint: Any) -> bool:
    return any(m is Secret or Secret in get_args(m) for m in _members(hint))


def _secret(text: str, environ: Mapping[str, str] | None) -> Secret:
    resolved = resolve_reference(text, environ)
    return Secret(text if resolved is None else resolved)


def _decode(wanted: type, value: object) -> object:
    if wanted is Secret:
        if isinstance(value, Secret | str):
            return Secret(value) if isinstance(value, str) else value
    elif issubclass(wanted, Path):
        if isinstance(value, Path | str):
            return wanted(value).expanduser()
    else:
        raise NotImplementedError(f"options of type {wanted.__name__} are not supported")
    # msgspec turns a TypeError into its own error, which knows the option.
    raise TypeError(f"expected {_TYPE_WORDS.get(wanted, 'text')}, got {type(value).__name__}")


def _explain(
    error: msgspec.ValidationError,
    infos: Mapping[str, OptionInfo],
    hints: Mapping[str, Any],
    values: Mapping[str, object],
    prefix: str,
) -> str:
    """msgspec's message with the path turned into the option's name and value."""
    text = str(error)
    reason, _, path = text.partition(" - at `$.")
    name = path.rstrip("`").split("[")[0].split(".")[0]
    reason = reason[:1].lower() + reason[1:].replace("`", "")
    if name not in infos:
        return reason
    info = infos[name]
    shown = "this value" if _holds_secret(hints[name]) else repr(values[name])
    named = f"{prefix}{info.flag}" if prefix else f"option {info.flag}"
    return f"{named} cannot be {shown}: {reason}; its type is {info.type}"
