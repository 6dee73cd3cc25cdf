"""The canonical form of JSON, and digests of it: what "equal" means in lgx.

Two texts are equal when they hold the same value: keys in any order, the last of duplicate
keys, strings by their code points (`"\\u0041"` is `"A"`), numbers by their exact decimal value
(`1`, `1.0` and `1e0` are one number; 0.1000000000000000055 is not 0.1).

The form itself: no white space, keys in the order of their code points, numbers written in
the one way that `_number` describes, lone surrogates as `\\ud800`, all else as UTF-8. It is
JSON again, and its own canonical form. Its size is in proportion to the text's: `1e999999999`
stays short. msgspec makes it where it can; text that it refuses (lone surrogates, nesting
past a thousand levels) or would change (integers of 19 digits and more) takes a slower road
to the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw

from lgx.codec import encode_line
from lgx.jsontext import tokens
from lgx.records import Record

__all__ = [
    "Node",
    "canonical",
    "digest",
    "digest_records",
    "duplicate_keys",
    "record_digest",
    "tree",
]

_Text: TypeAlias = bytes | bytearray | memoryview | Raw
Node: TypeAlias = "bytes | list[Node] | dict[str, Node]"
"""A value taken apart: equal scalars are equal bytes."""

_PLAIN_DIGITS = 21
"""The longest run of digits that is written out where an exponent would be shorter."""

_NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]\+?(-?)0*([0-9]*))?")
_LONG_INTEGER = re.compile(rb"(?<![.0-9])[0-9]{19}")
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SURROGATES = re.compile("([\ud800-\udfff])")

_encoder = msgspec.json.Encoder(order="sorted")  # by UTF-8 bytes, which is by code points


def canonical(text: _Text) -> bytes:
    """The canonical form of one JSON value.

    Raises:
        ThreadError: not UTF-8, or not one JSON value.
    """
    source = bytes(text)
    if not _has_long_integer(source):
        try:
            return _encoder.encode(_decoder.decode(source))
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            pass  # malformed, or merely beyond msgspec: the slow reader tells which
    return _write(_tree(source, []))


def duplicate_keys(text: _Text) -> tuple[str, ...]:
    """The keys that stand more than once in one object, in the order of their repetition.

    What stood under them before the last is not part of the canonical form.

    Raises:
        ThreadError: not UTF-8, or not one JSON value.
    """
    found: list[str] = []
    _tree(bytes(text), found)
    return tuple(dict.fromkeys(found))


def digest(text: _Text) -> str:
    """The digest of one JSON value: 64 hexadecimal digits, the same for equal values."""
    return _hash(canonical(text)).hexdigest()


def record_digest(record: Record) -> str:
    """The digest of all that a record holds: its kind, every field, also unknown ones.

    A field that is UNSET differs from one that is null.

    Raises:
        ThreadError: the record holds bytes that are not UTF-8, or text that is not JSON.
    """
    return digest(encode_line(record))


def digest_records(records: Iterable[Record], *, ordered: bool = True) -> str:
    """The digest of several records, read one at a time; of none: a value of its own.

    Args:
        ordered: whether the order of the records counts; how often each occurs always does.
    """
    if ordered:
        whole = blake2b(digest_size=32)
        for record in records:
            whole.update(bytes.fromhex(record_digest(record)))
        return whole.hexdigest()
    total = sum(int(record_digest(record), 16) for record in records)
    return _hash(b"%x" % total).hexdigest()


def _hash(data: bytes) -> blake2b:
    return blake2b(data, digest_size=32)


def _has_long_integer(text: bytes) -> bool:
    """Whether an integer may have more digits than msgspec gives back as they were."""
    return b"0" * 19 in text.translate(_DIGITS_AS_ZEROS) and _LONG_INTEGER.search(text) is not None


# -- numbers -------------------------------------------------------------------------


def _number(text: str) -> bytes:
    """A number as digits times a power of ten, both as small as can be, then written so:

    `1200` and `0.0012` where that takes at most 21 digits, else `12e400` and `12e-400`.
    """
    match = _NUMBER.fullmatch(text)
    assert match is not None, "the caller has matched a number"
    sign, whole, fraction, power_sign, power = match.groups(default="")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return b"0"
    shift = len(digits) - len(fraction)
    digits = digits.rstrip("0")
    shift -= len(digits)
    if len(power) > 18:
        return (sign + digits + "e" + _add(power_sign + power, shift)).encode()
    exponent = int(power_sign + (power or "0")) + shift
    if exponent == 0:
        result = digits
    elif 0 < exponent <= _PLAIN_DIGITS - len(digits):
        result = digits + "0" * exponent
    elif -_PLAIN_DIGITS <= exponent < 0 and len(digits) <= _PLAIN_DIGITS:
        padded = digits.rjust(1 - exponent, "0")
        result = f"{padded[:exponent]}.{padded[exponent:]}"
    else:
        result = f"{digits}e{exponent}"
    return (sign + result).encode()


def _add(power: str, shift: int) -> str:
    """The sum, without int(), which refuses 4300 digits and takes their square in time."""
    context = Context(prec=len(power) + 20, Emax=MAX_EMAX, Emin=MIN_EMIN)
    return format(context.add(Decimal(power), Decimal(shift)), "f")


def _float_hook(text: str) -> Raw:
    return Raw(_number(text))


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=_float_hook)


# -- the slower road -----------------------------------------------------------------


def tree(text: _Text) -> Node:
    """One JSON value as objects, arrays and canonical scalars, for comparing parts of it.

    Raises:
        ThreadError: not UTF-8, or not one JSON value.
    """
    return _tree(bytes(text), [])


def _tree(text: bytes, duplicates: list[str]) -> Node:
    """Built without recursion; keys that come again are added to `duplicates`."""
    stack: list[tuple[dict[str, Node] | list[Node], str | None]] = []
    container: dict[str, Node] | list[Node] | None = None
    key: str | None = None  # of the object in hand; None where a key comes next
    root: Node = b""
    for _, kind, start, end in tokens(text):
        token = text[start:end]
        node: Node
        if kind == "string":
            string: str = json.loads(token)
            if isinstance(container, dict) and key is None:
                key = string
                if key in container:
                    duplicates.append(key)
                continue
            node = _string(string)
        elif kind == "number":
            node = _number(token.decode())
        elif kind == "word":
            node = token
        elif token in b"{[":
            if container is not None:
                stack.append((container, key))
            container, key = ({} if token == b"{" else []), None
            continue
        elif token in b"}]":
            assert container is not None
            node = container
            container, key = stack.pop() if stack else (None, None)
        else:
            continue
        if container is None:
            root = node
        elif isinstance(container, list):
            container.append(node)
        else:
            assert key is not None
            container[key] = node
            key = None
    return root


def _write(tree: Node) -> bytes:
    """The text of a tree; nothing is copied more than once, however deep it stands."""
    parts: list[bytes] = []
    pending: list[Node] = [tree]  # from the last to the first
    while pending:
        node = pending.pop()
        if isinstance(node, bytes):
            parts.append(node)
        elif isinstance(node, list):
            parts.append(b"[")
            pending.append(b"]")
            for number, item in enumerate(reversed(node), start=1 - len(node)):
                pending.append(item)
                if number:
                    pending.append(b",")
        else:
            parts.append(b"{")
            pending.append(b"}")
            for number, key in enumerate(sorted(node, reverse=True), start=1 - len(node)):
                pending += (node[key], b":", _string(key))
                if number:
                    pending.append(b",")
    return b"".join(parts)


def _string(text: str) -> bytes:
    try:
        return _encoder.encode(text)
    except UnicodeEncodeError:
        # `split` with a group gives text and surrogates in turn.
        parts = [
            b"\\u%04x" % ord(part) if number % 2 else _encoder.encode(part)[1:-1]
            for number, part in enumerate(_SURROGATES.split(text))
        ]
        return b'"' + b"".join(parts) + b'"'
