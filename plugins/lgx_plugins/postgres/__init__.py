"""PostgreSQL: threads as tables that people can query, and back.

    lgx run --source cloud --sink postgres --sink-dsn env:DATABASE_URL
    psql "$DATABASE_URL" -c 'SELECT thread_id, type, content FROM langgraph_messages'

`values` is a word of SQL: as a column PostgreSQL takes it with and without quotes, `t.values`.

A schema that exists keeps its other tables; lgx adds its own, under its prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.postgres.sink import PostgresSink
from lgx_plugins.postgres.source import PostgresSource

__all__ = ["PostgresSink", "PostgresSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (PostgresSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (PostgresSink,)
