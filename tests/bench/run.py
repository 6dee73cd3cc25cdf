"""Runs the benchmarks and prints their figures: `python tests/bench/run.py [NAME …] [--quick]`.

Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import sys
from importlib import import_module

from measure import table

_BENCHES = ("speed", "memory", "size", "postgres", "s3", "migration", "checkpointers", "copies")


def main(arguments: list[str]) -> int:
    quick = "--quick" in arguments
    names = [name for name in arguments if not name.startswith("-")] or list(_BENCHES)
    missed = False
    for name in names:
        found = import_module(name).figures(quick=quick)
        sys.stdout.write(f"{name}\n{table(found)}\n\n")
        sys.stdout.flush()
        missed |= any(figure.met is False for figure in found)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
