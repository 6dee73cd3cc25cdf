"""NDJSON: one record a line, for pipes, `grep` and `jq`.

{"kind": "header", "format": "lgx-ndjson", "version": 1, …}
{"kind": "thread", "thread_id": …}
{"kind": "checkpoint", "thread_id": …}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.ndjson.sink import NdjsonSink
from lgx_plugins.ndjson.source import NdjsonSource


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (NdjsonSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (NdjsonSink,)
