"""Any checkpointer of LangGraph's, by the interface that all of them have.

    lgx run --source saver --source-factory my_app.state:checkpointer \\
        --sink sqlite-saver --sink-path copy.sqlite

What is named by `factory` is imported and called, as the user asked for; what data names is not,
unless it is on LangGraph's list of harmless classes or the user allows it. Where there is a
component for the database itself (`sqlite-saver`, `postgres-saver`) that one copies more, and
faster: the interface shows objects, not rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.checkpointers.saver.sink import SaverSink
from lgx_plugins.checkpointers.saver.source import SaverSource

__all__ = ["SaverSink", "SaverSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (SaverSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (SaverSink,)
