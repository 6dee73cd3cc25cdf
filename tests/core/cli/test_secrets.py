"""A secret never shows, whatever goes wrong, and is warned of where others could read it."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lgx = Callable[..., Any]
CANARY = "canary-7f3a9b"
ENDS = ("--source", "tiny", "--source-place", "here", "--sink", "tiny", "--sink-path", "out.txt")
WARNING = (
    "lgx: warning: --source-api-key holds the secret itself, which other users of this machine "
    "can read; write env:NAME or file:PATH\n"
)


def test_a_literal_on_the_command_line_draws_a_warning(lgx: Lgx) -> None:
    """A process's arguments can be read by everyone on the machine."""
    assert lgx("run", *ENDS, "--quiet", "--source-api-key", CANARY) == (0, "", WARNING)
    assert lgx("run", *ENDS, "--quiet", f"--source-api-key={CANARY}") == (0, "", WARNING)


def test_the_mere_address_of_a_server_is_no_secret(lgx: Lgx) -> None:
    """Where an option may hold a password and does not; messages have to name it."""
    address = "redis://localhost:6379/0"
    flags = ("--source-api-key", address)

    assert lgx("run", *ENDS, "--quiet", *flags) == (0, "", "")
    shown = lgx("doctor", "--source", "redis-saver", "--source-url", "redis://127.0.0.1:1/0")
    assert "redis://127.0.0.1:1/0" in shown.out
    assert shown.err == ""


def test_a_literal_among_headers_draws_a_warning(lgx: Lgx) -> None:
    """Values of pairs may be secrets as well; a reference is resolved, a literal warned of."""
    literal = ("--source-headers", f"authorization=Bearer {CANARY}")
    reference = ("--source-headers", "authorization=env:PATH")

    assert lgx("run", *ENDS, "--quiet", *literal) == (
        0,
        "",
        WARNING.replace("api-key", "headers"),
    )
    assert lgx("run", *ENDS, "--quiet", *reference) == (0, "", "")


def test_a_literal_of_a_transform_draws_a_warning(lgx: Lgx) -> None:
    """Options within `--transform` are arguments of the process as well."""
    outcome = lgx("run", *ENDS, "--quiet", "--transform", f"tiny:key={CANARY}")

    assert outcome == (
        0,
        "",
        (
            "lgx: warning: --transform tiny: key holds the secret itself, which others may read; "
            "write env:NAME or file:PATH\n"
        ),
    )
    assert lgx("run", *ENDS, "--quiet", "--transform", "tiny:key=env:PATH").err == ""


def test_a_literal_in_the_file_draws_a_warning(lgx: Lgx, tmp_path: Path) -> None:
    """lgx.toml is a file that people share."""
    (tmp_path / "lgx.toml").write_text(
        f'[pipelines.a]\nsource = "tiny"\nsource-place = "here"\nsource-api-key = "{CANARY}"\n'
        'sink = "tiny"\nsink-path = "out.txt"\nquiet = true\n'
    )

    assert lgx("run", "a") == (
        0,
        "",
        (
            "lgx: warning: lgx.toml: source-api-key holds the secret itself; write env:NAME or "
            "file:PATH\n"
        ),
    )


@pytest.mark.parametrize("how", ["env", "file", "variable", "declared", "dotenv"])
def test_references_draw_none(
    lgx: Lgx, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """A variable, a file of one's own and a .env file are where secrets belong."""
    flags: tuple[str, ...] = ()
    if how == "env":
        monkeypatch.setenv("MINE", CANARY)
        flags = ("--source-api-key", "env:MINE")
    elif how == "file":
        (tmp_path / "key").write_text(CANARY)
        (tmp_path / "key").chmod(0o600)
        flags = ("--source-api-key", "file:key")
    elif how == "variable":
        monkeypatch.setenv("LGX_SOURCE_API_KEY", CANARY)
    elif how == "declared":
        monkeypatch.setenv("TINY_API_KEY", CANARY)
    else:
        (tmp_path / ".env").write_text(f"TINY_API_KEY={CANARY}\n")
        (tmp_path / ".env").chmod(0o600)
        flags = ("--env-file", ".env")

    code, out, err = lgx("doctor", *ENDS, *flags)

    assert (code, err) == (0, "")
    assert "key    key *** accepted" in out
    assert CANARY not in out


def test_a_traceback_hides_secrets(lgx: Lgx) -> None:
    """A bug shows its traceback, without locals and with secrets replaced."""
    code, out, err = lgx("run", *ENDS, "--source-trouble", "bug", "--source-api-key", CANARY)

    assert (code, out) == (1, "")
    assert "RuntimeError: a bug with *** in its message" in err
    assert "Traceback (most recent call last)" in err
    assert err.endswith(
        "lgx: this is a bug in lgx or in one of its plugins; please report the above\n"
    )
    assert CANARY not in err


@pytest.mark.parametrize(
    "flags",
    [
        ("--source-threads", "many"),
        ("--sink-pth", "x"),
        ("--source-trouble", "losses", "--json"),
        ("--source-trouble", "fatal", "--report", "r.json"),
        (
            "--source-place",
            f"https://me:{CANARY}@host/?token={CANARY}",
            "--source-trouble",
            "fatal",
        ),
        ("--help",),
        ("--dry-run",),
        ("--transform", f"tiny:words=x,{CANARY}"),
        ("--validator", f"tiny:key={CANARY},word"),
    ],
)
def test_no_output_holds_a_secret(lgx: Lgx, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Errors, reports, help and lists: the planted value is in none of them."""
    args = [CANARY if arg == "here" else arg for arg in ENDS]

    _, out, err = lgx("run", *args, "--source-api-key", CANARY, *flags)

    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "out.txt")
    assert CANARY not in out + err + files.decode()


def test_logs_and_threads_hide_secrets(lgx: Lgx, capsys: pytest.CaptureFixture[str]) -> None:
    """What libraries log, and what a thread raises, goes through the same redaction."""
    lgx("run", *ENDS, "--quiet", "--source-api-key", CANARY)

    def fail() -> None:
        raise ValueError(CANARY)

    logging.getLogger("a.driver").warning("sent %s", CANARY)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    err = capsys.readouterr().err
    assert "lgx: a.driver: sent ***\n" in err
    assert err.count("ValueError: ***\n") == 2
    assert CANARY not in err


def test_colours_are_for_terminals_that_want_them(
    lgx: Lgx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR is obeyed, and a pipe gets none in any case."""
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b" not in lgx("doctor", *ENDS).out


@pytest.mark.parametrize(
    ("mode", "text", "warned"),
    [
        (0o644, "A_KEY=abc\n", True),
        (0o640, "A_KEY=abc\n", True),
        (0o600, "A_KEY=abc\n", False),
        (0o644, "# nothing\nA_KEY=\nB_KEY\n", False),
    ],
)
def test_a_dotenv_file_is_its_owner_s(
    lgx: Lgx, tmp_path: Path, mode: int, text: str, warned: bool
) -> None:
    """Where others can read it and it holds anything, that is told once, with the remedy."""
    file = tmp_path / "my keys.env"
    file.write_text(text)
    file.chmod(mode)
    code, _, err = lgx("run", *ENDS, "--dry-run", "--quiet", "--env-file", file.name)
    warning = (
        "lgx: warning: --env-file my keys.env can be read by others; run: chmod 600 'my keys.env'\n"
    )
    assert (code, err) == (0, warning if warned else "")
