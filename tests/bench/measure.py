"""What a benchmark reports, and how memory is measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

_WRAPPER = """
import os
import sys
{code}
# Not getrusage: its maximum is inherited from the process that started this one.
status = open("/proc/self/status").read()
sys.stderr.write("peak %s\\n" % status.partition("VmHWM:")[2].split()[0])
"""


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its bar; `met` is None where there is no bar."""

    name: str
    measured: str
    bar: str = ""
    met: bool | None = None


def peak_memory(code: str, *arguments: str) -> float:
    """Runs Python code in a process of its own; its peak resident memory in MB (10^6)."""
    done = subprocess.run(
        [sys.executable, "-c", _WRAPPER.format(code=code), *arguments],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )
    last = done.stderr.strip().rpartition("\n")[2]
    if done.returncode or not last.startswith("peak "):
        raise RuntimeError(f"the measured process failed:\n{done.stderr}")
    return int(last.removeprefix("peak ")) * 1024 / 1e6


def table(figures: list[Figure]) -> str:
    """At most 80 columns."""
    lines = []
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        lines.append(f"{figure.name:<42} {figure.measured:>14} {figure.bar:>13} {verdict:>7}")
    return "\n".join(lines)
