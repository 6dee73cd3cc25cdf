"""What a state held before it became JSON, as far as its JSON tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw

from lgx import Json
from lgx_plugins.replay.messages import count_messages
from lgx_plugins.replay.steps import values_of

__all__ = ["kinds_of"]

_DOCUMENT = (b'"page_content":"', b'"type":"Document"')
_MESSAGE = b'"response_metadata":{'
_SPELLED = 1 << 20  # bytes of a channel that is looked at twice


def kinds_of(values: Json, kept: Json) -> Iterator[tuple[str, str]]:
    """Channels, and what in them was more than JSON: documents, and messages inside of other
    things, by their fields; dates, decimals, durations, times and paths by another spelling.

    Of sets, datetimes, and objects of other classes JSON tells nothing.

    Args:
        values: of a thread's newest checkpoint.
        kept: of the thread itself, which servers spell otherwise.
    """
    spelled = values_of(kept)
    for channel, value in values_of(values).items():
        found = set(_shapes(value))
        other = spelled.get(channel, value)
        if other != value and len(value) <= _SPELLED:
            try:
                here, there = msgspec.json.decode(value), msgspec.json.decode(other)
                found.update(_spellings(here, there))
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                pass  # nested as deeply as no such thing is
        for kind in sorted(found):
            yield channel, kind


def _shapes(value: Raw) -> Iterator[str]:
    text = bytes(value)
    if all(field in text for field in _DOCUMENT):
        yield "documents"
    # A message, or a list of them, is what a reducer may make: of no concern here.
    if text.count(_MESSAGE) > count_messages(value):
        yield "messages"


def _spellings(here: Any, there: Any) -> Iterator[str]:
    if here is there:
        return
    if isinstance(here, dict) and isinstance(there, dict):
        for key in here.keys() & there.keys():
            yield from _spellings(here[key], there[key])
    elif isinstance(here, list) and isinstance(there, list):
        for one, other in zip(here, there, strict=False):
            yield from _spellings(one, other)
    elif isinstance(here, list | dict | str) and isinstance(there, str | int | float):
        yield from (kind for kind, spells in _SPELLINGS.items() if spells(here, there))


def _is_date(here: Any, there: object) -> bool:
    try:
        return len(here) == 3 and date(*here).isoformat() == there
    except (TypeError, ValueError, OverflowError):
        return False


def _is_duration(here: Any, there: object) -> bool:
    try:
        days, seconds, micros = here
        return timedelta(days, seconds, micros).total_seconds() == there
    except (TypeError, ValueError, OverflowError):
        return False


def _is_time(here: Any, there: object) -> bool:
    try:
        return time(**{**here, "tzinfo": None}).isoformat() == there
    except (TypeError, ValueError, OverflowError):
        return False


def _is_decimal(here: Any, there: object) -> bool:
    try:
        return isinstance(here, str) and float(Decimal(here)) == there
    except (InvalidOperation, OverflowError, ValueError):
        return False


def _is_path(here: Any, there: object) -> bool:
    try:
        return isinstance(here, list) and "/".join(here).replace("//", "/", 1) == there
    except TypeError:
        return False


_SPELLINGS = {
    "dates": _is_date,
    "decimals": _is_decimal,
    "durations": _is_duration,
    "paths": _is_path,
    "times": _is_time,
}
"""How a thread spells what its history spells by its parts."""
