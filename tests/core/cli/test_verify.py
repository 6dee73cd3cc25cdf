"""`lgx verify`: what it prints where, its options, and its exit codes."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lgx import Checkpoint, Record, Thread, Verification, encode_line, raw
from lgx.cli.verdict import verdict

Lgx = Callable[..., Any]


def records(thread_id: str, **values: object) -> list[Record]:
    states = {"n": 1, "messages": [], **values}
    return [
        Thread(thread_id=thread_id, status="idle", metadata=raw({"owner": "zoe"})),
        Checkpoint(thread_id=thread_id, checkpoint_ns="", checkpoint_id="c1", values=raw(states)),
    ]


def write(path: Path, *threads: list[Record]) -> None:
    lines = [encode_line(record) for thread in threads for record in thread]
    path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.fixture
def ends(tmp_path: Path) -> tuple[str, ...]:
    """Two files, of three threads each: one equal, one different, one of its own."""
    write(tmp_path / "a.ndjson", *(records(i) for i in ("equal", "other", "here\x1b[2J")))
    write(tmp_path / "b.ndjson", records("equal"), records("other", n=2, x=3), records("there"))
    return (
        *("--source", "ndjson", "--source-path", "a.ndjson"),
        *("--sink", "ndjson", "--sink-path", "b.ndjson"),
    )


def without_digests(out: str) -> list[str]:
    return [line for line in out.splitlines() if not line.startswith("  digest ")]


class TestOutput:
    def test_equal_places(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """Exit code 0: counts and digests on stdout, which are the same for both."""
        Path("copy.ndjson").write_bytes(Path("a.ndjson").read_bytes())
        code, out, err = lgx("verify", *ends[:4], "--sink", "ndjson", "--sink-path", "copy.ndjson")

        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0] == "ndjson = ndjson: equal (in 0.0 s)"
        assert lines[1] == "                 threads   checkpoints    others"
        assert [line[:48] for line in lines[2:5]] == [
            "  source               3             3         0",
            "  sink                 3             3         0",
            "  equal                3             3         0",
        ]
        digests = [line.split()[-1] for line in lines[5:]]
        assert (len(digests), len(set(digests)), len(digests[0])) == (2, 1, 64)

    def test_places_are_named_as_they_were_given(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """Not by the ids that they have of their own; those are in the report."""
        assert lgx("run", *ends[:4], "--sink", "archive", "--sink-path", "copy").code == 0

        there = ("verify", *ends[:4], "--sink", "archive", "--sink-path", "copy")
        rows = [line.split() for line in lgx(*there).out.splitlines()[2:4]]
        found = msgspec.json.decode(lgx(*there, "--json").out, type=Verification)

        assert [(row[0], row[-1]) for row in rows] == [("source", "a.ndjson"), ("sink", "copy")]
        assert found.sink is not None
        assert (found.sink.place, found.sink.identity[:8]) == ("copy", "archive:")

    def test_a_long_place_is_shortened_for_a_terminal_alone(
        self, lgx: Lgx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever reads it from a pipe gets all of it."""
        folder = tmp_path / ("deep" * 20)
        folder.mkdir()
        write(folder / "a.ndjson", records("t"))
        verify = ("verify", "--source", "ndjson", "--source-path", str(folder / "a.ndjson"))

        assert f"  {folder / 'a.ndjson'}\n" in lgx(*verify).out

        monkeypatch.setattr("lgx.cli.verdict.columns_of", lambda _: 90)
        (row,) = (line for line in lgx(*verify).out.splitlines() if "deepdeep" in line)
        assert row[50] == "…"
        assert (len(row), row[-26:]) == (90, "pdeepdeepdeepdeep/a.ndjson")

    def test_an_id_without_end_is_whole_in_documents_alone(self, lgx: Lgx, tmp_path: Path) -> None:
        own = "x" * 5000
        write(tmp_path / "a", records(own))
        write(tmp_path / "b", records("t"))
        ends = ("--source", "ndjson", "--source-path", "a", "--sink", "ndjson", "--sink-path", "b")

        shown = lgx("verify", *ends, "--report", "r.json").out
        document = lgx("verify", *ends, "--json").out

        assert "xxxxx (5,000 characters): is missing in the sink" in " ".join(shown.split())
        assert max(map(len, shown.splitlines())) <= 80
        for text in (document, (tmp_path / "r.json").read_text()):
            assert own in [d["thread_id"] for d in json.loads(text)["differences"]]

    def test_what_differs_is_listed_with_its_first_difference(
        self, lgx: Lgx, ends: tuple[str, ...]
    ) -> None:
        """Exit code 1: by thread, in 80 columns, without any value; ids cannot steer."""
        code, out, err = lgx("verify", *ends)

        assert (code, err) == (1, "")
        assert [line[:48].rstrip() for line in without_digests(out)[4:8]] == [
            "  equal                1             1         0",
            "  different            1             1         0",
            "  missing              1             1         0",
            "  additional           1             1         0",
        ]
        assert without_digests(out)[8:] == [
            "differences (3):",
            "  - thread here\\x1b[2J: is missing in the sink",
            "  - thread other: checkpoint 1 (c1) of namespace '': values.n, values.x differ",
            "  - thread there: is missing in the source",
        ]
        assert max(map(len, out.splitlines())) <= 80

    def test_json_is_the_result_alone(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """One document, which `lgx.Verification` reads."""
        code, out, err = lgx("verify", *ends, "--json")

        found = msgspec.json.decode(out, type=Verification)
        assert (code, err) == (1, "")
        assert json.loads(out)["format"] == "lgx-verification/1"
        assert [(d.thread_id, d.what, d.fields) for d in found.differences] == [
            ("here\x1b[2J", "missing", ()),
            ("other", "different", ("values.n", "values.x")),
            ("there", "additional", ()),
        ]

    def test_a_report_is_written_for_its_owner_alone(
        self, lgx: Lgx, ends: tuple[str, ...], tmp_path: Path
    ) -> None:
        """In place of an earlier one; nothing else is replaced."""
        for _ in range(2):
            assert lgx("verify", *ends, "--report", "v.json", "--quiet") == (
                1,
                "",
                "lgx: ndjson = ndjson: different; see v.json\n",
            )
        assert lgx("verify", *ends[:4], "--quiet") == (0, "", "")

        path = tmp_path / "v.json"
        assert msgspec.json.decode(path.read_bytes(), type=Verification).threads.different == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert lgx("verify", *ends, "--report", "a.ndjson").code == 2

    def test_many_differences_are_shown_in_part(self, lgx: Lgx, tmp_path: Path) -> None:
        """The report has all of them."""
        write(tmp_path / "a", *(records(f"t{n:03}", **{f"x{n}": 1}) for n in range(60)))
        write(tmp_path / "b", *(records(f"t{n:03}") for n in range(60)))
        ends = ("--source", "ndjson", "--source-path", "a", "--sink", "ndjson", "--sink-path", "b")

        out = lgx("verify", *ends, "--report", "v.json").out

        assert out.splitlines()[-1] == "  and 10 more; see v.json"
        found = msgspec.json.decode((tmp_path / "v.json").read_bytes(), type=Verification)
        assert len(found.differences) == 60

    def test_rebuilt_threads_are_counted_in_place_of_digests(
        self, lgx: Lgx, ends: tuple[str, ...], tmp_path: Path
    ) -> None:
        """Their ids are others, so that digests differ where nothing else does."""
        copy = records("equal")
        metadata = raw({"owner": "zoe", "lgx": {"source": "s", "fidelity": "replayed"}})
        copy[0] = msgspec.structs.replace(copy[0], metadata=metadata)
        copy[1] = msgspec.structs.replace(copy[1], checkpoint_id="d1")
        write(tmp_path / "a.ndjson", records("equal"))
        write(tmp_path / "b.ndjson", copy)

        code, out, _ = lgx("verify", *ends)

        assert code == 0
        assert "  rebuilt       1 replayed" in out.splitlines()
        assert without_digests(out) == out.splitlines()

    def test_one_side_alone(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """What was read, and its digest."""
        for flags in (ends[:4], ("--sink", "ndjson", "--sink-path", "a.ndjson")):
            code, out, err = lgx("verify", *flags)

            assert (code, err) == (0, "")
            assert out.splitlines()[0] == "ndjson: sound (in 0.0 s)"
            assert len(out.splitlines()) == 4

    def test_a_sample_says_how_to_choose_it_again(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """By a seed."""
        first = lgx("verify", *ends, "--sample", "1").out
        (line,) = [line for line in first.splitlines() if line.startswith("  sample ")]
        assert line.startswith("  sample        1 thread of the source; --seed ")
        seed = line.split("--seed ")[1].split()[0]

        again = lgx("verify", *ends, "--sample", "1", "--seed", seed).out

        assert again.splitlines()[1:] == first.splitlines()[1:]

    def test_a_sample_of_more_than_there_are_is_all_of_them(
        self, lgx: Lgx, ends: tuple[str, ...]
    ) -> None:
        out = lgx("verify", *ends, "--sample", "100").out

        (line,) = [line for line in out.splitlines() if line.startswith("  sample ")]
        assert line == "  sample        all 3 threads of the source: there are no 100"

    def test_what_was_left_out_is_told(self, lgx: Lgx, tmp_path: Path) -> None:
        """Why it is no difference as well."""
        write(tmp_path / "a", records("t"))
        older = {
            "threads": [
                {
                    "thread_id": "t",
                    "metadata": {"owner": "zoe"},
                    "history": [{"values": {"n": 1, "messages": []}, "checkpoint_id": "c1"}],
                }
            ]
        }
        (tmp_path / "b").write_text(json.dumps(older))
        ends = ("--source", "ndjson", "--source-path", "a", "--sink", "json", "--sink-path", "b")

        code, out, _ = lgx("verify", *ends)

        assert code == 0
        assert without_digests(out)[5:] == [
            "left out (1):",
            "  - status of thread records of the source, ndjson: the sink, json, has no place",
            "    for them",
        ]


class TestOptions:
    def test_a_place_is_not_compared_with_itself(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """That it is equal would be read as a proof of a copy."""
        code, out, err = lgx("verify", *ends[:4], "--sink", "ndjson", "--sink-path", "./a.ndjson")

        assert (code, out) == (2, "")
        assert err == (
            "lgx: error: source and sink are both a.ndjson, which says nothing of a copy; name "
            "another place with --sink-path\n"
        )

    def test_flags_of_the_sink_are_those_for_reading_it(
        self, lgx: Lgx, ends: tuple[str, ...], tmp_path: Path
    ) -> None:
        """Those that only writing has are taken and hidden; others are refused."""
        assert lgx("run", *ends[:4], "--sink", "archive", "--sink-path", "copy").code == 0
        there = ("--sink", "archive", "--sink-path", "copy")

        assert lgx("verify", *ends[:4], *there, "--sink-level", "3").code == 0
        assert lgx("verify", *ends[:4], *there, "--sink-origin", "elsewhere").code == 2
        code, _, err = lgx("verify", *ends[:4], *there, "--sink-lavel", "3")
        assert (code, err.split(";")[0]) == (
            2,
            "lgx: error: no such option '--sink-lavel' (did you mean '--sink-level'?)",
        )
        listed = lgx("verify", *there, "--help").out
        assert "--sink-origin" in listed
        assert "--sink-level" not in listed

    def test_a_pipeline_names_both_sides(
        self, lgx: Lgx, ends: tuple[str, ...], tmp_path: Path
    ) -> None:
        """Its options for moving mean nothing here; of its transforms there is a word."""
        (tmp_path / "lgx.toml").write_text(
            '[pipelines.p]\nsource = "ndjson"\nsource-path = "a.ndjson"\nsink = "archive"\n'
            'sink-path = "copy"\nsink-level = 3\nfull = true\ntransform = ["tiny"]\n'
        )
        assert lgx("run", "p").code == 0

        code, out, err = lgx("verify", "p")

        assert (code, out.splitlines()[0][:24]) == (0, "ndjson = archive: equal ")
        assert err == (
            "lgx: warning: pipeline 'p' has transforms; what they change is told as a difference\n"
        )

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            ((), "lgx verify needs --source NAME, --sink NAME or both; see lgx plugins"),
            (("--source", "nope"), "no source is named 'nope'"),
            (("--sink", "nope"), "no source is named 'nope'"),
            (("--source", "ndjson"), "--source ndjson needs --source-path"),
            (("--sink", "ndjson", "--sink-path", "-"), "what was written to - is gone"),
            (("--source", "ndjson", "--source-path", "nowhere"), "'nowhere'"),
            (("--source", "tiny", "--source-place", "x", "--as-of", "2026-11-20"), "--as-of reads"),
            (
                ("--source", "tiny", "--source-place", "x", "--sample", "0"),
                "'0' is no whole number",
            ),
            (
                ("--source", "tiny", "--source-place", "x", "--spool-dir", "nowhere"),
                "--spool-dir nowhere is no directory that exists",
            ),
        ],
    )
    def test_what_is_wrong_with_the_command_is_told(
        self, lgx: Lgx, flags: tuple[str, ...], words: str
    ) -> None:
        """Exit code 2, before anything is read."""
        code, out, err = lgx("verify", *flags)

        assert (code, out) == (2, "")
        assert err.startswith("lgx: error: ")
        assert words in err

    def test_secrets_are_never_printed(self, lgx: Lgx, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not in what a plugin says either."""
        monkeypatch.setenv("KEY", "hunter2hunter2")
        flags = (
            "--source",
            "tiny",
            "--source-place",
            "hunter2hunter2",
            "--source-trouble",
            "fatal",
        )

        code, out, err = lgx("verify", *flags, "--source-api-key", "env:KEY", "--json")

        assert (code, "hunter2" in out + err) == (4, False)
        assert "***" in err


class TestFailures:
    def test_what_could_not_be_compared_is_no_difference(
        self, lgx: Lgx, ends: tuple[str, ...]
    ) -> None:
        """Exit code 4, and the reason on stderr; JSON has it too. There is nothing to count."""
        broken = ("--source", "tiny", "--source-place", "here", "--source-trouble", "fatal")

        code, out, err = lgx("verify", *broken, *ends[4:])

        assert code == 4
        assert out.splitlines() == ["tiny = ndjson: not compared to the end (in 0.0 s)"]
        assert err == "lgx: error: the source, tiny: here is closed; open it\n"
        found = msgspec.json.decode(
            lgx("verify", *broken, *ends[4:], "--json").out, type=Verification
        )
        assert found.aborted == "the source, tiny: here is closed; open it"

    def test_a_bug_of_a_plugin_is_none_either(self, lgx: Lgx, ends: tuple[str, ...]) -> None:
        """A traceback without secrets, and exit code 4, not that of differences."""
        broken = ("--source", "tiny", "--source-place", "here", "--source-trouble", "bug")

        code, out, err = lgx("verify", *broken, *ends[4:])

        assert (code, out) == (4, "")
        assert "RuntimeError: a bug with" in err
        assert err.endswith("please report the above\n")

    def test_threads_that_could_not_be_read_are_told(self, lgx: Lgx, tmp_path: Path) -> None:
        """Exit code 1: what came of them may be equal, what did not may not."""
        tiny = ("--source", "tiny", "--source-place", "here", "--source-trouble", "losses")

        code, out, _ = lgx("verify", *tiny)

        assert code == 1
        assert without_digests(out)[3:] == [
            "differences (1):",
            "  - each of 3 threads: could not be read whole (checkpoint c9: the server",
            "    answered 500) (thread-000, thread-001, thread-002\\x1b[31m)",
        ]

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_ends_it(
        self,
        start: Callable[..., subprocess.Popen[str]],
        tmp_path: Path,
        number: signal.Signals,
        code: int,
    ) -> None:
        """In good order: what is known by then is told."""
        begun = tmp_path / "begun"
        process = start(
            *("verify", "--source", "tiny", "--source-place", str(begun)),
            *("--source-trouble", "endless"),
        )
        while not begun.exists():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

        assert process.returncode == code
        assert out.splitlines()[0].startswith("tiny: not read to the end")
        assert err.startswith("lgx: stopping when what is in flight is finished")


def test_nothing_known_of_any_side_is_nothing_to_show() -> None:
    """As where neither could be opened: the error says it all."""
    assert verdict(Verification(aborted="no server there")) == []
