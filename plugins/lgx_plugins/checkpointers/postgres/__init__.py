"""PostgresSaver's tables, read and written as the bytes that LangGraph wrote.

    lgx run --source sqlite-saver --source-path state.db \\
        --sink postgres-saver --sink-dsn env:DATABASE_URL

No class is imported, nothing is unpickled, no key is needed. An upstream saver goes on with
the copy as with the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.checkpointers.postgres.sink import PostgresSaverSink
from lgx_plugins.checkpointers.postgres.source import PostgresSaverSource

__all__ = ["PostgresSaverSink", "PostgresSaverSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (PostgresSaverSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (PostgresSaverSink,)
