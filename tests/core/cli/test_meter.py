"""Progress in words: rates over the last seconds, sizes, times."""

from __future__ import annotations

import threading

import pytest

from lgx.cli import display
from lgx.cli.display import show_progress
from lgx.cli.meter import Meter, duration, size
from lgx.cli.session import Session
from lgx.progress import Progress


def test_says_what_it_does_before_there_is_anything_to_count() -> None:
    progress = Progress()
    assert Meter(progress, clock=lambda: 0.0).line() == "connecting"
    progress.phase = "listing"
    assert Meter(progress, clock=lambda: 0.0).line() == "choosing threads"


def test_counts_what_was_found_while_listing() -> None:
    """As long as the total is not known, the threads found so far are shown."""
    progress = Progress()
    progress.phase = "moving"
    progress.listed = 1500

    assert Meter(progress, clock=lambda: 0.0).line() == (
        "0 threads (1,500 found so far), 0 checkpoints, 0 B"
    )


def test_shows_rate_and_time_left() -> None:
    """Both are of the last seconds, not of the whole run."""
    now = 0.0
    progress = Progress()
    meter = Meter(progress, clock=lambda: now)
    progress.phase, progress.total = "moving", 1000
    now, progress.written, progress.bytes, progress.checkpoints = 100.0, 10, 1000, 20
    meter.look()
    now, progress.written, progress.bytes, progress.checkpoints = 110.0, 110, 20_001_000, 220
    progress.retries = 3
    meter.look()

    assert meter.line() == (
        "110/1,000 threads, 220 checkpoints, 20.0 MB, 2.0 MB/s, 3 retries, 1:29 left"
    )


def test_threads_that_wait_to_be_written_count_for_the_time_left() -> None:
    """A sink that writes large batches does not make the time left jump."""
    now = 0.0
    progress = Progress()
    meter = Meter(progress, clock=lambda: now)
    progress.phase, progress.total = "moving", 100
    now, progress.waiting = 10.0, 50
    meter.look()

    assert meter.line() == ("0/100 threads, 0 checkpoints, 0 B, 50 to be written, 10 s left")


def test_names_what_did_not_go_well() -> None:
    progress = Progress()
    progress.phase, progress.total = "finishing", 9
    progress.unchanged, progress.partial, progress.failed, progress.gone = 2, 3, 3, 1

    assert Meter(progress, clock=lambda: 0.0).line() == (
        "9/9 threads, 0 checkpoints, 0 B, 2 unchanged, 3 partial, 3 failed, 1 gone, finishing"
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (999_600, "1.0 MB"),
        (1_500_000_000, "1.5 GB"),
        (2_000_000_000_000_000, "2000 TB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (34.4, "34 s"), (125, "2:05"), (3725, "1:02:05")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_without_a_terminal_a_line_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every few seconds one plain line, and no thread is left behind."""
    said = threading.Semaphore(0)
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        said.release()

    monkeypatch.setattr(display, "_SECONDS", 0.001)
    session = Session()
    with (
        session.speaking_through(write),
        show_progress(Meter(Progress()), "a → b", session, quiet=False),
    ):
        assert said.acquire(timeout=10)
        assert said.acquire(timeout=10)

    assert set(lines) == {"lgx: connecting"}
    assert not [t for t in threading.enumerate() if t.name == "lgx-progress"]


def test_counts_what_came_over_the_wire_where_there_is_one() -> None:
    """While a batch waits to be written, the bytes that arrive show that something moves."""
    progress = Progress()
    progress.phase, progress.total = "moving", 5
    progress.bytes, progress.received = 300, 7_500_000

    assert Meter(progress, clock=lambda: 0.0).line() == "0/5 threads, 0 checkpoints, 7.5 MB"


def test_a_source_s_count_may_be_old() -> None:
    """More threads than were expected are not more than all of them."""
    progress = Progress()
    progress.phase, progress.total, progress.listed, progress.written = "moving", 5, 8, 7

    assert Meter(progress, clock=lambda: 0.0).threads() == "7/8 threads"


def test_a_server_that_does_not_answer_at_all_is_waited_for() -> None:
    now = 0.0
    progress = Progress()
    meter = Meter(progress, clock=lambda: now)
    now, progress.retries = 6.0, 3
    meter.look()

    assert meter.line() == "connecting, waiting for the server"


def test_whoever_has_to_finish_first_is_named() -> None:
    """Before the run begins and in its midst, as long as a plugin says so."""
    progress = Progress()
    meter = Meter(progress, clock=lambda: 0.0)
    progress.waiting_for = "process 7"
    assert meter.line() == "waiting for process 7"
    progress.phase, progress.total = "moving", 5
    assert meter.line() == "0/5 threads, 0 checkpoints, 0 B, waiting for process 7"
    progress.waiting_for = None
    assert meter.line() == "0/5 threads, 0 checkpoints, 0 B"


def test_during_an_outage_it_waits_for_the_server() -> None:
    """Requests are tried again, nothing comes: no time that is left can be told."""
    now = 0.0
    progress = Progress()
    meter = Meter(progress, clock=lambda: now)
    progress.phase, progress.total = "moving", 1000
    now, progress.written = 1.0, 10
    meter.look()
    now, progress.retries = 7.0, 4
    meter.look()
    assert meter.line() == "10/1,000 threads, 0 checkpoints, 0 B, 4 retries, waiting for the server"

    now, progress.written = 8.0, 20
    meter.look()
    assert meter.line().endswith("4 retries, 6:32 left")


def test_one_is_one() -> None:
    """Nothing is `1 retries`."""
    progress = Progress()
    progress.phase, progress.total = "moving", 1
    progress.written = progress.checkpoints = progress.retries = 1
    assert Meter(progress, clock=lambda: 0.0).line() == "1/1 thread, 1 checkpoint, 0 B, 1 retry"
    progress.total = None
    assert Meter(progress, clock=lambda: 0.0).threads() == "1 thread (0 found so far)"


def test_threads_of_two_places_are_said_to_be_of_both() -> None:
    """Where both are read there are twice as many as either has."""
    progress = Progress()
    progress.phase, progress.total, progress.written = "moving", 126, 64
    meter = Meter(progress, clock=lambda: 0.0, of=" of both sides")
    assert meter.threads() == "64/126 threads of both sides"
    progress.total, progress.listed, progress.failed = None, 70, 2
    assert "2 would fail" in Meter(progress, clock=lambda: 0.0, failed="would fail").details()
    progress.failed = 0
    assert meter.threads() == "64 threads of both sides (70 found so far)"
