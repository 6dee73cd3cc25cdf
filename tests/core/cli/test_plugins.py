"""`lgx plugins`, `lgx doctor` and the commands of plugins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgx import Fact
from lgx.cli.doctor import show
from lgx.cli.session import Session

Lgx = Callable[..., Any]
Install = Callable[..., list[Path]]

BUILT_IN = (
    *("archive", "cloud", "json", "ndjson", "postgres", "postgres-saver", "redis-saver", "s3"),
    *("saver", "sqlite", "sqlite-saver"),
)


class TestList:
    def test_shows_what_each_is_and_whose(self, lgx: Lgx) -> None:
        """Everything that is installed, with its distribution and what it says of itself;
        components, then commands."""
        code, out, err = lgx("plugins")

        assert (code, err) == (0, "")
        assert [line[:66].split() for line in out.splitlines()] == [
            *([n, "source,", "sink", "lgx", "0.1.0"] for n in BUILT_IN),
            ["tiny", "source,", "sink,", "transform,", "validator", "lgx-tiny", "1.0"],
            ["demo", "command", "lgx", "0.1.0"],
            ["hello", "command", "lgx-tiny", "1.0"],
            ["init", "command", "lgx", "0.1.0"],
        ]
        summaries = {line.split()[0]: line[66:] for line in out.splitlines()}
        assert all(summaries.values())
        assert summaries["cloud"] == "threads of a LangGraph server, hosted or your own"
        assert summaries["tiny"] == "Threads out of thin air."
        assert summaries["hello"] == "Greets NAME."

    def test_what_is_told_without_importing_is_what_they_say(self, lgx: Lgx) -> None:
        """With --check they are asked themselves."""
        seen, asked = (
            [(row["name"], row["roles"], row["summary"]) for row in json.loads(out)]
            for out in (
                lgx("--no-plugins", "plugins", "--json").out,
                lgx("--no-plugins", "plugins", "--json", "--check").out,
            )
        )

        assert seen == asked
        assert all(summary for _, _, summary in seen)

    @pytest.mark.parametrize("columns", [60, 80, 100])
    def test_a_terminal_is_not_overrun(
        self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch, columns: int
    ) -> None:
        """What a plugin says of itself then takes several lines, within its column."""
        monkeypatch.setattr("lgx.cli.plugins.columns_of", lambda _: columns)
        monkeypatch.setenv("LGX_PLUGINS", "archive,postgres-saver")

        lines = lgx("plugins").out.splitlines()

        assert max(map(len, lines)) <= max(columns, 41 + 20)
        assert " ".join(line[41:] for line in lines) == (
            "directory of compressed, checksummed parts LangGraph's own checkpoints in PostgreSQL, "
            "as PostgresSaver keeps them"
        )

    def test_marks_conflicts_and_refused_commands(
        self, lgx: Lgx, install: Install, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two owners of one name, and a command that bears the name of one of lgx's own."""
        install("twin_a", "twin_b", "usurper")
        monkeypatch.setenv("LGX_PLUGINS", "twin,run")

        assert lgx("plugins") == (
            0,
            (
                "twin  ?        lgx-twin-a 1.0   cannot be used\n"
                "twin  ?        lgx-twin-b 2.5   cannot be used\n"
                "run   command  lgx-usurper 6.6  cannot be used\n"
            ),
            (
                "lgx: warning: plugin 'twin' is claimed by lgx-twin-a 1.0 (lgx_twin_a) and "
                "lgx-twin-b 2.5 (lgx_twin_b); uninstall one of them\n"
                "lgx: warning: command 'run' of lgx-usurper 6.6 is refused: lgx has one of that "
                "name\n"
            ),
        )

    def test_check_imports_each(
        self, lgx: Lgx, install: Install, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What cannot be used is told with the reason; the exit code is 1."""
        install("import_error", "breaches")
        monkeypatch.setenv("LGX_PLUGINS", "broken,typo,tiny,hello")

        code, out, err = lgx("plugins", "--check")

        assert code == 1
        assert out == (
            "broken  cannot be used                      lgx-broken 2.1\n"
            "tiny    source, sink, transform, validator  lgx-tiny 1.0      Threads out of thin "
            "air.\n"
            "typo    cannot be used                      lgx-breaches 0.3\n"
            "hello   command                             lgx-tiny 1.0      Greets NAME.\n"
        )
        assert err.splitlines() == [
            (
                "lgx: warning: plugin 'broken' of lgx-broken 2.1 cannot be imported: "
                "ModuleNotFoundError: No module named 'a_driver_that_is_not_installed'"
            ),
            (
                "lgx: warning: plugin 'typo' of lgx-breaches 0.3 implements a hook that does not "
                "exist: lgx_register_transform; hooks: lgx_register_sources, lgx_register_sinks, "
                "lgx_register_transforms, lgx_register_validators"
            ),
        ]

    def test_the_builtin_ones_can_be_used(self, lgx: Lgx) -> None:
        """`--no-plugins --check` finds nothing wrong with what lgx brings."""
        code, out, err = lgx("--no-plugins", "plugins", "--check")

        assert (code, err) == (0, "")
        assert "tiny" not in out

    def test_json_tells_the_same(self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LGX_PLUGINS", "tiny")

        code, out, _ = lgx("plugins", "--check", "--json")

        (row,) = json.loads(out)
        assert code == 0
        assert row.pop("location").endswith("/installed/tiny")
        assert row == {
            "name": "tiny",
            "kind": "plugin",
            "distribution": "lgx-tiny",
            "version": "1.0",
            "target": "lgx_tiny",
            "roles": ["source", "sink", "transform", "validator"],
            "summary": "Threads out of thin air.",
            "problem": None,
        }


class TestShow:
    def test_lists_the_options_of_each_role(self, lgx: Lgx) -> None:
        """Names, types, defaults and descriptions come from the declarations."""
        code, out, err = lgx("plugins", "show", "tiny")

        assert (code, err) == (0, "")
        assert out.startswith(
            "tiny  lgx-tiny 1.0  lgx_tiny\n"
            "\n"
            "source: Threads out of thin air.\n"
            "  --source-place <text>\n"
            "      Where the threads are. [required; such as here]\n"
            "  --source-threads <number>\n"
            "      How many there are. [default: 3]\n"
            "  --source-api-key <env:NAME or file:PATH>\n"
            "      The key to them. [or from TINY_API_KEY]\n"
            "  --source-runs / --no-source-runs\n"
            "      Their runs as well. [default: no]\n"
            "  --source-headers <KEY=VALUE>\n"
            "      Sent along. [may be given several times]\n"
        )
        assert "\nsink\n  --sink-path <path>\n      Where to write. [required; such as" in out
        assert "\ntransform\n  word <text>\n      A word. [default: x]\n" in out

    def test_a_command_is_shown_too(self, lgx: Lgx) -> None:
        """`lgx plugins` lists it, so it can be asked for: what it does, and where its options
        are."""
        summary = "Writes a commented lgx.toml and .env.example into this directory."
        assert lgx("plugins", "show", "init") == (
            0,
            (
                "init  lgx 0.1.0  lgx_plugins.init:init\n"
                "\n"
                f"command: {summary}\n"
                "  `lgx init --help` lists its options\n"
            ),
            "",
        )
        assert json.loads(lgx("plugins", "show", "init", "--json").out) == {
            "name": "init",
            "distribution": "lgx",
            "version": "0.1.0",
            "target": "lgx_plugins.init:init",
            "roles": {},
            "command": summary,
        }

    def test_json_tells_the_same(self, lgx: Lgx) -> None:
        document = json.loads(lgx("plugins", "show", "tiny", "--json").out)

        (path,) = document["roles"]["sink"]["options"]
        assert document["distribution"] == "lgx-tiny"
        assert (path["name"], path["type"], path["required"]) == ("path", "path", True)


class TestDoctor:
    def test_shows_what_it_found(self, lgx: Lgx) -> None:
        """Facts of the source, then of the sink; what asks for attention is marked."""
        assert lgx(
            "doctor", "--source", "tiny", "--source-place", "here", "--sink", "tiny",
            "--sink-path", "out.txt",
        ) == (
            0,
            ("source tiny  warn\n"
            "         place  here\n"
            "  warn   key    key none accepted\n"
            "sink tiny  ok\n"
            "         path  out.txt\n"),
            "",
        )  # fmt: skip

    def test_an_error_fact_makes_it_exit_with_one(self, lgx: Lgx) -> None:
        args = ("doctor", "--source", "tiny", "--source-place", "here", "--source-trouble")

        assert lgx(*args, "probe") == (1, "source tiny  error\n  error  server  gone\n", "")

    def test_an_error_is_a_finding(self, lgx: Lgx) -> None:
        """Where probing itself fails, the message is shown among the facts."""
        args = ("doctor", "--source", "tiny", "--source-place", "here", "--source-trouble")

        assert lgx(*args, "fatal") == (
            1,
            "source tiny  error\n  error  source  here is closed; open it\n",
            "",
        )

    def test_what_stands_in_the_way_is_a_finding_of_whatever_sort(
        self, lgx: Lgx, tmp_path: Path
    ) -> None:
        """A file that is not there or not what it should be, also one of two: what opening and
        looking finds is told in a table, with exit code 1, and the other one is looked at."""
        (tmp_path / "text.db").write_text("no database")
        where = tmp_path.resolve()
        code, out, err = lgx(
            "doctor", "--source", "sqlite", "--source-path", "none.db",
            "--sink", "sqlite", "--sink-path", "text.db",
        )  # fmt: skip
        assert (code, err) == (1, "")
        assert "".join(out.split()) == "".join(
            f"source sqlite error error source there is no database '{where}/none.db'; "
            "correct --source-path sink sqlite error error sink "
            f"'{where}/text.db' is not a SQLite database; name another file".split()
        )

    def test_options_that_are_wrong_are_no_finding(self, lgx: Lgx) -> None:
        """They are the command's: one line and exit code 2, and nothing is looked at; also
        where only the plugin itself can tell."""
        tiny = ("doctor", "--source", "tiny", "--source-place", "here")
        for given, message in (
            (
                ("--sink", "sqlite", "--sink-path", "a.db", "--sink-table-prefix", "sqlite_x"),
                "table-prefix 'sqlite_x' is reserved by SQLite; choose one without sqlite_",
            ),
            (
                ("--sink", "sqlite"),
                (
                    "--sink sqlite needs --sink-path (or the variable LGX_SINK_PATH); "
                    "`lgx run --sink sqlite --help` lists its options"
                ),
            ),
        ):
            assert lgx(*tiny, *given) == (2, "", f"lgx: error: {message}\n")

    def test_a_pair_that_does_not_fit_is_a_finding(
        self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each may be well by itself, and the sink take nothing of what the source has."""
        tiny = ("doctor", "--source", "tiny", "--source-place", "here", "--sink", "tiny")
        assert "→" not in lgx(*tiny, "--sink-path", "out.txt").out
        module = sys.modules["lgx_tiny"]
        monkeypatch.setattr(module.TinySource, "offers", frozenset({"raw_checkpoint"}))
        monkeypatch.setattr(module.TinySink, "accepts", frozenset({"thread", "checkpoint"}))

        code, out, err = lgx(*tiny, "--sink-path", "out.txt")

        assert (code, err) == (1, "")
        head, *lines = out.partition("tiny → tiny")[2].splitlines()
        assert head == "  error"
        assert " ".join(" ".join(lines).split()) == (
            "error fit no checkpoints can be moved from tiny to tiny: those of tiny are a "
            "checkpointer's own rows, which tiny does not take; what does is the sink of a "
            "checkpointer, or one that keeps every form, as files and tables of lgx's own do"
        )

    def test_reads_a_pipeline(self, lgx: Lgx, tmp_path: Path) -> None:
        """Options that only a run needs are no hindrance."""
        (tmp_path / "lgx.toml").write_text(
            '[pipelines.p]\nsource = "tiny"\nsource-place = "there"\nlimit = 3\n'
        )

        assert lgx("doctor", "p").out.startswith("source tiny  warn\n         place  there\n")


class TestFormats:
    @pytest.mark.parametrize(
        ("name", "value", "shown"),
        [
            ("threads", "1600", "1,600"),
            ("bytes", "28500000", "28.5 MB"),
            ("bytes of records", "999", "999 B"),
            ("last written", "2026-11-20T03:00:00.123456+00:00", "2026-11-20T03:00:00+00:00"),
            ("version", "1.2, 2000", "1.2, 2000"),
        ],
    )
    def test_numbers_are_those_of_a_run(
        self, capsys: pytest.CaptureFixture[str], name: str, value: str, shown: str
    ) -> None:
        """Sizes, counts and times look as in the summary of `lgx run`."""
        show(Fact(name=name, value=value), 0, Session())

        assert capsys.readouterr().out == f"         {name}  {shown}\n"

    def test_lines_are_as_wide_as_the_terminal(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """80 columns where it cannot be asked."""
        monkeypatch.delenv("COLUMNS", raising=False)
        show(Fact(name="words", value="word " * 40, level="warn"), 5, Session())
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines[0].startswith("  warn   words  word")

        monkeypatch.setenv("COLUMNS", "60")
        show(Fact(name="words", value="word " * 40), 5, Session())
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 60

        show(
            Fact(name="threads", value=f"archive:{'9' * 40}/http://127.0.0.1:2137, 3"), 7, Session()
        )
        assert capsys.readouterr().out.splitlines() == [
            f"         threads  archive:{'9' * 34}",
            "                  999999/http://127.0.0.1:2137, 3",
        ]


class TestCommands:
    def test_a_plugin_s_command_runs(self, lgx: Lgx) -> None:
        """It gets its arguments, and its return value is the exit code."""
        assert lgx("hello", "you") == (7, "hello you\n", "")

    def test_a_core_command_cannot_be_taken(self, lgx: Lgx, install: Install) -> None:
        """A plugin that calls its command `run` changes nothing, and is not imported."""
        install("usurper")

        assert lgx("run").code == 2
        assert "Moves threads from a source to a sink" in lgx("--help").out

    def test_a_claimed_command_is_refused(self, lgx: Lgx, install: Install) -> None:
        install("twin_a", "twin_b")

        assert "claimed by lgx-twin-a 1.0 and lgx-twin-b 2.5: uninstall one" in lgx("--help").out
        assert lgx("twin-command").code == 2

    def test_no_plugins_hides_them(self, lgx: Lgx) -> None:
        assert "hello" in lgx("--help").out
        assert "hello" not in lgx("--no-plugins", "--help").out
        assert lgx("--no-plugins", "hello", "you").code == 2
