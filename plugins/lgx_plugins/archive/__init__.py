"""Archives: a directory of immutable, compressed parts, readable by any zstd and JSON tool.

format    manifest, journal, index
write     sink → parts → store
read      source → threads (what is where) → reader → store
store     where it all lies; `directory` is one
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.archive.sink import ArchiveSink
from lgx_plugins.archive.source import ArchiveSource

__all__ = ["ArchiveSink", "ArchiveSource"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (ArchiveSource,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (ArchiveSink,)
