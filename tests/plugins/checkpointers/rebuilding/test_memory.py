"""Memory depends on the largest states of a thread, not on how many it has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_APP = """
from typing_extensions import TypedDict
from langgraph.graph import START, StateGraph

class State(TypedDict):
    text: str

def again(state):
    raise AssertionError("no node runs")

made = StateGraph(State)
made.add_node(again)
made.add_edge(START, "again")
made.add_edge("again", "again")
graph = made.compile()
"""
_RUN = """
import sys, lgx
from lgx.cli.allocator import hand_back_large_blocks
hand_back_large_blocks()
source, target, graph = sys.argv[1:]
sink = lgx.use("sqlite-saver", path=target, graph=[graph])
report = lgx.run(lgx.use("ndjson", path=source), sink)
assert report.exit_code == 0 and report.fidelity == {"replayed": 1}, report
assert not report.losses, report.losses
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
"""
_THREAD = "7f1e0a52-0000-4000-8000-000000000000"


def _write(path: Path, steps: int, size: int) -> None:
    with path.open("w") as file:

        def line(**fields: Any) -> None:
            file.write(json.dumps(fields) + "\n")

        line(kind="header", format="lgx-ndjson", version=1)
        line(kind="thread", thread_id=_THREAD, metadata={"graph_id": "agent"})
        for step in range(-1, steps):
            name = "again" if step >= 0 else "__start__"
            after = {"text": f"{step + 1:08d}" * (size // 8)}
            due: dict[str, Any] = {
                "id": None,
                "name": name,
                "path": ["__pregel_pull", name],
                "error": None,
            }
            due |= {"interrupts": [], "result": after if step < steps - 1 else None}
            line(
                kind="checkpoint",
                thread_id=_THREAD,
                checkpoint_ns="",
                checkpoint_id=_id(step),
                parent_checkpoint_id=_id(step - 1) if step >= 0 else None,
                created_at="2026-01-01T00:00:00+00:00",
                values={"text": f"{step:08d}" * (size // 8)} if step >= 0 else {},
                next=[name],
                tasks=[due],
                metadata={"source": "loop" if step >= 0 else "input", "step": step, "parents": {}},
            )


def _id(step: int) -> str:
    return f"{step + 2:08x}-0000-6000-8000-000000000000"


def _peak(directory: Path, steps: int, size: int) -> int:
    """The most memory that rebuilding a thread took, in bytes."""
    source, app = directory / "export.ndjson", directory / "looping.py"
    _write(source, steps, size)
    app.write_text(_APP)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, source, directory / "copy.db", f"{app}:graph"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.timeout(120)
def test_a_thread_of_many_large_states_is_streamed(tmp_path: Path) -> None:
    """150 states of 100 kB, read, rebuilt, compared and written: in 230 MB, of which LangGraph
    and lgx take half themselves."""
    assert _peak(tmp_path, 150, 100_000) <= 230_000_000


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_thread_of_a_thousand_takes_no_more(tmp_path: Path) -> None:
    """The same at length."""
    assert _peak(tmp_path, 1000, 100_000) <= 230_000_000
