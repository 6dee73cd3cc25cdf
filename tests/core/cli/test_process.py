"""`lgx` as a process: signals, pipes and files of its own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parent.parent / "installed"
Start = Callable[..., subprocess.Popen[str]]
OnTerminal = Callable[..., tuple[subprocess.Popen[str], int]]
RUN = ("run", "--source", "tiny", "--sink", "tiny", "--sink-path", "out.txt")


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the source has begun to list, which it says by a file."""
    for _ in range(1000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("the source never began")


def after_one_line(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and messages of a process whose reader goes once it has a line."""
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    return process.wait(timeout=30), err


@pytest.mark.parametrize(
    ("number", "code", "again"),
    [
        (signal.SIGINT, 130, "press Ctrl-C again"),
        (signal.SIGTERM, 143, "signal again"),
    ],
)
def test_a_signal_ends_the_run_in_good_order(
    start: Start, tmp_path: Path, number: int, code: int, again: str
) -> None:
    """One line says so, the report is written all the same, and tells of the signal."""
    process = start(*RUN, "--source-place", "begun", "--source-trouble", "endless",
                    "--report", "r.json")  # fmt: skip
    wait_for(tmp_path / "begun", process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[0] == (
        f"lgx: stopping when what is in flight is finished; {again} to stop at once"
    )
    assert err.splitlines()[1].startswith("tiny → tiny (ended early, after ")
    assert err.splitlines()[-1] == (
        "  run the same command again: it goes on with all that is missing"
    )
    assert json.loads((tmp_path / "r.json").read_bytes())["signal"] == number


def test_a_second_signal_ends_the_process(start: Start, tmp_path: Path) -> None:
    """A run that does not come to its end can be ended all the same."""
    process = start(*RUN, "--source-place", "begun", "--source-trouble", "stuck")
    wait_for(tmp_path / "begun", process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("lgx: stopping when")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)

    assert process.returncode == 143


def test_a_closed_pipe_is_no_traceback(start: Start) -> None:
    """`lgx … | head` ends without noise when head has gone."""
    process = start(*RUN, "--source-place", "x", "--source-threads", "20000", "--dry-run",
                    "--quiet")  # fmt: skip

    assert after_one_line(process) == (1, "")


def test_a_reader_that_has_enough_ends_a_stream_quietly(start: Start) -> None:
    """`lgx run … --sink-path - | head -1`: nothing is said, and the exit code is not 0."""
    process = start("run", "--source", "tiny", "--source-place", "x", "--source-threads", "20000",
                    "--sink", "ndjson", "--sink-path", "-")  # fmt: skip

    assert after_one_line(process) == (1, "")


def test_a_terminal_that_cannot_show_it_gets_an_escape() -> None:
    """What cannot be shown is escaped, not an error."""
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "lgx", "run", "--source", "😀", "--sink", "x"],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("lgx: error: no source is named '\\U0001f600'")


@pytest.fixture
def on_terminal(tmp_path: Path) -> Iterator[OnTerminal]:
    """A run whose stderr is a terminal of 80 columns, and the other end of that."""
    started: list[subprocess.Popen[str]] = []

    def popen(trouble: str, **environ: str) -> tuple[subprocess.Popen[str], int]:
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
        own = {"TERM": "xterm", "PYTHONPATH": str(INSTALLED / "tiny")}
        args = (*RUN, "--source-place", "begun", "--source-trouble", trouble)
        process = subprocess.Popen(
            [sys.executable, "-m", "lgx", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
            cwd=tmp_path,
            env={**plain, **own, **environ},
            text=True,
        )
        os.close(terminal)
        started.append(process)
        return process, controller

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_a_bar(on_terminal: OnTerminal, tmp_path: Path, no_color: bool) -> None:
    """Bars and messages share the terminal; the cursor comes back; NO_COLOR is obeyed."""
    environ = {"NO_COLOR": "1"} if no_color else {}
    process, controller = on_terminal("endless", **environ)
    shown = read_until(controller, b"threads")
    wait_for(tmp_path / "begun", process)
    process.send_signal(signal.SIGINT)
    shown += read_until(controller, None)
    out, _ = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    text = shown.decode()
    assert "tiny → tiny" in text
    assert "lgx: stopping when what is in flight is finished" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", text)) is not no_color


def test_a_second_signal_leaves_no_bar_on_the_terminal(
    on_terminal: OnTerminal, tmp_path: Path
) -> None:
    """What it has drawn is erased, and the cursor is there again; messages stay."""
    process, controller = on_terminal("stuck")
    shown = read_until(controller, b"threads")
    wait_for(tmp_path / "begun", process)
    process.send_signal(signal.SIGINT)
    shown += read_until(controller, b"Ctrl-C again")
    shown += read_until(controller, b"threads")
    process.send_signal(signal.SIGINT)
    shown += read_until(controller, None)
    process.communicate(timeout=20)

    assert process.returncode == 130
    assert screen(shown.decode()) == [
        "lgx: stopping when what is in flight is finished; press Ctrl-C again to stop at",
        "     once",
    ]
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def read_until(controller: int, text: bytes | None) -> bytes:
    """What a terminal is sent, up to that text; None: to the end of the program."""
    shown = b""
    with contextlib.suppress(OSError):  # how Linux ends a terminal without programs
        while text is None or text not in shown:
            piece = os.read(controller, 4096)
            if not piece:
                break
            shown += piece
    if text is None:
        os.close(controller)
    return shown


def screen(shown: str) -> list[str]:
    """The lines that stand on a terminal in the end."""
    lines, row, column = [""], 0, 0
    for text, count, code in re.findall(r"([^\x1b]+)|\x1b\[\??([\d;]*)([A-Za-z])", shown):
        if code == "A":
            row -= int(count or 1)
        elif code == "J":
            lines[row] = lines[row][:column]
            del lines[row + 1 :]
        elif code == "K":
            lines[row] = ""
        for char in text:
            if char == "\r":
                column = 0
            elif char == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            else:
                lines[row] = lines[row][:column].ljust(column) + char + lines[row][column + 1 :]
                column += 1
    return [line.rstrip() for line in lines if line.strip()]
