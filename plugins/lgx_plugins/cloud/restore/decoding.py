"""Answers of a target as what they should be."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lgx import ThreadError

__all__ = ["decoded"]

T = TypeVar("T")


def decoded(body: bytes, kind: type[T], what: str) -> T:
    """An answer's body as what it should be.

    Raises:
        ThreadError: it is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ThreadError(f"the target's answer about a {what} is malformed: {error}") from None
