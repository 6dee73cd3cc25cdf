"""Which source, sink and pipeline a command is about, found before its options are parsed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from msgspec import Struct

from lgx.cli.flags import resolved_env
from lgx.cli.pipelines import (
    DEFAULT_PATH,
    load_env_file,
    pipeline_names,
    read_pipeline,
    readable_by_others,
)
from lgx.cli.scan import Scan
from lgx.cli.session import Session
from lgx.config import OptionInfo, describe
from lgx.errors import UsageError

__all__ = ["ROLES", "Chosen", "choose"]

ROLES = ("source", "sink")


class Chosen(Struct, kw_only=True):
    """What is known before the options are parsed.

    Attributes:
        names: of the components, by role.
        infos: their options, by role.
        unused: those of the sink's options that reading what it wrote does not need.
        table: the pipeline's table, without what belongs to a component that a flag replaced.
    """

    names: dict[str, str] = {}
    infos: dict[str, tuple[OptionInfo, ...]] = {}
    unused: frozenset[str] = frozenset()
    pipeline: str | None = None
    config: Path = DEFAULT_PATH
    table: dict[str, object] = {}


def choose(scan: Scan, session: Session, *, reads_sink: bool = False) -> Chosen:
    """What command line, variables and `lgx.toml` name; sets the variables of a `.env` file.

    Args:
        reads_sink: whether the sink is read, so that its options are also those of the source
            of its name.

    Raises:
        UsageError: a file cannot be read, or names no such pipeline; no such plugin.
    """
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
        path = Path(str(env_file)).expanduser()
        variables = load_env_file(path)
        if any(variables.values()) and readable_by_others(path):
            session.warn(
                f"--env-file {path} can be read by others; run: chmod 600 {shlex.quote(str(path))}"
            )
        for variable, value in variables.items():
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
        if role == "sink" and reads_sink:
            choice.infos[role], choice.unused = _reading(found, session)
            continue
        cls = getattr(session.registry, role)(found)
        choice.infos[role] = describe(cls.config_type)
    choice.table = table
    return choice


def _reading(name: str, session: Session) -> tuple[tuple[OptionInfo, ...], frozenset[str]]:
    """The options for reading what a sink wrote, then those that only writing has; the latter
    by name."""
    from lgx.verification.reading import read_config_type, write_only

    infos = describe(read_config_type(name, session.registry))
    unused = write_only(name, session.registry)
    sink = session.registry.components(name).get("sink")
    others = describe(sink.config_type) if sink is not None else ()
    return (*infos, *(info for info in others if info.name in unused)), unused
