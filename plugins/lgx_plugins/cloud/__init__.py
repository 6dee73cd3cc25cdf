"""`cloud`: any server that speaks the LangGraph API.

source   lists and reads          paging, threads, reader, walk, history, salvage, extras
client   asks, checks answers     keys, answers, session
restore  the sink: rebuilds       see there
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.cloud.restore.sink import CloudSink
from lgx_plugins.cloud.source import CloudSource

__all__ = ["CloudSink", "CloudSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (CloudSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (CloudSink,)
