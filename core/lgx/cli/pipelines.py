"""`lgx.toml`: `[pipelines.NAME]` tables that hold what flags would say, by the same names."""

from __future__ import annotations

import datetime
import json
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

from lgx.errors import UsageError
from lgx.hints import closest, unreadable

__all__ = [
    "DEFAULT_PATH",
    "flag_text",
    "load_env_file",
    "pipeline_names",
    "read_pipeline",
    "readable_by_others",
]

DEFAULT_PATH = Path("lgx.toml")


def read_pipeline(path: Path, name: str) -> dict[str, object]:
    """One table of the file: option names, with underscores, to values.

    Raises:
        UsageError: the file cannot be read, or has no such table.
    """
    tables = _tables(path)
    if name not in tables:
        known = ", ".join(tables) or "none"
        raise UsageError(
            f"{path} has no pipeline {name!r}{closest(name, tables)}; its pipelines: {known}"
        )
    table = tables[name]
    if not isinstance(table, dict):
        raise UsageError(f"{path}: pipelines.{name} must be a table: [pipelines.{name}]")
    values: dict[str, object] = {}
    for key, value in table.items():
        option = key.replace("-", "_")
        if option in values:
            raise UsageError(f"{path}: pipelines.{name} gives {key} twice")
        values[option] = value
    return values


def pipeline_names(path: Path) -> tuple[str, ...]:
    """The pipelines that the file defines; none where there is no such file."""
    return tuple(_tables(path)) if path.exists() else ()


def _tables(path: Path) -> Mapping[str, object]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{path} does not exist; write one with `lgx init`, or name a --source and a --sink"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} {unreadable(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    others = sorted(set(document) - {"pipelines"})
    if others:
        raise UsageError(f"{path}: unknown {others[0]!r}; all options stand in [pipelines.NAME]")
    tables = document.get("pipelines", {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: pipelines must be tables: [pipelines.NAME]")
    return tables


def flag_text(value: object, *, repeatable: bool) -> object:
    """A TOML value as a flag would give it; repeatable flags take a list, text or a table."""
    if repeatable and isinstance(value, dict):
        return [f"{key}={json.dumps(_plain(item))}" for key, item in value.items()]
    if repeatable:
        return [_plain(item) for item in (value if isinstance(value, list) else [value])]
    return _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value


def load_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file; lines without a value are left out.

    Raises:
        UsageError: it cannot be read.
    """
    from dotenv import dotenv_values

    try:
        with path.open(encoding="utf-8") as stream:
            values = dotenv_values(stream=stream)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--env-file {path} {unreadable(error)}") from error
    return {name: value for name, value in values.items() if value is not None}


def readable_by_others(path: Path) -> bool:
    """Whether a regular file's mode lets anybody but its owner read it."""
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRGRP | stat.S_IROTH))
