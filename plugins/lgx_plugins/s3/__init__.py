"""Archives under a prefix of an object store that speaks S3: the same format and the same code as
the plugin `archive`, over another store.

    store       what an archive needs of a place, made of objects
    objects     requests for one object each: read, write under a condition, list, remove
    writes      a small object that is replaced, until the store holds it as it was sent
    upload      a part on its way: by multipart upload, in bounded memory
    unfinished  uploads that a crash left
    ranges      a part that is read: by ranges
    lock        who writes; and how a holder that died is told from one that lives
    failures    what the store answers, in lgx's words

Nothing is renamed or added to there. The journal is one object that each batch replaces under
the condition (If-Match) that nobody else has; so is the manifest. A writer that was taken for
dead and is not therefore fails at its next batch, and has changed nothing that anybody reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lgx import Sink, SourceBase, hookimpl
from lgx_plugins.s3.sink import S3Sink
from lgx_plugins.s3.source import S3Source

__all__ = ["S3Sink", "S3Source"]


@hookimpl
def lgx_register_sources() -> Sequence[type[SourceBase[Any]]]:
    return (S3Source,)


@hookimpl
def lgx_register_sinks() -> Sequence[type[Sink[Any]]]:
    return (S3Sink,)
