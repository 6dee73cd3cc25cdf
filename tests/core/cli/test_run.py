"""`lgx run`: options from four places, what it prints where, reports and exit codes."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgx import Failure, Report

Lgx = Callable[..., Any]
ENDS = ("--source", "tiny", "--source-place", "here", "--sink", "tiny", "--sink-path", "out.txt")


def test_moves_threads_and_sums_up(lgx: Lgx, tmp_path: Path) -> None:
    """All arrived: exit code 0, the summary on stderr, nothing on stdout."""
    code, out, err = lgx("run", *ENDS)

    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "tiny → tiny (in 0.0 s)",
        "  threads      3 written (of 3)",
        "  checkpoints  3 written (of 3)",
        "  traffic      698 B of records",
    ]
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 6


def test_lists_what_is_missing(lgx: Lgx) -> None:
    """Exit code 3; what many threads lack is said once; 80 columns at most."""
    code, out, err = lgx(
        "run", *ENDS, "--source-trouble", "losses", "--source-threads", "12", "--report", "r.json"
    )

    assert (code, out) == (3, "")
    assert err.splitlines() == [
        "tiny → tiny (in 0.0 s)",
        "  threads      0 written, 12 in part (of 12)",
        "  checkpoints  0 written, 12 in part, 12 failed (of 24)",
        "  traffic      2.7 kB of records",
        "missing (1):",
        "  - each of 12 threads: checkpoint c9: the server answered 500 (thread-000,",
        "    thread-001, thread-002\\x1b[31m and 9 more)",
        "  try these threads again with --retry r.json",
    ]


def test_a_dry_run_lists_the_threads_on_stdout(lgx: Lgx, tmp_path: Path) -> None:
    """Id, version and size, one thread a line; what could steer a terminal is escaped."""
    code, out, err = lgx("run", *ENDS, "--dry-run")

    assert code == 0
    assert out == "thread-000\tv0\t100\nthread-001\tv1\t101\nthread-002\\x1b[31m\tv2\t102\n"
    assert err.splitlines() == [
        "tiny → tiny (dry run: nothing was written)",
        "  threads      3 would move (of 3)",
    ]
    assert list(tmp_path.iterdir()) == []


def test_json_prints_the_report_alone(lgx: Lgx) -> None:
    """`--json`: one document on stdout, no summary."""
    code, out, err = lgx("run", *ENDS, "--json")

    report = json.loads(out)
    assert (code, err) == (0, "")
    assert report["format"] == "lgx-report/1"
    assert report["threads"] == {
        "listed": 3,
        "unchanged": 0,
        "written": 3,
        "partial": 0,
        "failed": 0,
        "gone": 0,
    }


def test_quiet_prints_nothing_but_what_is_missing(lgx: Lgx) -> None:
    """One line, where cron mails whatever it gets; nothing where all has arrived."""
    losing = ("--source-trouble", "losses", "--quiet")

    assert lgx("run", *ENDS, "--quiet") == (0, "", "")
    assert lgx("run", *ENDS, *losing) == (
        3,
        "",
        "lgx: 3 threads arrived in part; use --report FILE to see all\n",
    )
    assert lgx("run", *ENDS, *losing, "--source-threads", "1", "--report", "r.json").err == (
        "lgx: 1 thread arrived in part; see r.json\n"
    )


def test_the_report_is_for_its_owner_alone(lgx: Lgx, tmp_path: Path) -> None:
    """`--report`: a file of mode 0600, in place of what stood there, nothing left beside it."""
    (tmp_path / "r.json").write_bytes(Report(sink="old").to_json())

    lgx("run", *ENDS, "--quiet", "--report", "r.json")

    path = tmp_path / "r.json"
    assert json.loads(path.read_bytes())["sink"] == "tiny"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.txt", "r.json"]


class TestRetry:
    def test_reads_what_failed_again(self, lgx: Lgx) -> None:
        """`--retry REPORT` asks for the threads of its failures, whatever their names."""
        lgx("run", *ENDS, "--quiet", "--source-trouble", "losses", "--report", "r.json")

        code, out, _ = lgx("run", *ENDS, "--retry", "r.json", "--dry-run")
        assert (code, len(out.splitlines())) == (0, 3)

        quarantining = ("--validator", "tiny:word=thread-001", "--on-violation", "quarantine")
        assert lgx("run", *ENDS, "--quiet", *quarantining, "--report", "q.json").code == 3
        assert lgx("run", *ENDS, "--retry", "q.json", "--dry-run").out == "thread-001\tv1\t101\n"

    def test_nothing_failed_means_nothing_to_do(self, lgx: Lgx, tmp_path: Path) -> None:
        """A report without failures must not be taken for 'all threads'."""
        lgx("run", *ENDS, "--quiet", "--report", "r.json")
        (tmp_path / "out.txt").unlink()

        assert lgx("run", *ENDS, "--retry", "r.json") == (
            0,
            "",
            "lgx: nothing to try again: r.json lists no failed thread\n",
        )
        assert not (tmp_path / "out.txt").exists()

    def test_what_an_interrupted_run_did_not_reach_is_told(self, lgx: Lgx, tmp_path: Path) -> None:
        """Its report lists what failed until then: that is tried again, and no more promised."""
        failed = [Failure(thread_id="thread-001", what="thread", why="gone wrong")]
        report = Report(signal=2, not_reached=28, failures=failed)
        (tmp_path / "r.json").write_bytes(report.to_json())

        code, out, err = lgx("run", *ENDS, "--quiet", "--retry", "r.json")

        assert (code, out) == (0, "")
        assert err == (
            "lgx: warning: the run of r.json was interrupted before 28 threads were reached; what "
            "it has not reached is moved by a run without --retry\n"
        )
        assert len((tmp_path / "out.txt").read_text().splitlines()) == 2

    @pytest.mark.parametrize(
        ("report", "why"),
        [
            (Report(signal=2, not_reached=28), "was interrupted before 28 threads were reached"),
            (Report(signal=15, not_reached=1), "was interrupted before 1 thread was reached"),
            (Report(aborted="no space is left"), "ended early"),
        ],
    )
    def test_a_run_that_ended_early_without_a_failure_is_not_done(
        self, lgx: Lgx, tmp_path: Path, report: Report, why: str
    ) -> None:
        """Nothing of it can be tried again thread by thread, so that this is a mistake."""
        (tmp_path / "r.json").write_bytes(report.to_json())

        code, out, err = lgx("run", *ENDS, "--retry", "r.json")

        assert (code, out) == (2, "")
        assert err == (
            f"lgx: error: --retry r.json lists no failed thread, but its run {why}; run again "
            "without --retry\n"
        )

    def test_a_failure_of_no_thread_is_told(self, lgx: Lgx, tmp_path: Path) -> None:
        failed = Failure(thread_id=None, what="store items", why="the server answered 403")
        (tmp_path / "r.json").write_bytes(Report(failures=[failed]).to_json())

        assert lgx("run", *ENDS, "--retry", "r.json").err.splitlines()[0] == (
            "lgx: warning: r.json also lists 1 failure of what belongs to no thread; a run "
            "without --retry tries it again"
        )

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            ("{", "Input data was truncated"),
            ("[]", "Expected `object`, got `array`"),
            ('{"format": "other/1"}', "its format is 'other/1'"),
        ],
    )
    def test_refuses_what_is_no_report(
        self, lgx: Lgx, tmp_path: Path, content: str, why: str
    ) -> None:
        """Any other file is a usage error."""
        (tmp_path / "r.json").write_text(content)

        assert lgx("run", *ENDS, "--retry", "r.json") == (
            2,
            "",
            f"lgx: error: --retry r.json is no report of lgx: {why}\n",
        )


class TestPrecedence:
    """Flag before variable before lgx.toml before default."""

    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Path:
        path = tmp_path / "lgx.toml"
        path.write_text(
            """
            [pipelines.nightly]
            source = "tiny"
            source-place = "from the file"
            source_threads = 5
            sink = "tiny"
            sink-path = "out.txt"
            dry-run = true
            quiet = true
            """
        )
        return path

    def count(self, outcome: Any) -> int:
        assert outcome.code == 0, outcome.err
        return len(outcome.out.splitlines())

    def test_the_default_is_the_declaration_s(self, lgx: Lgx) -> None:
        assert self.count(lgx("run", *ENDS, "--dry-run")) == 3

    def test_the_file_goes_before_the_default(self, lgx: Lgx, pipeline: Path) -> None:
        assert self.count(lgx("run", "nightly")) == 5

    def test_a_variable_goes_before_the_file(
        self, lgx: Lgx, pipeline: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LGX_SOURCE_THREADS", "7")
        assert self.count(lgx("run", "nightly")) == 7

    def test_a_flag_goes_before_the_variable(
        self, lgx: Lgx, pipeline: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LGX_SOURCE_THREADS", "7")
        assert self.count(lgx("run", "nightly", "--source-threads", "9")) == 9

    def test_all_can_come_from_variables(self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch) -> None:
        """The plugins' names, their options and those of the command."""
        for name, value in {
            "SOURCE": "tiny",
            "SOURCE_PLACE": "here",
            "SINK": "tiny",
            "SINK_PATH": "out.txt",
            "DRY_RUN": "1",
            "THREAD_ID": "thread-000\nthread-001",
        }.items():
            monkeypatch.setenv(f"LGX_{name}", value)

        assert lgx("run").out == "thread-000\tv0\t100\nthread-001\tv1\t101\n"

    def test_a_dotenv_file_sets_what_is_not_set(
        self, lgx: Lgx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is read when asked for, and never replaces a variable."""
        (tmp_path / ".env").write_text("LGX_SOURCE_THREADS=4\nLGX_SOURCE_PLACE=there\n")
        args = ("--source", "tiny", "--sink", "tiny", "--sink-path", "out.txt", "--dry-run")

        assert lgx("run", *args).code == 2
        assert self.count(lgx("run", *args, "--env-file", ".env")) == 4

    def test_a_variable_beats_the_dotenv_file(
        self, lgx: Lgx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".env").write_text("LGX_SOURCE_THREADS=4\n")
        monkeypatch.setenv("LGX_SOURCE_THREADS", "6")

        assert self.count(lgx("run", *ENDS, "--dry-run", "--env-file", ".env")) == 6

    def test_another_source_takes_none_of_the_file_s_options(
        self, lgx: Lgx, pipeline: Path
    ) -> None:
        """Options of the pipeline's source mean nothing to the one that a flag names."""
        code, _, err = lgx("run", "nightly", "--source", "json")

        assert code == 2
        assert "place" not in err


class TestPipelines:
    def write(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "lgx.toml").write_text(text)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                '[pipelines.nightli]\nsource = "tiny"',
                (
                    "lgx.toml has no pipeline 'nightly' (did you mean 'nightli'?); its pipelines: "
                    "nightli"
                ),
            ),
            (
                "[pipelines",
                (
                    "lgx.toml is not valid TOML: Expected ']' at the end of a table declaration "
                    "(at end of document)"
                ),
            ),
            (
                '[pipeline.nightly]\nsource = "tiny"',
                "lgx.toml: unknown 'pipeline'; all options stand in [pipelines.NAME]",
            ),
            (
                'pipelines = "nightly"',
                "lgx.toml: pipelines must be tables: [pipelines.NAME]",
            ),
            (
                "[pipelines]\nnightly = 1",
                "lgx.toml: pipelines.nightly must be a table: [pipelines.nightly]",
            ),
            (
                "[pipelines.nightly]\nsource-url = 1\nsource_url = 2",
                "lgx.toml: pipelines.nightly gives source_url twice",
            ),
            (
                "[pipelines.nightly]\nlimmit = 3",
                (
                    "lgx.toml: pipeline 'nightly' has an unknown option 'limmit' (did you mean "
                    "'limit'?); options are named like flags"
                ),
            ),
            (
                "[pipelines.nightly]\nsource = 3",
                "lgx.toml: source must be a plugin's name, not 3",
            ),
            (
                (
                    '[pipelines.nightly]\nsource = "tiny"\nsource-place = "x"\n'
                    'source-plce = "red"\nsink = "tiny"\nsink-path = "x"'
                ),
                (
                    "lgx.toml: pipeline 'nightly' has an unknown option 'source-plce' (did you "
                    "mean 'source-place'?); options are named like flags"
                ),
            ),
            (
                (
                    '[pipelines.nightly]\nsource = "tiny"\nsource-place = "x"\n'
                    'source-threads = "many"\nsink = "tiny"\nsink-path = "x"'
                ),
                (
                    "--source tiny: --source-threads cannot be 'many': expected int, got str; "
                    "its type is number"
                ),
            ),
        ],
    )
    def test_mistakes_are_told(self, lgx: Lgx, tmp_path: Path, text: str, message: str) -> None:
        """Whatever is wrong with the file is one line with the file and the place."""
        self.write(tmp_path, text)

        assert lgx("run", "nightly") == (2, "", f"lgx: error: {message}\n")

    def test_values_have_the_types_of_toml(self, lgx: Lgx, tmp_path: Path) -> None:
        """Lists, tables, times, numbers and truth values arrive as such."""
        self.write(
            tmp_path,
            """
            [pipelines.all]
            source = "tiny"
            source-place = "here"
            source-runs = true
            source-headers = { X-Tenant = "env:PATH" }
            source-labels = { team = "a=b" }
            source-tags = ["a", "b"]
            sink = "tiny"
            sink-path = "out.txt"
            thread-id = "thread-001"
            metadata = { owner = "jane", level = 3 }
            since = 2026-01-01T00:00:00Z
            transform = ["tiny:word=a"]
            memory = 1000000
            dry-run = true
            extras = false
            """,
        )

        code, out, err = lgx("run", "all", "--quiet")

        assert (code, out, err) == (0, "thread-001\tv1\t101\n", "")

    def test_flags_may_stand_before_the_name(self, lgx: Lgx, tmp_path: Path) -> None:
        """Also a plugin's yes/no flag, of which it is not known yet that it takes no value."""
        self.write(
            tmp_path,
            '[pipelines.p]\nsource = "tiny"\nsource-place = "x"\nsink = "tiny"\n'
            'sink-path = "x"\ndry-run = true\n',
        )

        assert lgx("run", "--quiet", "p").code == 0
        assert lgx("run", "--source-threads", "2", "p").out.count("\n") == 2
        assert lgx("run", "--source-runs", "p").code == 0

    def test_a_pipeline_is_offered_where_none_is_named(self, lgx: Lgx, tmp_path: Path) -> None:
        self.write(tmp_path, '[pipelines.p]\nsource = "tiny"\n[pipelines.q]\nsource = "tiny"\n')

        assert lgx("run").err == (
            "lgx: error: lgx run needs --source NAME and --sink NAME, or a pipeline of lgx.toml: "
            "p, q\n"
        )

    def test_its_env_file_is_read(self, lgx: Lgx, tmp_path: Path) -> None:
        """`env_file` in the table is asking for it."""
        (tmp_path / "my.env").write_text("LGX_SOURCE_PLACE=there\n")
        self.write(
            tmp_path,
            '[pipelines.p]\nsource = "tiny"\nsink = "tiny"\nsink-path = "x"\n'
            'env_file = "my.env"\ndry-run = true\n',
        )

        assert lgx("run", "p").code == 0


class TestVariables:
    def test_one_that_is_no_option_is_named_with_the_nearest(
        self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A misspelt variable would be without effect and without a word."""
        for name in ("LGX_SINK_PTH", "LGX_CONCURENCY", "LGX_HOME"):
            monkeypatch.setenv(name, "4")

        assert lgx("run", *ENDS, "--quiet") == (
            0,
            "",
            (
                "lgx: warning: LGX_CONCURENCY is no option of lgx and was not used; did you mean "
                "LGX_CONCURRENCY?\n"
                "lgx: warning: LGX_HOME is no option of lgx and was not used\n"
                "lgx: warning: LGX_SINK_PTH is no option of sink tiny and was not used; did you "
                "mean LGX_SINK_PATH?\n"
            ),
        )

    def test_those_of_other_plugins_and_of_tests_are_left_alone(
        self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A shell may hold the address for another source all day."""
        for name in ("LGX_SOURCE_URL", "LGX_TEST_DSN"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("LGX_PLUGINS", "tiny")

        assert lgx("run", *ENDS, "--quiet") == (0, "", "")
