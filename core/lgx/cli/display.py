"""Shows how far a run is, on stderr: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from lgx.cli.meter import Meter
from lgx.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["Erasing", "show_progress"]

_SECONDS = 5.0  # between two lines where there is no terminal
_ERASE = b"\r\x1b[1A\x1b[J"  # the two lines of the bar, the cursor being in the second
_SHOW_CURSOR = b"\x1b[?25h"

Erasing: TypeAlias = Callable[[], bytes]
"""What takes the display off stderr, for a process that ends at once."""


def show_progress(
    meter: Meter, title: str, session: Session, *, quiet: bool
) -> contextlib.AbstractContextManager[Erasing]:
    """Displays while open.

    Args:
        title: what moves where: `cloud → sqlite`.
        session: what it says meanwhile appears above the bar.
    """
    if quiet:
        return contextlib.nullcontext(bytes)
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return _bars(meter, title, session)
    return _lines(meter, session)


@contextlib.contextmanager
def _lines(meter: Meter, session: Session) -> Iterator[Erasing]:
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_SECONDS):
            meter.look()
            session.say(meter.line())

    thread = threading.Thread(target=work, name="lgx-progress", daemon=True)
    thread.start()
    try:
        yield bytes
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _bars(meter: Meter, title: str, session: Session) -> Iterator[Erasing]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    drawn = False

    def render() -> Group:
        nonlocal drawn
        drawn = True
        return _render(meter, title, console)

    def erasing() -> bytes:
        return (_ERASE if drawn else b"") + _SHOW_CURSOR

    def write(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    live = Live(
        get_renderable=render,
        console=console,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live, session.speaking_through(write):
        yield erasing


def _render(meter: Meter, title: str, console: Console) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    meter.look()
    progress = meter.progress
    head = Table.grid(padding=(0, 1))
    for _ in range(3):
        head.add_column(no_wrap=True, overflow="ellipsis")  # one line, however narrow
    if meter.total:
        bar = ProgressBar(total=meter.total, completed=progress.settled, width=_width(console))
    else:
        bar = ProgressBar(total=None, width=_width(console), pulse=True)
    head.add_row(Text(title, style="bold"), bar, Text(meter.threads()))
    details = Text(" · ".join(meter.details()), style="dim", overflow="ellipsis", no_wrap=True)
    return Group(head, details)


def _width(console: Console) -> int:
    return max(8, min(40, console.width - 56))
