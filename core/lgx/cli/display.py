"""Shows how far a run is, on stderr: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lgx.cli.meter import Meter
from lgx.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["show_progress"]

_SECONDS = 5.0  # between two lines where there is no terminal


def show_progress(
    meter: Meter, title: str, session: Session, *, quiet: bool
) -> contextlib.AbstractContextManager[object]:
    """Displays while open.

    Args:
        title: what moves where: `cloud → sqlite`.
        session: what it says meanwhile appears above the bar.
    """
    if quiet:
        return contextlib.nullcontext()
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return _bars(meter, title, session)
    return _lines(meter, session)


@contextlib.contextmanager
def _lines(meter: Meter, session: Session) -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_SECONDS):
            meter.look()
            session.say(meter.line())

    thread = threading.Thread(target=work, name="lgx-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _bars(meter: Meter, title: str, session: Session) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)

    def write(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    live = Live(
        get_renderable=lambda: _render(meter, title, console),
        console=console,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live, session.speaking_through(write):
        yield


def _render(meter: Meter, title: str, console: Console) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    meter.look()
    progress = meter.progress
    head = Table.grid(padding=(0, 1))
    if meter.total:
        bar = ProgressBar(total=meter.total, completed=progress.settled, width=_width(console))
    else:
        bar = ProgressBar(total=None, width=_width(console), pulse=True)
    head.add_row(Text(title, style="bold"), bar, Text(meter.threads()))
    details = Text(" · ".join(meter.details()), style="dim", overflow="ellipsis", no_wrap=True)
    return Group(head, details)


def _width(console: Console) -> int:
    return max(8, min(40, console.width - 56))
