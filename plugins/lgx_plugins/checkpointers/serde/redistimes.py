"""Moments, times and UUIDs: RedisSaver's JSON names a class and its arguments, LangGraph's msgpack
has forms of its own for them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from uuid import UUID

__all__ = ["native"]

_ZONED = 8
"""Arguments of a moment with an offset, which is the last."""


def native(path: object, args: object) -> tuple[int, tuple[Any, ...]] | None:
    """The number and the content of the msgpack extension; None where there is none of its own.

    Args:
        path: module and name, part by part.
        args: the arguments as they stand in the JSON.
    """
    if not isinstance(path, list) or not isinstance(args, list) or not args:
        return None
    try:
        match path:
            case ["datetime", "datetime"]:
                return 3, ("datetime", "datetime", _moment(args).isoformat(), "fromisoformat")
            case ["datetime", "time"]:
                when = _clock(_numbers(args))
                names = ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
                fields = {name: getattr(when, name) for name in names}
                return 2, ("datetime", "time", fields)
            case ["uuid", "UUID"]:
                [text] = args
                return 0, ("uuid", "UUID", UUID(text).hex)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return None  # it is none, and stays what it says
    return None


def _moment(args: list[Any]) -> datetime:
    numbers, zone = args[: _ZONED - 1], args[_ZONED - 1 :]
    year, month, day, *clock = _numbers(numbers)
    tz = timezone(_offset(*zone)) if zone else None
    return datetime.combine(date(year, month, day), _clock(clock), tz)


def _clock(numbers: list[int]) -> time:
    hour, minute, second, micro = numbers + [0] * (4 - len(numbers))
    return time(hour, minute, second, micro)


def _offset(zone: Any) -> timedelta:
    [span] = _arguments(zone, ["datetime", "timezone"])
    return timedelta(*_numbers(_arguments(span, ["datetime", "timedelta"])))


def _arguments(value: Any, path: list[str]) -> list[Any]:
    if not isinstance(value, dict) or value.get("id") != path or "kwargs" in value:
        raise ValueError
    args = value.get("args")
    if not isinstance(args, list):
        raise TypeError
    return args


def _numbers(args: list[Any]) -> list[int]:
    if any(type(one) is not int for one in args):
        raise TypeError
    return args
