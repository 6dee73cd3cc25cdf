"""Arguments that `run` and `verify` have in common: which threads, and with what effort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

import msgspec
from msgspec import Struct

from lgx.errors import UsageError
from lgx.query import Query, parse_time
from lgx.spec import Use

__all__ = [
    "STATUSES",
    "CommonOptions",
    "as_use",
    "at_least_one",
    "make_query",
    "one_of",
    "refuse_others",
    "take_query",
]

# What `make_query` takes.
_FILTERS = (
    "thread_ids",
    "metadata",
    "status",
    "since",
    "until",
    "as_of",
    "limit",
    "extras",
)

STATUSES = ("idle", "busy", "interrupted", "error")


class CommonOptions(TypedDict, total=False):
    """What both take besides source and sink."""

    query: Query | None
    """Which threads of the source, in place of the eight that follow."""
    thread_ids: Iterable[str]
    """These threads alone."""
    metadata: Mapping[str, object] | None
    """Each key of the thread's metadata contains this value."""
    status: str | None
    """idle, busy, interrupted or error."""
    since: datetime | str | None
    """`updated_at` not before this time; without an offset it is UTC."""
    until: datetime | str | None
    """`updated_at` before this time."""
    as_of: datetime | str | None
    """The state at that moment, for sources that keep earlier ones."""
    limit: int | None
    """At most so many threads."""
    extras: bool | None
    """Assistants, crons and store too; None: yes, unless threads are filtered."""
    concurrency: int
    """How many bulk requests or reads of a source run at once."""
    memory: int
    """Bytes of bulk data in flight."""
    attempts: int
    """How often a request is tried at most."""
    spool_directory: Path | None
    """Where what takes more than memory lies meanwhile; None: the temporary directory."""


def take_query(values: dict[str, Any]) -> Query:
    """The query that a function's options name; they are taken out of `values`."""
    filters = {name: values.pop(name) for name in _FILTERS if name in values}
    query: Query | None = values.pop("query", None)
    given = sorted(name for name, value in filters.items() if value not in (None, (), [], {}))
    if query is not None and given:
        raise UsageError(f"query and {', '.join(given)} exclude each other; put all into the query")
    return make_query(**filters) if query is None else query


def make_query(
    *,
    thread_ids: Iterable[str] = (),
    metadata: Mapping[str, object] | None = None,
    status: str | None = None,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    as_of: datetime | str | None = None,
    limit: int | None = None,
    extras: bool | None = None,
) -> Query:
    """The filters of `run` as a query; times are checked here."""
    if isinstance(thread_ids, str):
        raise UsageError(f"thread_ids is a list of ids, not the single text {thread_ids!r}")
    if status is not None:
        one_of("status", status, STATUSES)
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be at least 1, not {limit}")
    ids = tuple(dict.fromkeys(thread_ids))
    for thread_id in ids:
        try:
            thread_id.encode()
        except UnicodeEncodeError:
            raise UsageError(f"thread id {thread_id!r} is not valid UTF-8; correct it") from None
    query = Query(
        thread_ids=ids,
        metadata={
            key: msgspec.Raw(msgspec.json.encode(value)) for key, value in (metadata or {}).items()
        },
        status=status,
        since=_time(since),
        until=_time(until),
        as_of=_time(as_of),
        limit=limit,
    )
    if query.since and query.until and parse_time(query.since) >= parse_time(query.until):
        raise UsageError(
            f"--since {query.since} is not before --until {query.until}: no thread passes"
        )
    return msgspec.structs.replace(query, extras=not query.filtered if extras is None else extras)


def _time(when: datetime | str | None) -> str | None:
    if when is None:
        return None
    return parse_time(when.isoformat() if isinstance(when, datetime) else when).isoformat()


def one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        words = ", ".join(str(word) for word in allowed if word is not None)
        raise UsageError(f"{name} {value!r} is not one of {words}")


def at_least_one(spec: Struct, *names: str) -> None:
    """Checks numbers; one that is None is not given."""
    for name in names:
        number = getattr(spec, name)
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1, not {number}")


def refuse_others(values: Mapping[str, object], spec: type[Struct], function: str) -> None:
    """Raises as Python does of an argument that the function does not take."""
    unknown = sorted(set(values) - set(spec.__struct_fields__))
    if unknown:
        raise TypeError(f"{function}() got an unexpected keyword argument {unknown[0]!r}")


def as_use(item: Use | str) -> Use:
    return Use(name=item) if isinstance(item, str) else item
