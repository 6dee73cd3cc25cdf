"""Shows how far a run is, on stderr: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lgx.cli.meter import Meter

if TYPE_CHECKING:
    from rich.console import Console, Group

__all__ = ["show_progress"]

_SECONDS = 5.0  # between two lines where there is no terminal
Say = Callable[[str], None]


def show_progress(
    meter: Meter, title: str, say: Say, *, quiet: bool
) -> contextlib.AbstractContextManager[object]:
    """Displays while open.

    Args:
        title: what moves where: `cloud → sqlite`.
        say: prints one line.
    """
    if quiet:
        return contextlib.nullcontext()
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        return _bars(meter, title)
    return _lines(meter, say)


@contextlib.contextmanager
def _lines(meter: Meter, say: Say) -> Iterator[None]:
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(_SECONDS):
            meter.look()
            say(meter.line())

    thread = threading.Thread(target=work, name="lgx-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _bars(meter: Meter, title: str) -> contextlib.AbstractContextManager[object]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    # Messages that are printed meanwhile go through rich, which keeps them above the bar.
    return Live(
        get_renderable=lambda: _render(meter, title, console),
        console=console,
        refresh_per_second=4,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,
    )


def _render(meter: Meter, title: str, console: Console) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    meter.look()
    progress = meter.progress
    head = Table.grid(padding=(0, 1))
    if progress.total:
        bar = ProgressBar(total=progress.total, completed=progress.settled, width=_width(console))
    else:
        bar = ProgressBar(total=None, width=_width(console), pulse=True)
    head.add_row(Text(title, style="bold"), bar, Text(meter.threads()))
    details = Text(" · ".join(meter.details()), style="dim", overflow="ellipsis", no_wrap=True)
    return Group(head, details)


def _width(console: Console) -> int:
    return max(8, min(40, console.width - 56))
