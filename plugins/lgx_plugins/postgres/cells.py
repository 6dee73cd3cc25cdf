"""What a cell of PostgreSQL is: times, and escapes for what its text and JSONB refuse.

JSONB keeps a value, not its spelling, which is what "equal" means in lgx. It refuses
`\\u0000`, lone surrogates, numbers beyond `numeric`, and nesting that exhausts its stack.
Those are escaped, always in the same way, by the noncharacter U+FDD0 (here: M):

    in strings and keys     \\u0000 is M0000, a lone \\ud800 is Md800, M itself is Mfdd0
    a cell as a whole       "Mjson:…", its text as one string, where its numbers or depth are

Text columns use the first form, for NUL and M. Reading puts back what four hexadecimal
digits follow; any other M stays. Tables that lgx did not make are read without this.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from lgx import ThreadError

__all__ = [
    "JSONB_LIMIT",
    "check_size",
    "escape_json",
    "escape_text",
    "has_mark",
    "instant",
    "is_plain_time",
    "json_as_string",
    "needs_escape",
    "restore_json",
    "restore_text",
    "restore_time",
    "time_text",
]

MARK = "\ufdd0"
_BYTES_LOOKED_AT = 100
_MARK = MARK.encode()
_WHOLE = b'"' + _MARK + b"json:"

JSONB_LIMIT = (1 << 28) - 1
"""Bytes that the elements of one JSONB array or object, or one string in it, may take."""

_DEEPEST = 1000  # levels that every server's stack surely takes
_LONGEST_NUMBER = 1000  # characters; `numeric` takes 131072 digits before the point

# -- text and JSON -------------------------------------------------------------------

_ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F]|[fF][dD][dD]0)")
# 1e9999 is eight bytes as JSON, and ten thousand when the server writes it out.
_POWER = re.compile(rb"[0-9][eE][+-]?[0-9]{3,}+(?:[,}\]\s]|$)")
_AS_ZEROS = bytes.maketrans(b"123456789+-E", b"00000000000e")

_HIGH = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_STRETCH = re.compile(
    rb"((?:[^\\\xef]++|\\[^u]|"
    + _HIGH
    + _LOW
    + rb"|\\u(?!0000|[dD][89a-fA-F]|[fF][dD][dD]0)|\xef(?!\xb7\x90))*+)"
    rb"(?:\\u([0-9a-fA-F]{4})|\xef\xb7\x90)?"
)
"""Text that needs no escape, and what follows it: the digits of one that does, or M."""

_RESTORED = re.compile(_MARK + rb"([0-9a-f]{4})")
_RESTORED_TEXT = re.compile(MARK + "(0000|fdd0)")
_PIECE = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.]*+(?:[eE][+-]?([0-9]++))?|([\[{])|[\]}]', re.DOTALL
)


def needs_escape(line: bytes) -> bool:
    """Whether cells cut from this text may hold what `escape_json` and `escape_text` change.

    A quick look that errs on the side of yes.
    """
    return (
        (b"\\" in line and b"\\u" in line and _ESCAPED.search(line) is not None)
        or (not line.isascii() and _MARK in line)
        or _has_power(line)
    )


def _has_power(text: bytes) -> bool:
    """What searching for `_POWER` would find, several times as fast."""
    as_zeros = text.translate(_AS_ZEROS)
    at = as_zeros.find(b"0e000")
    while at >= 0:
        if _POWER.match(text, at):
            return True
        at = as_zeros.find(b"0e000", at + 1)
    return False


def has_mark(cell: bytes) -> bool:
    """Whether there may be something in it to restore. Most text shows at once that not."""
    at = -1
    for _ in range(_BYTES_LOOKED_AT):  # a byte is found many times as fast as three
        at = cell.find(b"\xef", at + 1)
        if at < 0:
            return False
        if cell.startswith(_MARK, at):
            return True
    return cell.find(_MARK, at) >= 0


def escape_text(text: str) -> bytes:
    """A cell of a text column, in UTF-8; without NUL, and to be told from every other text."""
    if MARK in text:
        text = text.replace(MARK, f"{MARK}fdd0")
    if "\0" in text:
        text = text.replace("\0", f"{MARK}0000")
    return text.encode()


def restore_text(cell: str) -> str:
    """What `escape_text` was given."""
    if MARK not in cell:
        return cell
    return _RESTORED_TEXT.sub(lambda match: "\0" if match[1] == "0000" else MARK, cell)


def escape_json(text: bytes, *, strictly: bool = False) -> bytes:
    """A cell that JSONB takes, from the text of one JSON value.

    Args:
        strictly: looks at every number and level too, which costs much; for a cell that the
            server has refused.
    """
    if (strictly or _has_power(text)) and not _fits_by_value(text):
        return json_as_string(text)
    if not (_ESCAPED.search(text) or _MARK in text):
        return text
    parts = []
    position = 0
    while position < len(text):
        match = _STRETCH.match(text, position)
        assert match is not None, "it matches the empty text too"
        position = match.end()
        clean, digits = match.groups()
        parts.append(clean)
        if digits is not None:
            parts += (_MARK, digits.lower())
        elif match.end(1) != position:
            parts.append(_MARK + b"fdd0")
        elif not clean:
            return text  # not JSON: the server will say so
    return b"".join(parts)


def json_as_string(text: bytes) -> bytes:
    """The text of a JSON value as one string, which `restore_json` turns back."""
    return _WHOLE + msgspec.json.encode(text.decode())[1:]


def _fits_by_value(text: bytes) -> bool:
    depth = 0
    for match in _PIECE.finditer(text):
        first = text[match.start()]
        if first in b"[{":
            depth += 1
            if depth > _DEEPEST:
                return False
        elif first in b"]}":
            depth -= 1
        elif first != 0x22:
            power = match[1]
            if match.end() - match.start() > _LONGEST_NUMBER:
                return False
            if power is not None and len(power.lstrip(b"0")) > 3:
                return False
    return True


def restore_json(cell: bytes) -> bytes:
    """The text that `escape_json` was given, as JSONB spells it."""
    if not has_mark(cell):
        return cell
    if cell.startswith(_WHOLE):
        try:
            return msgspec.json.decode(cell, type=str)[6:].encode()
        except (msgspec.MsgspecError, UnicodeError):
            return cell
    return _RESTORED.sub(rb"\\u\1", cell)


def check_size(column: str, cell: bytes) -> None:
    """
    Raises:
        ThreadError: no cell of the server can hold that much.
    """
    if len(cell) > JSONB_LIMIT:
        raise ThreadError(
            f"column {column!r} would hold {len(cell)} bytes of JSON, and PostgreSQL's JSONB holds "
            f"{JSONB_LIMIT} at most; move this thread into an archive or an ndjson file"
        )


# -- times ---------------------------------------------------------------------------

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_MICROSECOND = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC) - _EPOCH
_LAST = datetime.max.replace(tzinfo=UTC) - _EPOCH


def instant(text: str) -> int | None:
    """A time in ISO 8601 as microseconds since 2000, UTC where it names no offset; None where
    it is no time, or one that Python cannot count."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    since = when - _EPOCH
    if not _FIRST <= since <= _LAST:
        return None
    return since.days * _DAY + since.seconds * 1_000_000 + since.microseconds


def is_plain_time(text: str, microseconds: int) -> bool:
    """Whether `time_text` gives this text back."""
    if (
        len(text) == 32
        and text[7] == "-"
        and text[10] == "T"
        and text[19] == "."
        and text.endswith("+00:00")
    ):
        return microseconds % 1_000_000 != 0
    return text == time_text(microseconds)


def time_text(microseconds: int) -> str | None:
    """How a TIMESTAMPTZ is written where nothing else is known: `2026-01-02T03:04:05+00:00`,
    with six digits of a fraction or none. None where Python cannot count that far."""
    try:
        return (_EPOCH + microseconds * _MICROSECOND).isoformat()
    except OverflowError:
        return None


def restore_time(microseconds: int | None, exact: str | None) -> str | None:
    """The text of a time: the exact one, as long as it still means what the column says."""
    if exact is not None and instant(exact) == microseconds:
        return exact
    return None if microseconds is None else time_text(microseconds)
