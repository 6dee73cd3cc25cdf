"""Options of the source and the sink."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from lgx import Config, option
from lgx_plugins.checkpointers.rebuilding.options import Compare, GraphNames
from lgx_plugins.checkpointers.rows.conflicts import OnConflict
from lgx_plugins.checkpointers.rows.encryption import AesKey

__all__ = ["SaverConfig", "SaverSinkConfig", "SaverSourceConfig", "identity_of"]


class SaverConfig(Config, frozen=True, kw_only=True):
    factory: Annotated[
        str,
        option(
            "Where the checkpointer comes from: package.module:name of a function, a class or a "
            "context manager without arguments, sync or async, that gives it; it is imported "
            "and called.",
            example="my_app.state:checkpointer",
        ),
    ]
    place: Annotated[
        str | None,
        option(
            "What to call the place that the checkpointer keeps threads in, where one factory "
            "opens several; the factory's name otherwise."
        ),
    ] = None
    aes_key: AesKey = None


class SaverSourceConfig(SaverConfig, frozen=True, kw_only=True):
    thread_ids: Annotated[
        Path | None,
        option(
            "A file that names the threads, for checkpointers that cannot list them: one id a "
            "line, or a list in JSON where its name ends in .json."
        ),
    ] = None


class SaverSinkConfig(SaverConfig, frozen=True, kw_only=True):
    allow_modules: Annotated[
        tuple[str, ...],
        option(
            "Modules whose classes the data may have imported and called beyond those that "
            "LangGraph knows to be harmless, separated by commas, with all that is in them; all "
            "allows every one, and pickles.",
            example="my_app.models",
        ),
    ] = ()
    on_conflict: OnConflict = "fail"
    graph: GraphNames = ()
    verify: Compare = "all"


def identity_of(config: SaverConfig) -> str:
    """Names a checkpointer as a source of threads; nothing that it holds does."""
    return f"saver:{config.place or config.factory}"
