"""Options of the source and the sink."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from lgx import Config, option
from lgx_plugins.files import check_name

__all__ = ["SqliteConfig", "SqliteSourceConfig", "real_path"]


class SqliteConfig(Config, frozen=True, kw_only=True):
    path: Annotated[Path, option("The database file.", example="threads.db")]
    table_prefix: Annotated[str, option("Begins the name of each table.")] = "langgraph_"
    busy_seconds: Annotated[
        int, option("How long to wait for another program's transaction.", at_least=0)
    ] = 10


class SqliteSourceConfig(SqliteConfig, frozen=True, kw_only=True):
    origin: Annotated[
        str | None,
        option("Read the threads of this source alone, where several were merged."),
    ] = None


def real_path(path: Path) -> Path:
    """The file behind links: the one that SQLite keeps its own files beside.

    Raises:
        UsageError: no file can have that name.
    """
    check_name(path)
    return Path(os.path.realpath(path))
