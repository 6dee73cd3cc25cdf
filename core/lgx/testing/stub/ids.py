"""Ids and times that are made from numbers, so that the same seed gives the same deployment."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "checkpoint_id", "iso", "random_uuid", "step_of", "ticks"]

_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)


def iso(when: datetime) -> str:
    """A time as the server writes it, always with microseconds."""
    return when.isoformat(timespec="microseconds")


def random_uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))


def ticks(when: datetime) -> int:
    """The timestamp of a version 6 UUID: units of 100 ns since the Gregorian calendar began."""
    return (when - _GREGORIAN) // timedelta(microseconds=1) * 10


def checkpoint_id(time: int, clock_seq: int, node: int) -> str:
    """A version 6 UUID, whose text sorts by time."""
    return (
        f"{(time >> 28) & 0xFFFFFFFF:08x}-{(time >> 12) & 0xFFFF:04x}-6{time & 0xFFF:03x}"
        f"-{0x8000 | (clock_seq & 0x3FFF):04x}-{node & 0xFFFFFFFFFFFF:012x}"
    )


def step_of(text: str) -> int:
    """The timestamp in a version 6 UUID; for other texts one that sorts about right."""
    digits = text.replace("-", "")
    try:
        return (int(digits[:8], 16) << 28) | (int(digits[8:12], 16) << 12) | int(digits[13:16], 16)
    except ValueError:
        return 0 if text < "1" else 1 << 60


class Clock:
    """A deployment's time: it moves by a little when something changes, and only then."""

    def __init__(self, start: datetime | None = None, tick: float = 0.001) -> None:
        self.now = start or datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.step = timedelta(seconds=tick)

    def tick(self) -> datetime:
        self.now += self.step
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
