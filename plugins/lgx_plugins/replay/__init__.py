"""Replay: a thread's history as updates that rebuild it on a server, and the proof of it.

Knows no HTTP and no server; a `Target` stands for the one thread that is being built.

    await replay_thread(bundle, target, memory.of(graph_id), verify=True) -> Outcome
"""

from __future__ import annotations

from lgx_plugins.replay.losses import foresee
from lgx_plugins.replay.method import GraphMemory, Memory
from lgx_plugins.replay.outcome import Fidelity, Outcome
from lgx_plugins.replay.replaying import compare_thread, replay_thread
from lgx_plugins.replay.target import Edge, Follower, RefusedError, Target, Topology

__all__ = [
    "Edge",
    "Fidelity",
    "Follower",
    "GraphMemory",
    "Memory",
    "Outcome",
    "RefusedError",
    "Target",
    "Topology",
    "compare_thread",
    "foresee",
    "replay_thread",
]
