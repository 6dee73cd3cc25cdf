"""The server that the other tests here stand on holds what they take for granted."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from lgx import FatalError
from lgx_plugins.demo.server import RealServer

from .fill import LONG, Filled
from .truth import Truth


def test_plain_requests_find_every_checkpoint_that_the_server_counts(
    filled_server: Filled, truth: Truth
) -> None:
    """All but those that it cannot render, and those of a graph that is gone."""
    lost = {name: truth.threads[i].lost for name, i in filled_server.threads.items()}
    assert {name: count for name, count in lost.items() if count} == {
        "gone": truth.threads[filled_server.threads["gone"]].stored,
        "poisoned-integer": 1,
        "poisoned-nesting": 1,
        # Three checkpoints each in `inner`, `call` and the subgraphs in these.
        "poisoned-inner": 12,
    }


def test_the_threads_are_in_every_state(filled_server: Filled, truth: Truth) -> None:
    """So that no test passes because there was nothing to go wrong."""
    found = {name: truth.threads[i] for name, i in filled_server.threads.items()}
    assert {
        name: t.thread["status"] for name, t in found.items() if t.thread["status"] != "idle"
    } == {
        **{f"interrupted-{n}": "interrupted" for n in (0, 1, 2, 3, 4, "inside")},
        **dict.fromkeys(("failed-0", "failed-1", "failed-2"), "error"),
        **dict.fromkeys(("forked-early", "forked-late", "branched"), "interrupted"),
        "waiting": "busy",
    }
    assert {name for name, t in found.items() if not t.stored} == {
        *(f"{kind}-{n}" for kind in ("empty", "bare") for n in range(3)),
        "gone-empty",
        "cron",
    }
    assert {name for name, t in found.items() if 404 in t.history} == {"gone", "gone-empty"}
    assert {name for name, t in found.items() if 500 in t.history} == filled_server.poisoned
    assert found["long"].stored == LONG + 2 > 1000  # a page of history has at most 1000


def test_a_tour_has_checkpoints_in_every_kind_of_namespace(
    filled_server: Filled, truth: Truth
) -> None:
    """Of subgraphs with and without a checkpointer of their own, nested and called."""
    checkpoints = truth.threads[filled_server.threads["twice"]].checkpoints
    shapes = Counter(
        "|".join(f"{name}:*" if task else name for name, _, task in parts)
        for parts in ([p.partition(":") for p in ns.split("|")] for ns, _ in checkpoints)
    )
    assert shapes == {
        "": 24,
        "inner:*": 10,
        "inner:*|deep:*": 6,
        "call:*": 10,
        "call:*|deep:*": 6,
        "keeper": 6,
    }


def test_forks_share_their_parent(filled_server: Filled, truth: Truth) -> None:
    """Three checkpoints of the branched thread follow the same one."""
    checkpoints = truth.threads[filled_server.threads["branched"]].checkpoints
    parents = Counter(
        (state["parent_checkpoint"] or {}).get("checkpoint_id")
        for (namespace, _), state in checkpoints.items()
        if namespace == ""
    )
    assert sorted(parents.values())[-1] == 3


def test_the_store_assistants_and_crons_are_there(filled_server: Filled, truth: Truth) -> None:
    """One assistant's second version of three is in force."""
    assert set(truth.items) == filled_server.items
    assert set(truth.crons) == set(filled_server.crons)
    assert set(filled_server.assistants) < {name for name, _ in truth.assistants}
    newest = {name: max(v for n, v in truth.assistants if n == name) for name in truth.in_force}
    assert sorted((truth.in_force[n], newest[n]) for n in filled_server.assistants) == [
        (1, 1),
        (2, 3),
    ]


def test_no_process_of_a_server_outlives_it(app: Path) -> None:
    """Its port is closed and its directory gone as soon as the block is left."""
    with RealServer(app) as server:
        assert httpx.get(f"{server.url}/ok").status_code == 200
        home = server.log_path.parent
        assert home.is_dir()
    assert not home.exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/ok")


def test_a_server_ends_when_its_starter_is_killed(app: Path, tmp_path: Path) -> None:
    """Also by SIGKILL, which leaves the starter no time to clean up."""
    program = f"""
import pathlib, sys
from lgx_plugins.demo.server import RealServer
with RealServer(pathlib.Path({str(app)!r})) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as starter:
        assert starter.stdout is not None
        host, port = starter.stdout.readline().decode().strip().removeprefix("http://").split(":")
        address = (host, int(port))
        with socket.create_connection(address) as connection:
            starter.kill()
            connection.settimeout(20)
            with contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b""  # the kernel closes what the server had open …
    while _listens(address):  # … one thing after the other, so that this may take a moment
        pass


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The error ends with what the server printed, and nothing is left running."""
    (tmp_path / "langgraph.json").write_text(
        '{"dependencies": ["."], "graphs": {"broken": "./graph.py:graph"}}'
    )
    (tmp_path / "graph.py").write_text("raise RuntimeError('no graph today')")
    server = RealServer(tmp_path)
    with pytest.raises(FatalError, match=r"(?s)ended with code .* no graph today"), server:
        pass
    assert server.pid is None
    assert not server.log_path.parent.exists()


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True
