"""Bad input: one line that says what is wrong and what to do, and the right exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lgx = Callable[..., Any]
ENDS = ("--source", "tiny", "--source-place", "here", "--sink", "tiny", "--sink-path", "out.txt")
STORES = "json, ndjson, postgres, postgres-saver, redis-saver, s3, saver, sqlite, sqlite-saver"
KNOWN = f"installed: archive, cloud, {STORES}, tiny"
ALL = "installed: archive, cloud, demo, hello, init, " + STORES + ", tiny"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(
            ("rn",),
            "no command is named 'rn' (did you mean 'run'?); commands: run, verify, plugins, "
            "doctor, demo, hello, init",
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
            f"no source is named 'tinyy' (did you mean 'tiny'?); {KNOWN}",
            id="unknown source",
        ),
        pytest.param(
            ("run", "--source", "tiny", "--sink", "\x1b[2J"),
            f"no sink is named '\\x1b[2J'; {KNOWN}",
            id="a name that would clear the screen",
        ),
        pytest.param(
            ("run", *ENDS, "--transform", "nope"),
            "no transform is named 'nope'; installed: tiny",
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
            "--source tiny needs --source-place (or the variable LGX_SOURCE_PLACE); "
            "`lgx run --source tiny --help` lists its options",
            id="missing option",
        ),
        pytest.param(
            ("run", *ENDS, "--source-threads", "many"),
            "--source tiny: --source-threads cannot be 'many': expected int, got str; its type is "
            "number",
            id="ill-typed option",
        ),
        pytest.param(
            ("run", *ENDS, "--source-threads", "-1"),
            "--source tiny: --source-threads cannot be '-1': expected int >= 0; its type is number",
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
            ("run", *ENDS, "--memory", "900k"),
            "invalid value for '--memory': '900k' is too little to work with; give at least 1M; "
            "see lgx run --help",
            id="too little memory",
        ),
        pytest.param(
            ("run", *ENDS, "--spool-dir", "missing"),
            "--spool-dir missing is no directory that exists; create it first",
            id="spool directory",
        ),
        pytest.param(
            ("run", *ENDS, "--since", "yesterday"),
            "invalid value for '--since': 'yesterday' is not a time; write it as 2026-11-20 or "
            "2026-11-20T08:00:00+00:00; see lgx run --help",
            id="time",
        ),
        pytest.param(
            ("run", *ENDS, "--since", "2026-02-01", "--until", "2026-01-01"),
            "--since 2026-02-01T00:00:00+00:00 is not before --until 2026-01-01T00:00:00+00:00: "
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
            ("run", *ENDS, "--metadata", 'user={"name": Zoe}'),
            "--metadata user: '{\"name\": Zoe}' begins like JSON and is none: JSON is malformed: "
            "invalid character (byte 9); correct it, or write text that begins so as a JSON string",
            id="metadata that is nearly JSON",
        ),
        pytest.param(
            ("run", *ENDS, "--transform", "tiny:word"),
            "--transform tiny: option 1 is not key=value; write a comma in a value as \\,",
            id="option of a transform",
        ),
        pytest.param(
            ("run", *ENDS, "--validator", "tiny:wrd=x"),
            "--validator tiny has no option 'wrd' (did you mean 'word'?); its options: key, word, "
            "words",
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
            ("run", *ENDS, "--report", "../../{here}/out.txt"),
            "--report ../../{here}/out.txt is --sink-path as well; name another file",
            id="report is the sink",
        ),
        pytest.param(
            ("run", *ENDS, "--env-file", "."),
            "--env-file . is a directory; name a file",
            id="env file is a directory",
        ),
        pytest.param(
            ("run", *ENDS, "--source-api-key", "file:none"),
            "secret file none does not exist; correct the path",
            id="secret file",
        ),
        pytest.param(
            ("run", "nightly", "--config", "."),
            ". is a directory; name a file",
            id="config is a directory",
        ),
        pytest.param(
            ("run", *ENDS, "--retry", "r.json"),
            "--retry r.json does not exist; correct the path",
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
            "--env-file none.env does not exist; correct the path",
            id="env file",
        ),
        pytest.param(
            ("run", *ENDS, "--config", "other.toml"),
            "--config other.toml does not exist; correct the path",
            id="config without pipeline",
        ),
        pytest.param(
            ("doctor",),
            "lgx doctor needs --source NAME, --sink NAME or both; see lgx plugins",
            id="doctor without patient",
        ),
        pytest.param(
            (
                "--no-plugins",
                "run",
                "--source",
                "sqlite",
                "--source-path",
                "a.db",
                "--sink",
                "sqlite",
                "--sink-path",
                "b.db",
                "--transform",
                "redact",
            ),
            "no transform is named 'redact'; none is installed",
            id="no transform at all",
        ),
        pytest.param(
            ("plugins", "show", "tinny"),
            f"no plugin is named 'tinny' (did you mean 'tiny'?); {ALL}",
            id="show an unknown plugin",
        ),
    ],
)
def test_wrong_input_is_told_in_one_line(
    lgx: Lgx, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, nothing on stdout, nothing written."""
    here = f"{tmp_path.parent.name}/{tmp_path.name}"
    args = tuple(arg.replace("{here}", here) for arg in args)
    message = message.replace("{here}", here)
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


def test_a_report_replaces_a_report_alone(lgx: Lgx, tmp_path: Path) -> None:
    """Any other file stays, and nothing is begun; an empty one is nobody's."""
    (tmp_path / "notes.json").write_text('{"format": "mine"}')
    assert lgx("run", *ENDS, "--report", "notes.json") == (
        2,
        "",
        (
            "lgx: error: --report notes.json exists and is no report of lgx; name another file, "
            "or remove it\n"
        ),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["notes.json"]
    (tmp_path / "empty.json").touch()
    for _ in range(2):
        assert lgx("run", *ENDS, "--quiet", "--report", "empty.json").code == 0


def test_a_broken_file_of_pipelines_costs_a_run_without_pipeline_a_warning(
    lgx: Lgx, tmp_path: Path
) -> None:
    """And nothing where no word could be a pipeline's name."""
    (tmp_path / "lgx.toml").write_text("[pipelines")
    code, _, err = lgx("run", *ENDS, "--quiet")
    assert code == 0
    assert err == (
        "lgx: warning: lgx.toml is not valid TOML: Expected ']' at the end of a table declaration "
        "(at end of document); it was not used\n"
    )
    flags = [f"{flag}={value}" for flag, value in zip(ENDS[::2], ENDS[1::2], strict=True)]
    assert lgx("run", *flags, "--quiet") == (0, "", "")
