"""Finds plugins by their entry points, imports those that are named, and no others."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from msgspec import Struct

from lgx.contracts import Component, Sink, SourceBase, Transform, Validator
from lgx.errors import PluginConflictError, PluginLoadError, UsageError
from lgx.hints import closest
from lgx.loading import Role, import_object, load_components
from lgx.static import static_component_summary, static_roles, static_summary

__all__ = ["Listed", "Registry"]

PLUGINS = "lgx"
COMMANDS = "lgx.commands"


class Listed(Struct, frozen=True, kw_only=True):
    """One entry point, as its distribution declares it; nothing of it was imported.

    Attributes:
        target: what it names: `package.module` or `package.module:attribute`.
        location: the directory or archive on `sys.path` that the distribution is in.
        conflict: another distribution claims the same name, so neither can be used.
    """

    name: str
    distribution: str
    version: str
    target: str
    location: str
    conflict: bool = False

    @property
    def owner(self) -> str:
        return f"{self.distribution} {self.version}"


class Registry:
    """The plugins that are installed and may be used.

    An instance reads what is installed when it is first asked, and keeps it. Asking for a
    component imports the plugin of that name and no other; listing imports none.

    Args:
        allowed: the only names that may be used, of components and commands; None: all.
        builtin_only: only what the distribution `lgx` itself brings.
    """

    def __init__(
        self, allowed: Collection[str] | None = None, *, builtin_only: bool = False
    ) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        self._builtin_only = builtin_only
        self._installed: dict[str, dict[str, list[tuple[EntryPoint, Listed]]]] = {}
        self._components: dict[str, dict[Role, type[Component[Any]]]] = {}

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] | None = None, *, builtin_only: bool = False
    ) -> Registry:
        """A registry bounded by `LGX_PLUGINS=a,b`, where that is set."""
        text = (os.environ if environ is None else environ).get("LGX_PLUGINS")
        names = None if text is None else {name.strip() for name in text.split(",")} - {""}
        return cls(names, builtin_only=builtin_only)

    def listed(self) -> tuple[Listed, ...]:
        """All components' entry points that may be used, by name."""
        return self._listed(PLUGINS)

    def listed_commands(self) -> tuple[Listed, ...]:
        """All commands' entry points that may be used, by name."""
        return self._listed(COMMANDS)

    def source(self, name: str) -> type[SourceBase[Any]]:
        """The source of that name.

        Raises:
            UsageError: there is none, or it may not be used.
            PluginConflictError: two distributions claim the name.
            PluginLoadError: the plugin cannot be imported, or breaks the contracts.
        """
        return cast("type[SourceBase[Any]]", self._component(name, "source"))

    def sink(self, name: str) -> type[Sink[Any]]:
        """The sink of that name; raises like `source`."""
        return cast("type[Sink[Any]]", self._component(name, "sink"))

    def transform(self, name: str) -> type[Transform[Any]]:
        """The transform of that name; raises like `source`."""
        return cast("type[Transform[Any]]", self._component(name, "transform"))

    def validator(self, name: str) -> type[Validator[Any]]:
        """The validator of that name; raises like `source`."""
        return cast("type[Validator[Any]]", self._component(name, "validator"))

    def components(self, name: str) -> Mapping[Role, type[Component[Any]]]:
        """Everything that bears the name, by role; raises like `source`."""
        return self._loaded(name, None)

    def command(self, name: str) -> Any:
        """The click command of that name; raises like `source`."""
        import click

        entry_point, listed = self._one(COMMANDS, name, "command")
        title = _title("command", listed)
        command = import_object(entry_point, title)
        if not isinstance(command, click.Command):
            raise PluginLoadError(f"{title} is no click command but {type(command).__name__}")
        return command

    def command_summary(self, listed: Listed) -> str:
        """The first line of a command's docstring, read from its source without importing it."""
        return static_summary(listed.target) or f"from {listed.owner}"

    def summary(self, listed: Listed) -> str | None:
        """What a component says of itself, read likewise; None where that cannot be seen."""
        return static_component_summary(listed.target, listed.name)

    def roles(self, listed: Listed) -> tuple[Role, ...] | None:
        """What a plugin registers, read from its source without importing it; None where that
        does not tell: the module is none of Python's text, or serves several names."""
        same = [item for item in self.listed() if item.target == listed.target]
        return static_roles(listed.target) if len(same) == 1 else None

    def _component(self, name: str, role: Role) -> type[Component[Any]]:
        components = self._loaded(name, role)
        if role not in components:
            raise UsageError(f"{name!r} is no {role}; it is a {' and a '.join(components)}")
        return components[role]

    def _loaded(self, name: str, role: Role | None) -> Mapping[Role, type[Component[Any]]]:
        """What bears the name; `role` is what is wanted of it, for the message if nothing does."""
        if name not in self._components:
            entry_point, listed = self._one(PLUGINS, name, "plugin", role)
            self._components[name] = load_components(entry_point, _title("plugin", listed))
        return self._components[name]

    def _one(
        self, group: str, name: str, word: str, role: Role | None = None
    ) -> tuple[EntryPoint, Listed]:
        found = self._entries(group).get(name, [])
        if not found:
            raise UsageError(self._unknown(group, name, word, role))
        if len(found) > 1:
            owners = " and ".join(f"{item.owner} ({item.target})" for _, item in found)
            raise PluginConflictError(
                f"{word} {name!r} is claimed by {owners}; uninstall one of them"
            )
        return found[0]

    def _unknown(self, group: str, name: str, word: str, role: Role | None) -> str:
        if self._allowed is not None and name not in self._allowed:
            names = ", ".join(sorted(self._allowed)) or "none"
            return f"{word} {name!r} may not be used; LGX_PLUGINS allows: {names}"
        if self._builtin_only and any(e.name == name for e in entry_points(group=group)):
            return f"{word} {name!r} is not built in; leave out --no-plugins to use it"
        known = sorted(self._known(group, role))
        installed = f"installed: {', '.join(known)}" if known else "none is installed"
        return f"no {role or word} is named {name!r}{closest(name, known)}; {installed}"

    def _known(self, group: str, role: Role | None) -> Collection[str]:
        """The names that could have been meant; without a role those of commands, too."""
        if role is None:
            return {*self._entries(group), *self._entries(COMMANDS)}
        roles = {item.name: self.roles(item) for item in self.listed()}
        return [name for name, found in roles.items() if found is None or role in found]

    def _listed(self, group: str) -> tuple[Listed, ...]:
        entries = self._entries(group)
        return tuple(item for name in sorted(entries) for _, item in entries[name])

    def _entries(self, group: str) -> Mapping[str, list[tuple[EntryPoint, Listed]]]:
        if group not in self._installed:
            admitted = [e for e in entry_points(group=group) if self._admits(e)]
            grouped: dict[str, list[EntryPoint]] = {}
            for entry_point in admitted:
                grouped.setdefault(entry_point.name, []).append(entry_point)
            self._installed[group] = {
                name: sorted(
                    ((e, _describe(e, conflict=len(same) > 1)) for e in same),
                    key=lambda pair: pair[1].owner,
                )
                for name, same in grouped.items()
            }
        return self._installed[group]

    def _admits(self, entry_point: EntryPoint) -> bool:
        if self._allowed is not None and entry_point.name not in self._allowed:
            return False
        return not self._builtin_only or _distribution(entry_point) == "lgx"


def _title(word: str, listed: Listed) -> str:
    return f"{word} {listed.name!r} of {listed.owner}"


def _distribution(entry_point: EntryPoint) -> str:
    name = entry_point.dist.name if entry_point.dist else ""
    return re.sub(r"[-_.]+", "-", name).lower()


def _describe(entry_point: EntryPoint, *, conflict: bool) -> Listed:
    dist = entry_point.dist
    return Listed(
        name=entry_point.name,
        distribution=dist.name if dist else "unknown",
        version=dist.version if dist else "unknown",
        target=entry_point.value,
        location=str(dist.locate_file("")) if dist else "",
        conflict=conflict,
    )
