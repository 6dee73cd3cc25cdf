"""The README's commands, run as they stand there, in the order in which they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Failure, FatalError, LgxError, Report, UsageError, Verification
from lgx.testing import PostgresServer, S3Process, StubProcess
from lgx_plugins.demo.server import RealServer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SET_UP, EXAMPLES = BLOCKS[0][1].splitlines(), BLOCKS[1:]
PLACEHOLDER = "https://my-agent-0a1b2c.us.langgraph.app"
OTHER_PLACEHOLDER = "https://my-other-agent-1b2c3d.us.langgraph.app"
NIGHT = "2026-11-20T03:00Z"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of the kind that the README is about: our stub."""
    with StubProcess(threads=6, checkpoints=3, size=300) as stub:
        yield stub.url


def filled_in(text: str, server: str, bucket: str) -> str:
    """With a server, a bucket and a time that there are, in place of the README's."""
    here = text.replace(PLACEHOLDER, server).replace("my-bucket", bucket)
    return here.replace(NIGHT, datetime.now(UTC).isoformat())


def execute(language: str, text: str, folder: Path, environ: dict[str, str]) -> str:
    """What a block prints; a command that fails fails the test with its output."""
    if language == "toml":
        match = re.match(r"# ([\w.]+)\n", text)
        assert match, "the first line of a file's text names the file"
        (folder / match[1]).write_text(text)
        tomllib.loads(text)
        return ""
    if language == "sql" and "@>" in text:
        dsn = environ["DATABASE_URL"]
        return "\n".join(map(str, PostgresServer(dsn).execute(dsn, text)))
    if language == "sql":
        with sqlite3.connect(folder / "threads.db") as database:
            rows = database.execute(text).fetchall()
        database.close()
        return "\n".join(map(str, rows))
    command = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
    done = subprocess.run(
        [*command, text], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_task_works_as_it_is_written(
    server: str, tmp_path: Path, database: str, s3_server: S3Process
) -> None:
    """Address and key come from the environment, as the README says; what is asked for is there."""
    threads = httpx.post(f"{server}/threads/search", json={"limit": 1}).json()
    bucket = s3_server.new_bucket()
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
        place: Any = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}
        saver.put(place, empty_checkpoint(), {"source": "input", "step": -1}, {})
    environ = {
        **s3_server.environ,
        "AWS_ENDPOINT_URL_S3": s3_server.endpoint_url,
        "DATABASE_URL": database,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "LGX_SOURCE_URL": server,
        "LANGSMITH_SOURCE_API_KEY": "a-key",
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "THREAD_ID": threads[0]["thread_id"],
    }
    printed = {
        text: execute(language, filled_in(text, server, bucket), tmp_path, environ)
        for language, text in EXAMPLES
        if language not in ("json", "crontab")
        and not text.startswith("export ")
        and OTHER_PLACEHOLDER not in text
    }
    assert {path.name for path in tmp_path.iterdir()} >= {
        "back.ndjson",
        "backup",
        "from-s3.db",
        "threads.db",
        "threads.ndjson.zst",
        "one.ndjson",
        "new.ndjson",
        "zoe.ndjson",
        "report.json",
        "last.json",
        "nightly.json",
        "restored.db",
        "restored.sqlite",
        "then.json",
        "verified.json",
    }
    [doctor] = [output for text, output in printed.items() if text == "lgx doctor --source cloud\n"]
    assert re.search(r"^ +key +from LANGSMITH_SOURCE_API_KEY$", doctor, re.MULTILINE)
    [grep] = [output for text, output in printed.items() if "grep" in text]
    assert grep == "18\n"
    assert (tmp_path / "one.ndjson").read_text().count('"kind":"checkpoint"') == 3
    assert (tmp_path / "zoe.ndjson").read_text().count('"kind":"thread"') == 6
    assert (tmp_path / "back.ndjson").read_text().count('"kind":"checkpoint"') == 18
    with SqliteSaver.from_conn_string(str(tmp_path / "restored.sqlite")) as saver:
        assert [item.config["configurable"]["thread_id"] for item in saver.list(None)] == ["1"]
    rows, threads_of_agent = [output for text, output in printed.items() if "SELECT" in text]
    assert len(rows.splitlines()) == 5
    assert len(threads_of_agent.splitlines()) == 6


def serving(folder: Path, *graphs: str) -> RealServer:
    """A server of the demo's graph under these names."""
    shutil.copytree(resources.files("lgx_plugins.demo") / "app", folder)  # type: ignore[arg-type]  # a path
    config = json.loads((folder / "langgraph.json").read_text())
    [graph] = config["graphs"].values()
    config["graphs"] = dict.fromkeys(graphs, graph)
    (folder / "langgraph.json").write_text(json.dumps(config))
    return RealServer(folder)


def test_moving_works_as_it_is_written(tmp_path: Path, database: str) -> None:
    """From one server to another, straight and through an archive, the second time into a
    graph of another name; and away from servers."""
    work = tmp_path / "work"
    work.mkdir()
    with (
        serving(tmp_path / "from", "old_agent") as old,
        serving(tmp_path / "to", "old_agent", "agent") as new,
        httpx.Client() as client,
    ):
        for city in ("Oslo", "Kyoto"):  # one ends, one waits for an answer
            made = client.post(f"{old.url}/threads", json={"metadata": {"owner": "zoe"}}).json()
            message = {"type": "human", "content": f"To {city}, please."}
            run = {"assistant_id": "old_agent", "input": {"messages": [message]}}
            client.post(f"{old.url}/threads/{made['thread_id']}/runs/wait", json=run, timeout=60)
        environ = {
            "DATABASE_URL": database,
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "LGX_SOURCE_URL": old.url,
            "LANGSMITH_TARGET_API_KEY": "a-key",
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        }

        def states(url: str) -> dict[str, tuple[str, str, object]]:
            rows = client.post(f"{url}/threads/search", json={}).json()
            return {
                row["thread_id"]: (row["metadata"]["graph_id"], row["status"], row["values"])
                for row in rows
            }

        before = states(old.url)
        blocks = [text for _, text in EXAMPLES if OTHER_PLACEHOLDER in text]
        assert len(blocks) == 2
        for text in blocks:
            execute("sh", text.replace(OTHER_PLACEHOLDER, new.url), work, environ)
            if "map-graph" in text:
                renamed = {i: ("agent", *state[1:]) for i, state in before.items()}
                assert states(new.url) == renamed
            else:
                assert states(new.url) == before
                for thread_id in before:
                    client.delete(f"{new.url}/threads/{thread_id}").raise_for_status()
        leave(old, work, database, environ)


def leave(server: RealServer, folder: Path, database: str, environ: dict[str, str]) -> None:
    """Into PostgresSaver's tables, with a graph of the team's own."""
    package = folder / "my_app"
    shutil.copytree(resources.files("lgx_plugins.demo") / "app", package)  # type: ignore[arg-type]  # a path
    text = (package / "graph.py").read_text()
    (package / "agent.py").write_text(text + "\n\ngraph = travel\n")
    [block] = [text for _, text in EXAMPLES if "--sink-graph my_app" in text]
    execute("sh", block.replace(PLACEHOLDER, server.url), folder, environ)
    threads = httpx.post(f"{server.url}/threads/search", json={}).json()
    with PostgresSaver.from_conn_string(database) as saver:
        for thread_id in (row["thread_id"] for row in threads):
            history = httpx.post(f"{server.url}/threads/{thread_id}/history", json={"limit": 100})
            config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
            rebuilt = [item.config["configurable"]["checkpoint_id"] for item in saver.list(config)]
            assert rebuilt == [state["checkpoint"]["checkpoint_id"] for state in history.json()]
            assert rebuilt


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    """Scripts depend on them."""
    missing = Failure(thread_id="a", what="thread", why="gone wrong")
    outcomes: list[Report | Verification | LgxError] = [
        Report(),
        Report(aborted="the disk is full", failures=[missing]),
        FatalError("the disk is full"),
        UsageError("no such option"),
        Report(failures=[missing]),
        Verification(aborted="the disk is full"),
        *(Report(signal=number, failures=[missing]) for number in (signal.SIGINT, signal.SIGTERM)),
    ]
    cells = re.findall(r"^\| (\d+(?:, \d+)*) \|", README, re.MULTILINE)
    codes = [int(code) for cell in cells for code in cell.split(", ")]
    assert codes == list(dict.fromkeys(outcome.exit_code for outcome in outcomes))


def test_the_tables_of_sqlite_are_all_told(server: str, tmp_path: Path) -> None:
    """A user who finds another one would not know what it is for."""
    database = tmp_path / "threads.db"
    lgx.run(lgx.use("cloud", url=server), lgx.use("sqlite", path=database), limit=1)
    with closing(sqlite3.connect(database)) as connection:
        query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
        names = {name for (name,) in connection.execute(query) if not name.startswith("sqlite_")}
    assert names == told("sqlite")


@pytest.mark.parametrize("layout", ["plain", "dedup"])
def test_the_tables_of_postgresql_are_all_told(
    server: str, postgres_server: PostgresServer, database: str, layout: str
) -> None:
    """Those of SQLite, and what is said of PostgreSQL besides."""
    sink = lgx.use("postgres", dsn=lgx.Secret(database), layout=layout)
    lgx.run(lgx.use("cloud", url=server), sink, limit=1)
    query = "SELECT relname FROM pg_class WHERE relname LIKE 'langgraph%' AND relkind IN ('r', 'v')"
    names = {name for (name,) in postgres_server.execute(database, query)}
    assert names <= told("sqlite") | told("postgres")
    assert names >= told("sqlite") | {"langgraph_lease"}


def told(target: str) -> set[str]:
    """The tables that the README tells of a target."""
    _, _, rest = README.partition(f"\n**{target}** - ")
    return set(re.findall(r"`(langgraph_\w+)`", re.split(r"\n\*\*|\n## ", rest)[0]))


def test_the_script_for_every_night_says_what_went_wrong(tmp_path: Path) -> None:
    """It prints nothing else, and passes the exit code on."""
    [script] = [text for _, text in EXAMPLES if text.startswith("# nightly.sh")]
    (tmp_path / "lgx").symlink_to("/bin/false")
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "lgx: no backup tonight (exit code 1)\n")


def test_every_link_leads_somewhere() -> None:
    """To a file of the repository."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


# -- the two lines that set up -----------------------------------------------------------


def test_the_second_line_is_what_is_run_for_every_change() -> None:
    """A reader and the CI run the same command."""
    assert len(SET_UP) == 2
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == SET_UP[1]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_first_line_shows_lgx_at_work(tmp_path: Path) -> None:
    """Here with an environment that is there already; what it installs exists as an extra."""
    install, _, show = SET_UP[0].rpartition(" && ")
    assert install == "python3 -m venv .venv && .venv/bin/pip install --quiet '.[demo]'"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "demo" in project["optional-dependencies"]
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(PROGRAMS)
    execute("sh", show, tmp_path, {**os.environ})
    assert (tmp_path / "lgx-demo" / "threads.db").exists()


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_both_lines_work_in_a_fresh_checkout(tmp_path: Path) -> None:
    """The second with its quickest session: the others are running this test."""
    checkout = tmp_path / "lgx"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    environ = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    execute("sh", SET_UP[0], checkout, environ)
    execute("sh", f"{SET_UP[1]} --session lint", checkout, environ)
    shutil.rmtree(checkout)


def test_nothing_is_installed_under_the_name_on_pypi() -> None:
    """The package called lgx there is a stranger's; paths and other packages are installed."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")]
    wrong = re.compile(r"pip install[^`\n]*[\s'\"]lgx\b(?!-)")
    assert [path.name for path in texts if wrong.search(path.read_text(encoding="utf-8"))] == []
    assert "package that is\ncalled `lgx` on PyPI is another project's" in README
