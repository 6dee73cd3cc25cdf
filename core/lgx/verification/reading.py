"""Which source reads a side: the one that was named, or that of the sink's name."""

from __future__ import annotations

from typing import Any

from lgx.config import Config, convert, describe
from lgx.contracts import SourceBase
from lgx.errors import UsageError
from lgx.registry import Registry
from lgx.spec import Use

__all__ = ["config_of", "read_config_type", "source_of", "write_only"]


def read_config_type(name: str, registry: Registry) -> type[Config]:
    """The options by which the source of that name reads what the sink of that name wrote.

    Raises:
        UsageError: no source has that name.
    """
    source = registry.source(name)
    sink = registry.components(name).get("sink")
    own: type[Config] | None = getattr(sink, "read_config_type", None)
    if own is None:
        return source.config_type
    assert issubclass(own, source.config_type), f"{name}: it extends the source's options"
    return own


def write_only(name: str, registry: Registry) -> frozenset[str]:
    """The options of the sink of that name, if there is one, that mean nothing to reading."""
    sink = registry.components(name).get("sink")
    if sink is None:
        return frozenset()
    known = {info.name for info in describe(read_config_type(name, registry))}
    return frozenset(info.name for info in describe(sink.config_type)) - known


def config_of(role: str, use: Use, registry: Registry) -> Config:
    """The options by which one side is read.

    Args:
        role: source or sink. Of a sink, options that only writing has are left out.

    Raises:
        UsageError: no source has that name, or its options are wrong.
    """
    config_type, options = registry.source(use.name).config_type, dict(use.options)
    if role == "sink":
        config_type = read_config_type(use.name, registry)
        unused = write_only(use.name, registry)
        options = {k: v for k, v in options.items() if k.replace("-", "_") not in unused}
    return convert(config_type, options, where=f"--{role} {use.name}")


def source_of(role: str, use: Use, registry: Registry) -> SourceBase[Any]:
    """The source that reads one side; raises as `config_of`, and where nothing was kept of what
    was written there."""
    config = config_of(role, use, registry)
    if role == "sink" and str(getattr(config, "path", "")) == "-":
        raise UsageError(
            f"--sink {use.name}: what was written to - is gone; name a file with --sink-path"
        )
    return registry.source(use.name)(config)
