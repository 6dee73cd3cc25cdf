"""An item of a store as the tables hold it, and as a record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import StoreItem, ThreadError, canonical, compact, raw
from lgx_plugins.checkpointers.stores.vectors import Vector, vectors_in

__all__ = [
    "Item",
    "Room",
    "called",
    "item_of",
    "number_text",
    "plain_time",
    "record_of",
    "room",
    "when",
]

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_NULL = b"null"
_SHOWN = 80


Room: TypeAlias = dict[str, frozenset[str]]
"""What `Coverage.fields` says of items."""


class Item(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        prefix: the labels of its namespace, joined by dots.
        value: the text of one JSON value.
        created_at, updated_at, expires_at: as of `plain_time`.
        ttl_minutes: the text of a JSON number.
        vectors: by the name of the field that each is of.
        others: fields of the record that no table of a store has a column for.
    """

    prefix: str
    key: str
    value: bytes
    created_at: str | None = None
    updated_at: str | None = None
    expires_at: str | None = None
    ttl_minutes: str | None = None
    vectors: Mapping[str, Vector] = {}
    others: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, str]:
        return self.prefix, self.key

    @property
    def expires(self) -> bool:
        return self.expires_at is not None or self.ttl_minutes is not None

    def same_value(self, other: Item) -> bool:
        return self.value == other.value or canonical(self.value) == canonical(other.value)

    def same_times(self, other: Item) -> bool:
        """Whether both were made, changed and expire alike."""
        return (
            (self.created_at, self.updated_at, self.expires_at)
            == (other.created_at, other.updated_at, other.expires_at)
        ) and _decimal(self.ttl_minutes) == _decimal(other.ttl_minutes)


def item_of(record: StoreItem) -> Item:
    """
    Raises:
        ThreadError: no store of LangGraph's holds it.
    """
    for label in record.namespace:
        if "." in label:
            raise ThreadError(
                f"the label {label!r} of its namespace has a dot, by which LangGraph's stores join "
                "labels; an archive or an ndjson file can hold it"
            )
    if not record.namespace:
        raise ThreadError(
            "its namespace has no label, which LangGraph's stores need; an archive or an ndjson "
            "file can hold it"
        )
    if isinstance(record.value, UnsetType):
        raise ThreadError("it has no value, which LangGraph's stores need")
    extra = {} if isinstance(record.extra, UnsetType) else dict(record.extra)
    vectors = vectors_in(extra)
    expires_at = _text(extra, "expires_at")
    ttl_minutes = _number(extra, "ttl_minutes")
    return Item(
        prefix=".".join(record.namespace),
        key=record.key,
        value=bytes(record.value),
        created_at=plain_time(record.created_at),
        updated_at=plain_time(record.updated_at),
        expires_at=plain_time(expires_at),
        ttl_minutes=ttl_minutes,
        vectors=vectors,
        others=tuple(name for name, value in extra.items() if bytes(value) != _NULL),
    )


def record_of(item: Item) -> StoreItem:
    """
    Raises:
        ThreadError: its value is no JSON.
    """
    extra: dict[str, Raw] = {}
    if item.expires_at is not None:
        extra["expires_at"] = raw(item.expires_at)
    if item.ttl_minutes is not None:
        extra["ttl_minutes"] = Raw(item.ttl_minutes.encode())
    if item.vectors:
        extra["vectors"] = raw(item.vectors)
    fields: dict[str, Any] = {"extra": extra} if extra else {}
    try:
        compact(item.value)
    except ThreadError as error:
        raise ThreadError(f"its value is no JSON: {error}") from error
    return StoreItem(
        namespace=tuple(item.prefix.split(".")),
        key=item.key,
        value=Raw(item.value),
        created_at=item.created_at,
        updated_at=item.updated_at,
        **fields,
    )


def room(*, expiry: bool, vectors: bool) -> Room:
    """The fields that a store's tables have room for."""
    fields = {"value", "created_at", "updated_at"}
    fields |= {"expires_at", "ttl_minutes"} if expiry else set()
    return {StoreItem.kind: frozenset(fields | ({"vectors"} if vectors else set()))}


def called(namespace: tuple[str, ...] | str, key: str) -> str:
    """An item's name in the report, of which the beginning will do."""
    prefix = namespace if isinstance(namespace, str) else ".".join(namespace)
    return f"store item {_short(key)!r} of {_short(prefix)!r}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


# -- times and numbers -----------------------------------------------------------------


def when(text: str | None) -> datetime | None:
    """The instant that a time names, in UTC where it has no offset; None where it is no time of a
    form that LangGraph writes, or there is none."""
    if text is None or _TIME.fullmatch(text) is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def plain_time(text: str | None) -> str | None:
    """A time as records have it, `2026-01-02T03:04:05.600000+00:00`; what is none stays."""
    found = when(text)
    return text if found is None else found.isoformat()


def number_text(number: float) -> str:
    """
    Raises:
        ThreadError: JSON has no form for it.
    """
    if number != number or number in (float("inf"), float("-inf")):
        raise ThreadError(f"its time to live is {number}, for which JSON has no form")
    return str(int(number)) if number == int(number) and abs(number) < 1 << 53 else repr(number)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(extra: dict[str, Raw], name: str) -> str | None:
    """Takes a text out of the fields; what is something else stays there."""
    try:
        found = msgspec.json.decode(extra.get(name, _NULL), type=str | None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    extra.pop(name, None)
    return found


def _number(extra: dict[str, Raw], name: str) -> str | None:
    """Takes a number out of the fields, as `_text`."""
    found = bytes(extra.get(name, _NULL)).decode("utf-8", "replace")
    if found != "null" and _NUMBER.fullmatch(found) is None:
        return None
    extra.pop(name, None)
    return None if found == "null" else found
