"""Imports one plugin, asks its hooks, and checks that what they register keeps the contracts.

Everything that is wrong with a plugin becomes one `PluginLoadError` that names it, its
distribution and its version; what a plugin raises never passes through as it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Literal, TypeAlias

import pluggy

from lgx import hookspecs
from lgx.config import Config, describe
from lgx.contracts import Component, Sink, SourceBase, Transform, Validator
from lgx.errors import PluginLoadError

__all__ = ["ROLES", "Role", "import_object", "load_components"]

Role: TypeAlias = Literal["source", "sink", "transform", "validator"]

ROLES: Mapping[Role, type[Component[Any]]] = {
    "source": SourceBase,
    "sink": Sink,
    "transform": Transform,
    "validator": Validator,
}

# The attribute by which each role declares its kinds of records.
_KINDS: Mapping[Role, str] = {
    "source": "offers",
    "sink": "accepts",
    "transform": "handles",
    "validator": "handles",
}


def import_object(entry_point: EntryPoint, title: str) -> Any:
    """What an entry point names.

    Args:
        title: how messages name the plugin: `plugin 's3' of lgx-s3 1.2`.
    """
    try:
        return entry_point.load()
    except (Exception, SystemExit) as error:
        raise PluginLoadError(f"{title} cannot be imported: {_reason(error)}") from error


def load_components(entry_point: EntryPoint, title: str) -> dict[Role, type[Component[Any]]]:
    """The components that bear the entry point's name, by role; imports that plugin alone."""
    plugin = import_object(entry_point, title)
    manager = pluggy.PluginManager("lgx")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=entry_point.name)
    except (pluggy.PluginValidationError, ValueError) as error:
        reason = str(error).splitlines()[-1] or _reason(error)
        raise PluginLoadError(f"{title} has a hook that cannot be called: {reason}") from error
    callers = manager.get_hookcallers(plugin) or []
    known = ", ".join(_hook(role) for role in ROLES)
    for caller in callers:
        if not caller.has_spec():
            raise PluginLoadError(
                f"{title} implements a hook that does not exist: {caller.name}; hooks: {known}"
            )
    if not callers:
        raise PluginLoadError(f"{title} implements no hook; it needs one of: {known}")
    found: dict[Role, type[Component[Any]]] = {}
    others: list[str] = []
    for role in ROLES:
        for implementation in getattr(manager.hook, _hook(role)).get_hookimpls():
            for component in _registered(implementation.function, role, title):
                _check(component, role, title)
                if component.name != entry_point.name:
                    others.append(component.name)
                elif role in found:
                    raise PluginLoadError(
                        f"{title} registers two {role}s named {component.name!r}: "
                        f"{_path(found[role])} and {_path(component)}"
                    )
                else:
                    found[role] = component
    if not found:
        names = ", ".join(repr(name) for name in sorted(set(others))) or "nothing"
        raise PluginLoadError(
            f"{title} registers {names}, not {entry_point.name!r}: "
            "an entry point bears the name of its component"
        )
    return found


def _hook(role: Role) -> str:
    return f"lgx_register_{role}s"


def _registered(function: Callable[[], object], role: Role, title: str) -> list[Any]:
    """What one hook implementation returns, which must be a list or tuple."""
    name = _hook(role)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginLoadError(
            f"{title} has an async {name}; hooks are plain functions that return classes"
        )
    try:
        result = function()
    except (Exception, SystemExit) as error:
        raise PluginLoadError(f"{title} fails in {name}: {_reason(error)}") from error
    if not isinstance(result, list | tuple):
        if inspect.iscoroutine(result):
            result.close()
        raise PluginLoadError(
            f"{title} returns {type(result).__name__} from {name}; it must be a list of classes"
        )
    return list(result)


def _check(component: object, role: Role, title: str) -> None:
    """That a registered object is a class which keeps the contract of its role."""
    base = ROLES[role]
    if not (isinstance(component, type) and issubclass(component, base)):
        shown = _path(component) if isinstance(component, type) else repr(component)
        raise PluginLoadError(
            f"{title} registers {shown} as a {role}, which is no subclass of lgx.{base.__name__}"
        )
    what = f"{title}: {role} class {_path(component)}"
    if not isinstance(getattr(component, "name", None), str):
        raise PluginLoadError(f"{what} has no name; set the class attribute `name`")
    config_type = getattr(component, "config_type", None)
    if not (isinstance(config_type, type) and issubclass(config_type, Config)):
        raise PluginLoadError(f"{what} has no config_type that is a subclass of lgx.Config")
    try:
        describe(config_type)
    except Exception as error:
        raise PluginLoadError(
            f"{what} has options that cannot be read from {config_type.__name__}: {_reason(error)}"
        ) from error
    missing = sorted(getattr(component, "__abstractmethods__", ()))
    if missing:
        raise PluginLoadError(f"{what} lacks {', '.join(missing)}")
    kinds = getattr(component, _KINDS[role], None)
    # A source or sink may set it in its constructor, where it depends on the options.
    if kinds is None and role in ("source", "sink"):
        return
    if inspect.isdatadescriptor(kinds):
        return
    if not (isinstance(kinds, frozenset) and all(isinstance(kind, str) for kind in kinds)):
        raise PluginLoadError(f"{what} must declare {_KINDS[role]} as a frozenset of kinds")


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _reason(error: BaseException) -> str:
    """An exception on one line, for the end of a message."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
