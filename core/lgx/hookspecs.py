"""The hooks: they only register, synchronously; the work is done by what they return.

A plugin is a module (or object) named by an entry point of the group `lgx`:

    [project.entry-points.lgx]
    parquet = "lgx_parquet"

The entry point bears the name of the component, so that naming a component imports that
plugin and no other. A package with components of several names has several entry points.
Commands have a group of their own, `lgx.commands`, whose entry points name click commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from lgx.contracts import Sink, SourceBase, Transform, Validator

__all__ = [
    "hookimpl",
    "lgx_register_sinks",
    "lgx_register_sources",
    "lgx_register_transforms",
    "lgx_register_validators",
]

hookimpl = pluggy.HookimplMarker("lgx")
_hookspec = pluggy.HookspecMarker("lgx")


@_hookspec
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    """The source classes of this plugin. Called once, when a command names the plugin."""
    return ()


@_hookspec
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    """The sink classes of this plugin. Called once, when a command names the plugin."""
    return ()


@_hookspec
def lgx_register_transforms() -> Sequence[type[Transform[Any]]]:
    """The transform classes of this plugin. Called once, when a command names the plugin."""
    return ()


@_hookspec
def lgx_register_validators() -> Sequence[type[Validator[Any]]]:
    """The validator classes of this plugin. Called once, when a command names the plugin."""
    return ()
