"""The command `lgx init`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from lgx import Component, Registry, UsageError, describe
from lgx_plugins.files import AtomicFile
from lgx_plugins.init.settings import Chosen, env_example, toml_text
from lgx_plugins.invocation import program

__all__ = ["init"]

_TOML = Path("lgx.toml")
_ENV = Path(".env.example")


@click.command()
@click.option("--source", default="cloud", show_default=True, metavar="NAME", help="Read from it.")
@click.option("--sink", default="sqlite", show_default=True, metavar="NAME", help="Write to it.")
@click.option("--name", default="nightly", show_default=True, help="What to call the pipeline.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.pass_context
def init(ctx: click.Context, source: str, sink: str, name: str, force: bool) -> None:
    """Writes a commented lgx.toml and .env.example into this directory.

    lgx.toml gets one pipeline with every option of the two plugins, explained. The files
    can be read by their owner alone, and none that exists is replaced without --force.
    """
    if not name.isprintable() or name.startswith("-") or not name:
        raise UsageError(f"--name {name!r} cannot be typed as an argument; choose plain text")
    registry = getattr(ctx.obj, "registry", None) or Registry.from_environment()
    chosen = [
        _chosen("source", source, registry.source(source)),
        _chosen("sink", sink, registry.sink(sink)),
    ]
    texts = {_TOML: toml_text(name, chosen, _run_options(ctx)), _ENV: env_example(chosen)}
    there = [str(path) for path in texts if path.exists() or path.is_symlink()]
    if there and not force:
        verb = "exists" if len(there) == 1 else "exist"
        raise UsageError(f"{' and '.join(there)} {verb} already; replace with --force")
    for path, text in texts.items():
        with AtomicFile(path) as file:
            file.write(text.encode())
            file.commit()
    click.echo(f"wrote {_TOML} and {_ENV}", err=True)
    lgx, quoted = program(), shlex.quote(name)
    click.echo(
        f"next: fill in {_TOML}, then: {lgx} doctor {quoted} && {lgx} run {quoted}", err=True
    )


def _chosen(role: str, name: str, cls: type[Component[Any]]) -> Chosen:
    return Chosen(role, name, cls.summary, describe(cls.config_type))


def _run_options(ctx: click.Context) -> list[click.Parameter]:
    """The options of `lgx run`, asked of the program that this is a command of."""
    root = ctx.find_root()
    if not isinstance(root.command, click.Group):
        return []
    command = root.command.get_command(root, "run")
    return list(command.params) if command else []
