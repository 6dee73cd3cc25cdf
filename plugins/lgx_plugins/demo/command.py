"""The command `lgx demo`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from lgx import FatalError, Report, Use, run, use
from lgx_plugins.demo.conversations import hold_conversations
from lgx_plugins.demo.output import Output
from lgx_plugins.demo.server import RealServer
from lgx_plugins.demo.summary import next_commands, summarize
from lgx_plugins.invocation import program

__all__ = ["demo"]

_APP = Path(__file__).with_name("app")


@click.command()
@click.option(
    "--output",
    "directory",
    type=click.Path(path_type=Path),
    default=Path("lgx-demo"),
    show_default=True,
    help="Where threads.db and archive/ go; only what a demo made is replaced.",
)
@click.option("--keep", is_flag=True, help="Let the server run until Ctrl-C, to try lgx on it.")
def demo(directory: Path, keep: bool) -> int:
    """Start a real local LangGraph server, export it, show what was found.

    Nothing leaves this machine, and the server is gone at the end, with all it held. It needs
    these packages:

    \b
        pip install 'langgraph-cli[inmem]>=0.4.40,<0.5'
    """
    output = Output(directory)
    server = RealServer(_APP)
    server.require_packages()
    output.prepare()
    with _ended_by_signals(), ExitStack() as stack:
        with _step("starting a LangGraph server (langgraph dev)"):
            stack.enter_context(server)
        with _step(f"holding conversations on {server.url}"):
            asyncio.run(hold_conversations(server.url))
        source = use("cloud", url=server.url)
        database = _export(source, use("sqlite", path=str(output.database)))
        archive = _export(source, use("archive", path=str(output.archive)))
        for line in summarize(output, (database, archive)):
            click.echo(line)
        if keep:
            _keep(server)
    _heading("The server is gone, its threads are here. Look at them:")
    for line in next_commands(output):
        click.echo(f"  {line}")
    _heading("The same for a server of yours:")
    click.echo(f"  {program()} run --source cloud --source-url URL \\")
    click.echo("    --sink sqlite --sink-path threads.db")
    return max(database.exit_code, archive.exit_code)


def _keep(server: RealServer) -> None:
    """Returns at Ctrl-C.

    Raises:
        FatalError: the server ended before that.
    """
    _heading("The server runs until you press Ctrl-C. Meanwhile, in another shell:")
    click.echo(f"  {program()} doctor --source cloud --source-url {server.url}")
    click.echo(f"  {program()} run --source cloud --source-url {server.url} \\")
    click.echo("    --sink sqlite --sink-path mine.db")
    sys.stdout.flush()
    try:
        server.wait()
    except KeyboardInterrupt:
        click.echo("", err=True)
        return
    raise FatalError(f"the server ended by itself; its log ends with:\n{server.log_tail()}")


def _export(source: Use, sink: Use) -> Report:
    with _step(f"lgx run --source cloud --sink {sink.name}"):
        report = run(source, sink)
    if report.aborted is not None:
        raise FatalError(report.aborted)
    for failure in report.failures:
        click.echo(f"missing: {failure.what}: {failure.why}", err=True)
    return report


@contextmanager
def _step(what: str) -> Iterator[None]:
    """One line on stderr: what is being done, and how long it took."""
    began = time.monotonic()
    click.echo(f"{what} … ", nl=False, err=True)
    try:
        yield
    except BaseException:
        click.echo("", err=True)
        raise
    click.echo(f"{time.monotonic() - began:.1f} s", err=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM unwinds the stack like Ctrl-C does, so that the server is ended; and Ctrl-C does
    so also where a shell has started this in the background, and had it ignored."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    handlers = {signal.SIGTERM: leave, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heading(text: str) -> None:
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(f"\n{click.style(text, bold=True) if bold else text}\n")
