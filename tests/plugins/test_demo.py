"""`lgx demo` starts a real server, exports it, says what it found, and cleans up."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest

LGX = (sys.executable, "-c", "import sys; from lgx.cli import main; sys.exit(main())")
EXPECTED = """\
thread                   status       checkpoints  namespaces  messages
A birthday in the hills  idle                  15           2         3
A weekend by the sea     idle                  22           3         6
Autumn leaves            idle                  11           2         3
Markets and mole         interrupted            9           2         2
Only asking              idle                   0           0         0
Somewhere cold           interrupted           31           4         8

6 threads, 88 checkpoints, 22 messages
and what belongs to the server: 2 assistants, 2 store items

lgx-demo/threads.db: N bytes, in N s with N requests
lgx-demo/archive: N bytes, in N s with N requests

The server is gone, its threads are here. Look at them:

  sqlite3 lgx-demo/threads.db "SELECT content FROM langgraph_messages LIMIT 10"
  sqlite3 lgx-demo/threads.db "SELECT thread_id, status FROM langgraph_threads"
  sqlite3 lgx-demo/threads.db "SELECT key, value FROM langgraph_store_items"
  lgx run --source archive --source-path lgx-demo/archive \\
    --sink ndjson --sink-path - | cut -c 1-100 | head

The same for a server of yours:

  lgx run --source cloud --source-url URL \\
    --sink sqlite --sink-path threads.db
"""


KEPT = """\
The server runs until you press Ctrl-C. Meanwhile, in another shell:

  lgx doctor --source cloud --source-url URL
  lgx run --source cloud --source-url URL \\
    --sink sqlite --sink-path mine.db
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The directory for temporary files: nothing may be left there."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return scratch


@pytest.fixture
def environment(scratch: Path) -> dict[str, str]:
    return os.environ | {"TMPDIR": str(scratch)}


def test_the_demo_exports_a_real_server_and_tells_what_it_found(
    tmp_path: Path, scratch: Path, environment: dict[str, str]
) -> None:
    """The whole output, without escape sequences; the commands that it prints work; and a
    second demo replaces the first."""
    for _ in range(2):
        done = subprocess.run(
            [*LGX, "demo"], cwd=tmp_path, env=environment, capture_output=True, check=True
        )
        found = re.sub(r"\d[\d,.]* (bytes|s|requests)\b", r"N \1", done.stdout.decode())
        assert found == EXPECTED
        assert max(map(len, done.stdout.decode().splitlines())) <= 80
    progress = re.sub(r"\d+\.\d s", "N s", done.stderr.decode())
    url = re.search(r"http://127\.0\.0\.1:\d+", progress)
    assert url is not None
    assert progress.replace(url[0], "URL") == (
        "starting a LangGraph server (langgraph dev) … N s\n"
        "holding conversations on URL … N s\n"
        "lgx run --source cloud --sink sqlite … N s\n"
        "lgx run --source cloud --sink archive … N s\n"
    )
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url[0]}/ok")
    assert list(scratch.iterdir()) == []

    answers = []
    for command in re.findall(r"^  (sqlite3 .*)$", done.stdout.decode(), re.MULTILINE):
        _, database, query = shlex.split(command)
        with closing(sqlite3.connect(tmp_path / database)) as connection:
            answers.append(connection.execute(query).fetchall())
    assert [len(rows) for rows in answers] == [10, 6, 2]
    (command,) = re.findall(
        r"^  lgx (run --source archive .*\\\n.*) \| cut -c 1-100 \| head$",
        done.stdout.decode(),
        re.MULTILINE,
    )
    lines = subprocess.run(
        [*LGX, *shlex.split(command.replace("\\\n", " "))],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout.splitlines()
    kinds = Counter(json.loads(line)["kind"] for line in lines)
    assert (kinds["thread"], kinds["checkpoint"], kinds["store_item"]) == (6, 88, 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_no_server_behind(
    tmp_path: Path, scratch: Path, environment: dict[str, str], number: int, code: int
) -> None:
    """Neither its process nor its directory."""
    with subprocess.Popen(
        [*LGX, "demo"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stderr is not None
        told = b""
        while not (url := re.search(rb"(http://127\.0\.0\.1:\d+) ", told)):
            told += os.read(process.stderr.fileno(), 1000) or pytest.fail(told.decode())
        assert httpx.get(f"{url[1].decode()}/ok").status_code == 200
        process.send_signal(number)
        assert process.wait(timeout=30) == code
        assert b"Traceback" not in process.stderr.read()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url[1].decode()}/ok")
    assert list(scratch.iterdir()) == []


def test_a_server_that_is_kept_can_be_used_until_ctrl_c(
    tmp_path: Path, scratch: Path, environment: dict[str, str]
) -> None:
    """What is printed meanwhile works; then the demo ends as any other does."""
    with subprocess.Popen(
        [*LGX, "demo", "--keep"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        told = b""
        while b"mine.db\n" not in told:
            told += os.read(process.stdout.fileno(), 1000) or pytest.fail(told.decode())
        shown = told.decode()[told.decode().index("The server runs") :]
        (url,) = set(re.findall(r"http://\S+", shown))
        assert shown.replace(url, "URL") == KEPT
        for command in re.findall(r"^  lgx ((?:.*\\\n)*.*)$", shown, re.MULTILINE):
            arguments = shlex.split(command.replace("\\\n", " "))
            subprocess.run([*LGX, *arguments], cwd=tmp_path, capture_output=True, check=True)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().decode()
        assert process.wait(timeout=30) == 0
        assert rest == EXPECTED[EXPECTED.index("\nThe server is gone") :]
        assert b"Traceback" not in process.stderr.read()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/ok")
    assert list(scratch.iterdir()) == []


def test_files_that_are_not_of_a_demo_are_not_touched(tmp_path: Path) -> None:
    """One line and exit code 2, before a server is started."""
    mine = tmp_path / "threads.db"
    mine.write_text("mine")
    done = subprocess.run([*LGX, "demo", "--output", str(tmp_path)], capture_output=True)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        f"lgx: error: {str(tmp_path)!r} holds files that are not of a demo; "
        "name another directory with --output\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["threads.db"]
    assert mine.read_text() == "mine"


def test_without_the_servers_packages_the_demo_says_what_to_install(tmp_path: Path) -> None:
    """One line and exit code 2; nothing is created."""
    program = "import sys; sys.modules['langgraph_cli'] = None; " + LGX[2]
    done = subprocess.run(
        [sys.executable, "-c", program, "demo"], cwd=tmp_path, capture_output=True
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        "lgx: error: a local server needs langgraph_cli, which is not installed; "
        "run: pip install 'langgraph-cli[inmem]>=0.4.40,<0.5'\n"
    )
    assert list(tmp_path.iterdir()) == []
