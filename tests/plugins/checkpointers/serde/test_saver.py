"""All that a saver keeps of graphs of every sort."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lgx_plugins.checkpointers.serde import Document, encode, reading


@pytest.fixture
def rows(sqlite_zoo: Path) -> list[tuple[str, bytes]]:
    """Types and bytes of all checkpoints and writes."""
    with closing(sqlite3.connect(sqlite_zoo)) as connection:
        return [
            *connection.execute("SELECT type, checkpoint FROM checkpoints"),
            *connection.execute("SELECT type, value FROM writes"),
        ]


def test_every_row_comes_back_byte_for_byte(rows: list[tuple[str, bytes]]) -> None:
    """From neutral JSON, and from a document in which every text was replaced by itself."""
    assert len(rows) > 100
    for kind, blob in rows:
        document = Document.parse(kind, blob)

        assert encode(document.to_json()) == (kind, blob)
        assert document.replaced({text: text.value for text in document.strings()}) == blob


def test_both_roads_agree_on_every_row(rows: list[tuple[str, bytes]]) -> None:
    """And few rows need the slow one."""
    packed = [blob for kind, blob in rows if kind == "msgpack"]

    fast = [reading.fast(blob) for blob in packed]

    assert [
        blob
        for blob, text in zip(packed, fast, strict=True)
        if text is not None and text != reading.slow(blob)
    ] == []
    assert fast.count(None) < len(packed) / 10
