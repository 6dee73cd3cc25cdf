"""The layout: an older tool's document of threads, and what it has no place for.

    {"threads": [{"thread_id", "metadata", "values", "history", "created_at", "updated_at"}],
     "export_date", "source", "total_threads", "total_checkpoints",
     "lgx": {"format", "version", "lgx", "encryption",
             "extras": [RECORD],
             "threads": {THREAD_ID: {"thread", "at", "unset", "records": [{"at", "record"}]}}}}

A history holds the states of the root namespace as the API gives them, newest first. Of each
thread `lgx` holds the other fields of its record (`thread`, null where it has no record),
its place among the records where that is not the first (`at`), which fields of the layout it
lacks (`unset`), and the records that are no root states, the last first, each with its place.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import Coverage, ThreadError, UsageError, decode_line, split_object

__all__ = [
    "FORMAT",
    "LAYOUT",
    "OLDER",
    "VERSION",
    "Entry",
    "check_format",
    "read_entry",
    "read_placed",
]

T = TypeVar("T")

FORMAT = "lgx-json"
VERSION = 1

LAYOUT = ("metadata", "values", "created_at", "updated_at")
"""The fields of a thread's record that the older layout has, beside its id."""

OLDER = Coverage(
    kinds=frozenset({"thread", "checkpoint"}),
    namespaces=False,
    fields={"thread": frozenset(LAYOUT)},
)
"""What a document without `lgx` has room for."""


class Entry(Struct, frozen=True, kw_only=True):
    """What `lgx` holds of one thread, but its records."""

    thread: dict[str, Raw] | None = {}
    at: int = 0
    unset: tuple[str, ...] = ()


def read_entry(text: bytes) -> Entry:
    """The entry of a thread under `lgx`, without its records.

    Raises:
        ThreadError: it is malformed.
    """
    fields = split_object(text)
    thread = fields.get("thread", Raw(b"{}"))
    return Entry(
        thread=None if bytes(thread) == b"null" else split_object(thread),
        at=_decode(fields.get("at", Raw(b"0")), int),
        unset=_decode(fields.get("unset", Raw(b"[]")), tuple[str, ...]),
    )


def read_placed(text: bytes) -> tuple[int, bytes]:
    """Place and line of a record that stands under `lgx`.

    Raises:
        ThreadError: it is malformed.
    """
    fields = split_object(text)
    if "at" not in fields or "record" not in fields:
        raise ThreadError("a record under lgx lacks its place (at) or itself (record)")
    line = bytes(fields["record"])
    decode_line(line)
    return _decode(fields["at"], int), line


def _decode(text: Raw, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.MsgspecError as error:
        raise ThreadError(f"an entry under lgx is malformed: {str(error).lower()}") from error


class _Format(Struct, frozen=True):
    format: str = FORMAT
    version: int | UnsetType = UNSET
    encryption: Any = None


def check_format(fields: dict[str, Raw], name: str) -> None:
    """Looks at the small members of `lgx`.

    Raises:
        UsageError: this version of lgx does not read them.
    """
    try:
        found = msgspec.convert(
            {key: msgspec.json.decode(value) for key, value in fields.items()}, _Format
        )
    except msgspec.MsgspecError as error:
        raise UsageError(f"the key lgx of {name} is malformed: {str(error).lower()}") from error
    if found.format != FORMAT or isinstance(found.version, UnsetType):
        raise UsageError(
            f"the key lgx of {name} is not of the format {FORMAT}, but {found.format!r}; was the "
            "file written by another program?"
        )
    if found.version > VERSION:
        raise UsageError(
            f"{name} has version {found.version} of {FORMAT}, and this lgx reads up to {VERSION}; "
            "upgrade lgx"
        )
    if found.encryption is not None:
        raise UsageError(f"{name} is encrypted, which this lgx does not read; upgrade lgx")
