"""What stands in for a server: the places and the graphs of replay's own tests."""

from __future__ import annotations

from ...replay.local import THREAD, Place, _Reader  # noqa: TID252 -- one zoo for both
from ...replay.random_graphs import (  # noqa: TID252
    GraphPlan,
    Move,
    act,
    all_moves,
    build,
    graph_plans,
)
from ...replay.zoo import CASES, CUT, FORK, Case  # noqa: TID252

__all__ = [
    "CASES",
    "CUT",
    "FORK",
    "THREAD",
    "Case",
    "GraphPlan",
    "Move",
    "Place",
    "Reader",
    "act",
    "all_moves",
    "build",
    "graph_plans",
]

Reader = _Reader
"""Reads what a checkpointer holds as servers show it."""
