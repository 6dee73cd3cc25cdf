"""One JSON document of threads, in the layout that an older export tool writes.

{"threads": [{"thread_id": …, "metadata": …, "values": …, "history": […], …}], …}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.json.sink import JsonSink
from lgx_plugins.json.source import JsonSource


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (JsonSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (JsonSink,)
