"""LangGraph's own checkpoints in SQLite: the tables of SqliteSaver, byte by byte.

    lgx run --source sqlite-saver --source-path checkpoints.sqlite \\
        --sink postgres-saver --sink-dsn env:CHECKPOINTS_URL

No class is imported and nothing is unpickled; graphs need not be there any more. A checkpointer
that goes on with the copy finds state, history, interrupts and pending writes as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.checkpointers.sqlite.sink import SqliteSaverSink
from lgx_plugins.checkpointers.sqlite.source import SqliteSaverSource

__all__ = ["SqliteSaverSink", "SqliteSaverSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (SqliteSaverSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (SqliteSaverSink,)
