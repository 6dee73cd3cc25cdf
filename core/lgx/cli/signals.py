"""What the outside tells a run: SIGINT and SIGTERM, and that nobody reads its output any more.

The first signal lets what is in flight finish, the second ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lgx.engine.stop import Stop

__all__ = ["graceful_stop", "reader_gone"]


@contextlib.contextmanager
def graceful_stop(
    stop: Stop, say: Callable[[str], None], erasing: Callable[[], bytes] = bytes
) -> Iterator[None]:
    """While open, signals stop the run; entered on the event loop, in the main thread.

    Args:
        erasing: gives what takes a display off stderr.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            # Nothing is cleaned up, as after a crash, which every sink survives by contract.
            with contextlib.suppress(OSError):
                os.write(2, erasing())
            os._exit(128 + number)
        asked = True
        loop.call_soon_threadsafe(announce, number)

    def announce(number: int) -> None:
        stop.request(number)
        again = "press Ctrl-C again" if number == signal.SIGINT else "signal again"
        say(f"stopping when what is in flight is finished; {again} to stop at once")

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reader_gone() -> bool:
    """Whether stdout is a pipe whose reader has closed it, as `head` does when it has enough."""
    try:
        stdout = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
