"""What a dry run lists: lines for programs, and lines that fit a terminal."""

from __future__ import annotations

from lgx import Unmoved
from lgx.cli.unmoved import unmoved_lines

OWN = "0b5e9d3a-7f1c-4c8e-9a51-2f6d8c3b7e10"
TIME = "2026-11-20T08:00:00.123456+00:00"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
THREADS = [
    Unmoved(thread_id=OWN, version=TIME, size_hint=1_234_567_890),
    Unmoved(thread_id=OWN, version=DIGEST),
    Unmoved(thread_id="red\x1b[31m", version="7", size_hint=5),
]


def test_programs_get_all_of_it_between_tabs() -> None:
    """Whatever its length; nothing steers."""
    assert list(unmoved_lines(THREADS, None)) == [
        f"{OWN}\t{TIME}\t1234567890",
        f"{OWN}\t{DIGEST}\t-",
        "red\\x1b[31m\t7\t5",
    ]
    assert list(unmoved_lines(THREADS[1:2], None)) == [f"{OWN}\t{DIGEST}"]


def test_on_a_terminal_each_thread_is_one_line() -> None:
    """Under a header. The id stays whole, and what tells least is shortened."""
    lines = list(unmoved_lines(THREADS, 80))

    assert lines == [
        f"{'thread':<36}  {'version':<32}  size",
        f"{OWN}  {TIME}  1.2 GB",
        f"{OWN}  {DIGEST[:38]}…  -",
        "red\\x1b[31m  7  5 B",
    ]
    assert max(map(len, lines)) == 80
    header, line = unmoved_lines([Unmoved(thread_id="x" * 300, version=TIME)], 80)
    assert header.split() == ["thread", "version"]
    assert line == f"{'x' * 300}  2026-11…"
    assert list(unmoved_lines([], 80)) == []
