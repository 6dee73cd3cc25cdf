"""Text in lines of bounded width: broken at blanks, and within a word only where it is too long."""

from __future__ import annotations

import os
import re
from typing import TextIO

__all__ = ["columns_of", "shortened", "wrapped"]

_JOINTS = "/,;&?"  # where a url or a path is best broken
_WIDEST = 100
_LEAST = 20
_DEFAULT = 80
_WHOLE = 120  # characters of an id that are shown
_HEAD, _TAIL = 60, 20
_ENDLESS = re.compile(r"\S{400,}")  # no path or URL that somebody has typed


def wrapped(text: str, columns: int, *, first: str = "", rest: str = "") -> list[str]:
    """The lines of a text, each within so many columns.

    Args:
        first: begins the first line.
        rest: begins the lines that follow it.
    """
    columns = max(columns, len(first) + _LEAST, len(rest) + _LEAST)
    lines: list[str] = []
    line, empty = first, True
    for word in text.split():
        if not empty and len(line) + 1 + len(word) > columns:
            lines.append(line)
            line, empty = rest, True
        while len(line) + len(word) > columns:
            end = _joint(word, columns - len(line))
            lines.append(line + word[:end])
            line, word = rest, word[end:]
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line.rstrip()]


def shortened(text: str, *names: str) -> str:
    """The text for people, in which no word is longer than they would read.

    Args:
        names: ids that may be in it, of which the same holds, whatever they consist of.
    """
    for name in names:
        if len(name) > _WHOLE:
            text = text.replace(name, _ends_of(name))
    return _ENDLESS.sub(lambda found: _ends_of(found[0]), text)


def _ends_of(name: str) -> str:
    return f"{name[:_HEAD]}…{name[-_TAIL:]} ({len(name):,} characters)"


def _joint(word: str, room: int) -> int:
    """Where to break a word that does not fit: behind a joint, unless little would stand there."""
    end = 1 + max(word.rfind(joint, 0, room) for joint in _JOINTS)
    return end if end > room // 2 else room


def columns_of(stream: TextIO) -> int | None:
    """How wide a line on stdout or stderr may be; None where that is no terminal: what reads it
    there is a program, which looks for whole lines."""
    if not stream.isatty():
        return None
    try:
        columns = int(os.environ.get("COLUMNS", "")) or _DEFAULT
    except ValueError:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns or _DEFAULT
        except OSError:
            columns = _DEFAULT
    return min(columns, _WIDEST)
