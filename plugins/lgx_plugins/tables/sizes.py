"""Sizes of databases in words, in the units that runs are summed up in."""

from __future__ import annotations

__all__ = ["size_words"]


def size_words(number: float) -> str:
    """`28.5 MB`; powers of 1000, as disks and networks are counted."""
    if number < 1000:
        return f"{int(number)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.5 or unit == "TB":
            break
    return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
