"""How fast a run is, from counters that are looked at now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from lgx.progress import Progress

__all__ = ["Meter", "counted", "duration", "size"]

_WINDOW = 15.0  # seconds over which rates are taken
_PATIENCE = 5.0  # seconds without anything new, after which it is said that we wait


class Meter:
    """Words for the display; `look` is called at every refresh.

    Args:
        of: is said behind the number of threads, where it is not plain what they are of.
        failed: what is said of threads that fail.
    """

    def __init__(
        self,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        *,
        of: str = "",
        failed: str = "failed",
    ) -> None:
        self.progress = progress
        self._failed = failed
        self._of = of
        self._clock = clock
        self._looks: deque[tuple[float, int, int]] = deque()
        self._still = (clock(), progress.retries)  # when something moved last, and retries then
        self.look()

    def look(self) -> None:
        now = self._clock()
        if not self._looks or self._looks[-1][1:] != (self.moved, self.progress.read):
            self._still = (now, self.progress.retries)
        self._looks.append((now, self.moved, self.progress.read))
        while now - self._looks[0][0] > _WINDOW:
            self._looks.popleft()

    @property
    def moved(self) -> int:
        """Bytes that came over the wire, or where there is none, bytes of records."""
        return self.progress.received or self.progress.bytes

    @property
    def total(self) -> int | None:
        """Threads to be expected, never fewer than were found: a source's count may be old."""
        total = self.progress.total
        return None if total is None else max(total, self.progress.listed, self.progress.settled)

    @property
    def in_vain(self) -> bool:
        """Whether requests are tried again and nothing has come for some seconds."""
        since, retries = self._still
        return self._clock() - since >= _PATIENCE and self.progress.retries > retries

    @property
    def bytes_per_second(self) -> float:
        return self._rate(1)

    @property
    def seconds_left(self) -> float | None:
        """At the rate of the last seconds; None while that cannot be told."""
        total, rate = self.total, self._rate(2)
        if total is None or rate <= 0 or self.in_vain:
            return None
        return max(0.0, (total - self.progress.read) / rate)

    def _rate(self, column: int) -> float:
        first, last = self._looks[0], self._looks[-1]
        seconds = last[0] - first[0]
        return (last[column] - first[column]) / seconds if seconds > 0 else 0.0

    def threads(self) -> str:
        """`1,234/5,000 threads`, or what goes on while there is nothing to count."""
        progress = self.progress
        if progress.phase == "opening":
            waiting = progress.waiting_for
            return f"waiting for {waiting}" if waiting else "connecting"
        if progress.phase == "listing":
            return "choosing threads"
        if self.total is None:
            settled = counted(progress.settled, "thread")
            return f"{settled}{self._of} ({progress.listed:,} found so far)"
        return f"{progress.settled:,}/{counted(self.total, 'thread')}{self._of}"

    def details(self) -> list[str]:
        """The other facts, as few words each."""
        progress = self.progress
        if progress.phase in ("opening", "listing"):
            return ["waiting for the server"] if self.in_vain else []
        facts = [counted(progress.checkpoints, "checkpoint"), size(self.moved)]
        if self.bytes_per_second:
            facts.append(f"{size(self.bytes_per_second)}/s")
        for word, count in (
            ("to be written", progress.waiting),
            ("unchanged", progress.unchanged),
            ("partial", progress.partial),
            (self._failed, progress.failed),
            ("gone", progress.gone),
        ):
            if count:
                facts.append(f"{count:,} {word}")
        if progress.retries:
            facts.append(counted(progress.retries, "retry", "retries"))
        left = self.seconds_left
        if progress.phase == "finishing":
            facts.append("finishing")
        elif progress.waiting_for:
            facts.append(f"waiting for {progress.waiting_for}")
        elif self.in_vain:
            facts.append("waiting for the server")
        elif left:
            facts.append(f"{duration(left)} left")
        return facts

    def line(self) -> str:
        return ", ".join([self.threads(), *self.details()])


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 retry`, `1,200 requests`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def size(number: float) -> str:
    """`1.2 GB`; powers of 1000, as disks and networks are counted."""
    if number < 1000:
        return f"{int(number)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or unit == "TB":
            break
    return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"


def duration(seconds: float) -> str:
    """`0.4 s`, `34 s`, `2:05`, `1:02:05`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
