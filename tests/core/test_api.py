"""`lgx.run` and its kin: typed arguments in, a report out, wherever they are called."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

import lgx
from lgx.api import RunOptions, make_spec
from lgx.arguments import make_query
from lgx.spec import RunSpec

Install = Callable[..., list[Path]]


@pytest.fixture
def ends(install: Install, tmp_path: Path) -> tuple[lgx.Use, lgx.Use]:
    """A source of three threads, and a sink."""
    install("tiny")
    return lgx.use("tiny", place="here"), lgx.use("tiny", path=tmp_path / "out.txt")


class TestRun:
    def test_moves_threads(self, ends: tuple[lgx.Use, lgx.Use], tmp_path: Path) -> None:
        """Called from plain code it returns the report."""
        progress = lgx.Progress()

        report = lgx.run(*ends, progress=progress)

        assert (report.exit_code, report.threads.written) == (0, 3)
        assert (progress.phase, progress.written) == ("done", 3)
        assert len((tmp_path / "out.txt").read_bytes().splitlines()) == 6

    async def test_works_in_a_running_event_loop(self, ends: tuple[lgx.Use, lgx.Use]) -> None:
        """As in a notebook: the run gets a loop of its own, and errors come through."""
        assert lgx.run(*ends).threads.written == 3
        with pytest.raises(lgx.UsageError):
            lgx.run("nowhere", "tiny")

    async def test_can_be_awaited(self, ends: tuple[lgx.Use, lgx.Use]) -> None:
        """`run_async` leaves the loop to others meanwhile."""
        report = await lgx.run_async(*ends, thread_ids=["thread-001"], dry_run=True)

        assert [item.thread_id for item in report.would_move] == ["thread-001"]

    async def test_can_be_stopped(self, ends: tuple[lgx.Use, lgx.Use], tmp_path: Path) -> None:
        """A `Stop` ends the run in good order; the report says so."""
        source = lgx.use("tiny", place=str(tmp_path / "begun"), trouble="endless")
        stop = lgx.Stop()
        run = asyncio.create_task(lgx.run_async(source, ends[1], stop=stop))
        asyncio.get_running_loop().call_later(0.05, stop.request, 15)

        assert (await run).exit_code == 143

    def test_two_runs_at_once_do_not_meet(
        self, ends: tuple[lgx.Use, lgx.Use], tmp_path: Path
    ) -> None:
        """Nothing is shared: each call has its own registry, loop and counters."""

        async def both() -> list[lgx.Report]:
            other = lgx.use("tiny", path=tmp_path / "other.txt")
            return list(
                await asyncio.gather(
                    asyncio.to_thread(lgx.run, *ends),
                    asyncio.to_thread(lgx.run, ends[0], other, limit=2),
                )
            )

        assert [report.threads.written for report in asyncio.run(both())] == [3, 2]

    def test_an_interrupt_ends_a_notebook_s_run(self, install: Install, tmp_path: Path) -> None:
        """Ctrl-C while a running loop's thread waits: the work ends with the waiting."""
        (folder,) = install("tiny")
        code = (
            "import asyncio, lgx, os, signal, threading\n"
            # A shell that starts something in the background has it ignore the signal.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "async def cell():\n"
            "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
            "    lgx.run(lgx.use('tiny', place='begun', trouble='endless'),\n"
            "            lgx.use('tiny', path='out.txt'))\n"
            "loop = asyncio.new_event_loop()\n"
            "try:\n"
            "    loop.run_until_complete(cell())\n"
            "except KeyboardInterrupt:\n"
            "    print([t.name for t in threading.enumerate()])\n"
        )

        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            timeout=60,
            env={"PYTHONPATH": str(folder)},
        )

        assert "MainThread" in done.stdout
        assert "lgx-run" not in done.stdout

    def test_uses_the_registry_that_it_is_given(self, ends: tuple[lgx.Use, lgx.Use]) -> None:
        with pytest.raises(lgx.UsageError, match="LGX_PLUGINS allows: cloud"):
            lgx.run(*ends, registry=lgx.Registry({"cloud"}))

    def test_obeys_the_environment_s_allow_list(
        self, ends: tuple[lgx.Use, lgx.Use], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LGX_PLUGINS", "cloud")
        with pytest.raises(lgx.UsageError, match="LGX_PLUGINS allows: cloud"):
            lgx.run(*ends)


class TestProbe:
    def test_gives_the_facts(self, ends: tuple[lgx.Use, lgx.Use]) -> None:
        """Of a source or of a sink, opened and closed."""
        assert lgx.probe(source=ends[0]).facts[0] == lgx.Fact(name="place", value="here")
        assert [fact.name for fact in lgx.probe(sink=ends[1]).facts] == ["path"]

    async def test_works_in_a_running_event_loop(self, ends: tuple[lgx.Use, lgx.Use]) -> None:
        assert lgx.probe(source=ends[0]) == await lgx.probe_async(source=ends[0])

    @pytest.mark.parametrize("both", [True, False])
    def test_takes_exactly_one(self, ends: tuple[lgx.Use, lgx.Use], both: bool) -> None:
        arguments: dict[str, Any] = {"source": ends[0], "sink": ends[1]} if both else {}
        with pytest.raises(lgx.UsageError, match="a probe takes either a source or a sink"):
            lgx.probe(**arguments)


class TestSpec:
    def test_names_stand_for_themselves(self) -> None:
        """A plain name is a component without options."""
        spec = make_spec("cloud", "sqlite", transforms=["a"], validators=["b", lgx.use("c", x=1)])

        assert spec == RunSpec(
            source=lgx.use("cloud"),
            sink=lgx.use("sqlite"),
            transforms=(lgx.use("a"),),
            validators=(
                lgx.ValidatorUse(name="b"),
                lgx.ValidatorUse(name="c", options={"x": 1}),
            ),
        )

    def test_filters_become_a_query(self) -> None:
        """Times are written with their offset, without one they are UTC; values become JSON."""
        query = make_query(
            thread_ids=["b", "a", "b"],
            metadata={"n": 3, "deep": {"é": [None]}, "exact": msgspec.Raw(b"1E+2")},
            status="idle",
            since=datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
            until="2026-03-01",
            as_of=datetime(2026, 1, 2),  # noqa: DTZ001 - as people write it
            limit=3,
        )

        assert query == lgx.Query(
            thread_ids=("b", "a"),
            metadata={
                "n": msgspec.Raw(b"3"),
                "deep": msgspec.Raw('{"é":[null]}'.encode()),
                "exact": msgspec.Raw(b"1E+2"),
            },
            status="idle",
            since="2026-01-01T12:00:00+02:00",
            until="2026-03-01T00:00:00+00:00",
            as_of="2026-01-02T00:00:00+00:00",
            limit=3,
            extras=False,
        )

    @pytest.mark.parametrize(
        ("filters", "extras"),
        [
            ({}, True),
            ({"limit": 3}, False),
            ({"thread_ids": ["a"]}, False),
            ({"status": "idle"}, False),
            ({"thread_ids": ["a"], "extras": True}, True),
            ({"extras": False}, False),
        ],
    )
    def test_extras_are_off_where_threads_are_filtered(
        self, filters: dict[str, Any], extras: bool
    ) -> None:
        """Unless they are asked for; they belong to the deployment, not to the threads."""
        assert make_query(**filters).extras is extras

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"thread_ids": "abc"}, "thread_ids is a list of ids, not the single text 'abc'"),
            ({"thread_ids": ["\ud800"]}, r"thread id '\ud800' is not valid UTF-8; correct it"),
            (
                {"status": "asleep"},
                "status 'asleep' is not one of idle, busy, interrupted, error",
            ),
            ({"limit": 0}, "limit must be at least 1, not 0"),
            ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
            ({"fidelity": "best"}, "fidelity 'best' is not one of raw, state"),
            (
                {"on_violation": "ignore"},
                "on_violation 'ignore' is not one of fail, quarantine, warn",
            ),
            (
                {"query": lgx.Query(), "limit": 3, "status": "idle"},
                "query and limit, status exclude each other; put all into the query",
            ),
            (
                {"since": "soon"},
                "'soon' is not a time; write it as 2026-11-20 or 2026-11-20T08:00:00+00:00",
            ),
        ],
    )
    def test_nonsense_is_refused(self, arguments: dict[str, Any], message: str) -> None:
        """Before anything is opened, with the value and what is possible."""
        with pytest.raises(lgx.UsageError) as caught:
            make_spec("a", "b", **arguments)

        assert str(caught.value) == message

    def test_naive_times_are_utc(self) -> None:
        naive = datetime(2026, 5, 1, 8)  # noqa: DTZ001 - as people write it
        assert make_query(since=naive) == make_query(since=naive.replace(tzinfo=UTC))


def test_importing_lgx_imports_neither_api_nor_registry() -> None:
    """A plugin imports lgx; what only callers need is loaded when it is used."""
    code = (
        "import sys, lgx\n"
        "late = {'lgx.api', 'lgx.registry', 'lgx.loading', 'pluggy', 'click'}\n"
        "before = late & set(sys.modules)\n"
        "assert callable(lgx.run) and callable(lgx.probe) and lgx.Registry\n"
        "print(before, 'lgx.api' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    # The hook marker is pluggy's, and every plugin needs that.
    assert done.stdout == "{'pluggy'} True\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lgx' has no attribute 'runn'"):
        lgx.runn  # type: ignore[attr-defined] # noqa: B018


def test_the_options_of_a_run_are_declared_once() -> None:
    """`RunOptions` names each field of `RunSpec` and each filter; defaults are the spec's."""
    filters = set(inspect.signature(make_query).parameters)
    fields = set(RunSpec.__struct_fields__) - {"source", "sink"}
    assert set(RunOptions.__annotations__) == fields | filters
    assert make_spec("a", "b") == RunSpec(source=lgx.Use(name="a"), sink=lgx.Use(name="b"))


def test_an_option_that_does_not_exist_is_a_mistake_in_the_program() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'limmit'"):
        lgx.run("a", "b", limmit=3)  # type: ignore[call-arg]
