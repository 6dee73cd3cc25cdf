"""SQLite: threads as tables that people can query, and back.

    lgx run --source cloud --sink sqlite --sink-path threads.db
    sqlite3 threads.db 'SELECT thread_id, type, content FROM langgraph_messages'

`values` is a word of SQL: as a column SQLite wants it in quotes, `"values"`. A copy of a
database file has its identity too: lgx takes both for one source.

A database that exists keeps its other tables; lgx adds its own, under its prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.sqlite.sink import SqliteSink
from lgx_plugins.sqlite.source import SqliteSource

__all__ = ["SqliteSink", "SqliteSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (SqliteSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (SqliteSink,)
