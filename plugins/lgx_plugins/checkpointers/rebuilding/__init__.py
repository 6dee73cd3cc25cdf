"""From a server's view of a thread to a checkpointer's rows: rebuilt with the user's own graph.

    lgx run --source cloud --source-url URL --sink sqlite-saver --sink-path checkpoints.sqlite \\
        --sink-graph my_app.agent:graph

The graph replays the thread's history as updates (`lgx_plugins.replay`) into rows of its own, is
compared with the source there, and the rows take a sink's usual way. No node runs.
"""

from __future__ import annotations

from lgx_plugins.checkpointers.rebuilding.options import Compare, GraphNames
from lgx_plugins.checkpointers.rebuilding.rebuilder import Rebuilder, RebuiltBundle
from lgx_plugins.checkpointers.rebuilding.sinking import (
    TAKES_WITH,
    held_as_rows,
    previewed_as_rows,
    written_as_rows,
)

__all__ = [
    "TAKES_WITH",
    "Compare",
    "GraphNames",
    "Rebuilder",
    "RebuiltBundle",
    "held_as_rows",
    "previewed_as_rows",
    "written_as_rows",
]
