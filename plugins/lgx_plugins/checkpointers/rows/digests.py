"""The digest of a set of rows, whatever their order: of what a thread is in a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

__all__ = ["Cell", "RowDigest"]

Cell: TypeAlias = str | bytes | int | None

_MODULUS = 1 << 256

_encoder = msgspec.msgpack.Encoder()  # it tells kinds of cells apart, and where each ends


class RowDigest:
    """Two sets of rows have the same digest if, and for all purposes only if, they are equal.

    The rows' own hashes are added up, so that they may come in any order, and tables that are
    written in another order than they are read in need not be sorted.
    """

    def __init__(self) -> None:
        self._sum = 0
        self.rows = 0

    def add(self, table: str, cells: Sequence[Cell]) -> None:
        """Takes one row; the same cells in the same sequence each time, keys included. Text is
        not the bytes that spell it, and NULL is not empty."""
        digest = hashlib.sha256(table.encode())
        try:
            digest.update(_encoder.encode(cells))
        except (OverflowError, UnicodeEncodeError):
            digest.update(repr(cells).encode())  # a number or a text that few places can hold
        self._sum = (self._sum + int.from_bytes(digest.digest(), "big")) % _MODULUS
        self.rows += 1

    def text(self) -> str:
        """Of what has been taken so far."""
        return f"{self.rows}-{self._sum:064x}"
