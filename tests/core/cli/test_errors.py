"""Bad input: one line that says what is wrong and what to do, and the right exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lgx = Callable[..., Any]
ENDS = ("--source", "tiny", "--source-place", "here", "--sink", "tiny", "--sink-path", "out.txt")
KNOWN = "installed: archive, cloud, json, ndjson, sqlite, tiny"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(
            ("rn",),
            "no command is named 'rn' (did you mean 'run'?); commands: run, plugins, doctor, "
            "demo, hello, init",
            id="unknown command",
        ),
        pytest.param(
            ("run",),
            "lgx run needs --source NAME and --sink NAME; see lgx plugins",
            id="nothing named",
        ),
        pytest.param(
            ("run", "--source", "tiny", "--source-place", "here"),
            "lgx run needs --sink NAME; see lgx plugins",
            id="no sink",
        ),
        pytest.param(
            ("run", "--source", "tinyy", "--sink", "tiny"),
            f"no plugin is named 'tinyy' (did you mean 'tiny'?); {KNOWN}",
            id="unknown source",
        ),
        pytest.param(
            ("run", "--source", "tiny", "--sink", "\x1b[2J"),
            f"no plugin is named '\\x1b[2J'; {KNOWN}",
            id="a name that would clear the screen",
        ),
        pytest.param(
            ("run", *ENDS, "--transform", "nope"),
            f"no plugin is named 'nope'; {KNOWN}",
            id="unknown transform",
        ),
        pytest.param(
            ("run", "--sorce", "tiny"),
            "no such option '--sorce' (did you mean '--source'?); see lgx run --help",
            id="unknown flag",
        ),
        pytest.param(
            ("run", *ENDS, "--source-plac", "x"),
            "no such option '--source-plac' (did you mean '--source-place'?); see lgx run --help",
            id="unknown option of a plugin",
        ),
        pytest.param(
            ("run", "--source", "tiny", "--sink", "tiny", "--sink-path", "out.txt"),
            "--source tiny needs place; see its --help",
            id="missing option",
        ),
        pytest.param(
            ("run", *ENDS, "--source-threads", "many"),
            "--source tiny: option threads cannot be 'many': expected int, got str; its type is "
            "number",
            id="ill-typed option",
        ),
        pytest.param(
            ("run", *ENDS, "--source-threads", "-1"),
            "--source tiny: option threads cannot be '-1': expected int >= 0; its type is number",
            id="option out of range",
        ),
        pytest.param(
            ("run", *ENDS, "--source-labels", "no-equals-sign"),
            "--source-labels: 'no-equals-sign' is not KEY=VALUE",
            id="no pair",
        ),
        pytest.param(
            ("run", *ENDS, "--source-api-key", "env:NOT_THERE"),
            "environment variable NOT_THERE is not set; set it, or name another",
            id="missing key",
        ),
        pytest.param(
            ("run", *ENDS, "--limit", "0"),
            "invalid value for '--limit': '0' is no whole number of at least 1; see lgx run --help",
            id="limit",
        ),
        pytest.param(
            ("run", *ENDS, "--memory", "much"),
            "invalid value for '--memory': 'much' is no size; write it as 64M or 1G; "
            "see lgx run --help",
            id="memory",
        ),
        pytest.param(
            ("run", *ENDS, "--since", "yesterday"),
            "invalid value for '--since': 'yesterday' is not a time; write it as 2026-11-20 or "
            "2026-11-20T08:00:00+00:00; see lgx run --help",
            id="time",
        ),
        pytest.param(
            ("run", *ENDS, "--since", "2026-02-01", "--until", "2026-01-01"),
            "since 2026-02-01T00:00:00+00:00 is not before until 2026-01-01T00:00:00+00:00: "
            "no thread passes",
            id="empty window",
        ),
        pytest.param(
            ("run", *ENDS, "--status", "sleeping"),
            "invalid value for '--status': 'sleeping' is not one of 'idle', 'busy', "
            "'interrupted', 'error'; see lgx run --help",
            id="status",
        ),
        pytest.param(
            ("run", *ENDS, "--metadata", "graph"),
            "--metadata: 'graph' is not KEY=VALUE",
            id="metadata",
        ),
        pytest.param(
            ("run", *ENDS, "--transform", "tiny:word"),
            "--transform tiny: option 1 is not key=value; write a comma in a value as \\,",
            id="option of a transform",
        ),
        pytest.param(
            ("run", *ENDS, "--validator", "tiny:wrd=x"),
            "--validator tiny has no option 'wrd'; its options: key, word, words",
            id="unknown option of a validator",
        ),
        pytest.param(
            ("run", *ENDS, "--report", "missing/r.json"),
            "--report missing/r.json: its directory does not exist; create it first",
            id="report without directory",
        ),
        pytest.param(
            ("run", *ENDS, "--report", "."),
            "--report . is a directory; name a file in it",
            id="report is a directory",
        ),
        pytest.param(
            ("run", *ENDS, "--retry", "r.json"),
            "--retry r.json cannot be read: No such file or directory",
            id="retry without report",
        ),
        pytest.param(
            ("run", *ENDS[:-1], "-", "--json"),
            "--json and a sink that writes to - both want stdout; use --report FILE",
            id="two for stdout",
        ),
        pytest.param(
            ("run", "nightly"),
            "lgx.toml does not exist; write one with `lgx init`, or name a --source and a --sink",
            id="pipeline without file",
        ),
        pytest.param(
            ("run", *ENDS, "--env-file", "none.env"),
            "--env-file none.env cannot be read: [Errno 2] No such file or directory: 'none.env'",
            id="env file",
        ),
        pytest.param(
            ("run", *ENDS, "--config", "other.toml"),
            "--config other.toml needs a PIPELINE of that file; it has: none",
            id="config without pipeline",
        ),
        pytest.param(
            ("doctor",),
            "lgx doctor needs --source NAME, --sink NAME or both; see lgx plugins",
            id="doctor without patient",
        ),
        pytest.param(
            ("plugins", "show", "tinny"),
            f"no plugin is named 'tinny' (did you mean 'tiny'?); {KNOWN}",
            id="show an unknown plugin",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line(
    lgx: Lgx, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, nothing on stdout, nothing written."""
    assert lgx(*args) == (2, "", f"lgx: error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_plugin_that_cannot_be_imported_is_told_when_named(
    lgx: Lgx, install: Callable[..., Any]
) -> None:
    """A broken plugin costs one line, and only who names it."""
    install("import_error")

    assert lgx("run", "--source", "broken", "--sink", "tiny") == (
        2,
        "",
        (
            "lgx: error: plugin 'broken' of lgx-broken 2.1 cannot be imported: "
            "ModuleNotFoundError: No module named 'a_driver_that_is_not_installed'\n"
        ),
    )
    assert lgx("run", *ENDS, "--quiet") == (0, "", "")


def test_what_cannot_be_opened_ends_with_one(lgx: Lgx, tmp_path: Path) -> None:
    """A fatal error is one line, exit code 1, and a report where one is wanted."""
    outcome = lgx("run", *ENDS, "--source-trouble", "fatal", "--report", "r.json")

    assert outcome == (1, "", "lgx: error: here is closed; open it\n")
    assert '"aborted": "here is closed; open it"' in (tmp_path / "r.json").read_text()


def test_no_arguments_show_the_help(lgx: Lgx) -> None:
    """`lgx` alone is a usage error that shows what there is."""
    code, out, err = lgx()

    assert (code, out) == (2, "")
    assert "Moves LangGraph threads" in err
