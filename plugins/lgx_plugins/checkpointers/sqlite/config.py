"""Options of the source and the sink."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from lgx import Config, option
from lgx_plugins.checkpointers.rebuilding.options import Compare, GraphNames
from lgx_plugins.checkpointers.rows.conflicts import OnConflict
from lgx_plugins.checkpointers.rows.encryption import AesKey
from lgx_plugins.checkpointers.stores.options import Vectors

__all__ = ["SqliteSaverConfig", "SqliteSaverSinkConfig", "identity_of"]


class SqliteSaverConfig(Config, frozen=True, kw_only=True):
    path: Annotated[Path, option("The database file of SqliteSaver.", example="checkpoints.sqlite")]
    busy_seconds: Annotated[
        int, option("How long to wait for another program's transaction.", at_least=0)
    ] = 10
    aes_key: AesKey = None


class SqliteSaverSinkConfig(SqliteSaverConfig, frozen=True, kw_only=True):
    on_conflict: OnConflict = "fail"
    vectors: Vectors = "copy"
    graph: GraphNames = ()
    verify: Compare = "all"


def identity_of(path: Path) -> str:
    """Names a file as a source of threads. Nothing inside it does: lgx adds nothing to files that
    it reads."""
    return f"sqlite-saver:{path}"
