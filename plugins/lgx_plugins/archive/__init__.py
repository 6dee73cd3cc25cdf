"""Archives: a directory of immutable, compressed parts, readable by any zstd and JSON tool.

    write     sink → writing → batch → part
    read      source → threads (what stands where) → reader
    format    manifest, journal, index; state is what they say together
    store     where it all lies; directory is one, the plugin `s3` has another

A thread is held by the parts of one batch; the newest batch counts, or the newest before
`as_of`. Parts are never changed or removed: what was replaced stays readable.
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
