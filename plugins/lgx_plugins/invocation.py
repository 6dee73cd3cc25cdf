"""How lgx was called, for commands that are printed to be pasted."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program() -> str:
    """`lgx` where a shell finds this one by that name, else the path by which it was called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "lgx":
        return f"{shlex.quote(sys.executable)} -m lgx"
    found = shutil.which("lgx")
    if called.name != "lgx" or (found is not None and called.exists() and called.samefile(found)):
        return "lgx"
    return shlex.quote(str(called))
