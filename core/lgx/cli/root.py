"""The group `lgx`: its own commands, and those of plugins, which are loaded when used."""

from __future__ import annotations

import importlib

import click

import lgx
from lgx.cli.session import Session
from lgx.errors import UsageError
from lgx.hints import closest
from lgx.registry import Listed

__all__ = ["CORE_COMMANDS", "root"]

# Name of each command to the module that defines it under the same name.
CORE_COMMANDS = {
    "run": "lgx.cli.run",
    "verify": "lgx.cli.verify",
    "plugins": "lgx.cli.plugins",
    "doctor": "lgx.cli.doctor",
}


class _Root(click.Group):
    """Finds commands by name; a core command's name cannot be taken by a plugin."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*CORE_COMMANDS, *_plugin_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in CORE_COMMANDS:
            command = getattr(importlib.import_module(CORE_COMMANDS[cmd_name]), cmd_name)
        elif cmd_name in _plugin_commands(ctx):
            command = ctx.ensure_object(Session).registry.command(cmd_name)
        else:
            known = self.list_commands(ctx)
            raise UsageError(
                f"no command is named {cmd_name!r}{closest(cmd_name, known)}; "
                f"commands: {', '.join(known)}"
            )
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        core = []
        for name in CORE_COMMANDS:
            command = self.get_command(ctx, name)
            assert command is not None
            core.append((name, command.get_short_help_str(limit=200)))
        with formatter.section("Commands"):
            formatter.write_dl(core)
        registry = ctx.ensure_object(Session).registry
        rows = []
        for name, found in _plugin_commands(ctx).items():
            if len(found) > 1:
                owners = " and ".join(item.owner for item in found)
                rows.append((name, f"claimed by {owners}: uninstall one"))
            else:
                rows.append((name, registry.command_summary(found[0])))
        if rows:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)


def _plugin_commands(ctx: click.Context) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for item in ctx.ensure_object(Session).registry.listed_commands():
        if item.name not in CORE_COMMANDS:
            found.setdefault(item.name, []).append(item)
    return found


def _forget_plugins(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).use_builtin_only()


@click.group(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The variable LGX_PLUGINS=a,b lets only the plugins a and b be loaded.",
)
@click.version_option(lgx.__version__, prog_name="lgx", message="%(prog)s %(version)s")
@click.option(
    "--no-plugins",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    envvar="LGX_NO_PLUGINS",
    callback=_forget_plugins,
    help="Use what lgx itself brings, and nothing else that is installed.",
)
def root() -> None:
    """Moves LangGraph threads and checkpoints from any place that holds them to any other."""
