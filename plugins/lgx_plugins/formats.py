"""What a path holds, by the first bytes of it: one of the formats that lgx reads, or not."""

from __future__ import annotations

import re
import stat
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lgx import UsageError
from lgx_plugins.files import refuse_path

__all__ = ["check_replaceable", "check_source", "recognise"]

_START = 64 << 10
_DATABASE = b"SQLite format 3\0"
_DOCUMENT = re.compile(rb'\{\s*"(?:threads|export_date|total_threads|total_checkpoints|lgx)"\s*:')
_RECORD = re.compile(rb'\{\s*"kind"\s*:\s*"')
_NAMES = {
    "archive": "an archive",
    "json": "a JSON file of threads",
    "ndjson": "an NDJSON file of records",
    "sqlite": "a SQLite database",
}
_WRITTEN = {"json": "JSON file", "ndjson": "NDJSON file"}


def recognise(path: Path) -> str | None:
    """The name of the plugin that reads what stands there; None where that cannot be told,
    as of pipes and of what is empty or missing.

    Raises:
        UsageError: it cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return "archive" if (path / "manifest.json").is_file() else None
        if not stat.S_ISREG(mode):
            return None
        with path.open("rb") as file:
            start = _start(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refuse_path(error, path) from error
    if start.startswith(_DATABASE):
        return "sqlite"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _DOCUMENT.match(text):
        return "json"
    return "ndjson" if _is_record(text) else None


def check_source(path: Path, name: str) -> None:
    """Refuses what another plugin reads, and says which.

    Raises:
        UsageError: it is of another format.
    """
    found = recognise(path)
    if found is not None and found != name:
        raise UsageError(f"{str(path)!r} is {_NAMES[found]}: read it with --source {found}")


def check_replaceable(path: Path, name: str) -> None:
    """Refuses to write over anything but an earlier file of the same format, or an empty one.

    Raises:
        UsageError: something else stands there.
    """
    try:
        if not path.is_file() or not path.stat().st_size:
            return
    except OSError as error:
        raise refuse_path(error, path) from error
    if recognise(path) != name:
        raise UsageError(
            f"{str(path)!r} exists and is no {_WRITTEN[name]} of lgx; name another path, or remove "
            "it"
        )


def _start(file: BinaryIO) -> bytes:
    """The first bytes, decompressed."""
    start = file.read(_START)
    if start.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(31).decompress(start, _START)
        except zlib.error:
            return b""
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        file.seek(0)
        try:
            with zstandard.ZstdDecompressor().stream_reader(file, closefd=False) as reader:
                return reader.read(_START)
        except zstandard.ZstdError:
            return b""
    return start


def _is_record(text: bytes) -> bool:
    """Whether the first line is an object that says its kind, as far as it is there."""
    line, newline, _ = text.partition(b"\n")
    if _RECORD.match(line):
        return True
    if not newline and len(text) >= _START - 3:
        return False
    try:
        found: Any = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("kind"), str)
