"""LangGraph's own checkpoints in Redis: the documents of RedisSaver and ShallowRedisSaver.

    lgx run --source redis-saver --source-url env:REDIS_URL \\
        --sink postgres-saver --sink-dsn env:CHECKPOINTS_URL

No class is imported, and no search index is asked: keys are walked, and each document is read
as the text that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.checkpointers.redis.sink import RedisSaverSink
from lgx_plugins.checkpointers.redis.source import RedisSaverSource

__all__ = ["RedisSaverSink", "RedisSaverSource", "lgx_register_sinks", "lgx_register_sources"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (RedisSaverSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (RedisSaverSink,)
