"""A copy is what the original is: for LangGraph, and byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any


async def test_a_copy_holds_what_the_saver_wrote(
    files: Any, sqlite_zoo: Path, in_sqlite: Any, zoo: Any
) -> None:
    """Every checkpoint of list(None) is equal, and every row byte by byte: subgraphs, forks,
    interrupts, failures, Send, DeltaChannel, values of every type, awkward ids."""
    outcomes = await files.copy(sqlite_zoo)
    assert {(one.error, one.losses, one.written) for one in outcomes} == {(None, (), True)}
    assert files.rows(files.target) == files.rows(sqlite_zoo)
    before = in_sqlite(sqlite_zoo)
    assert len(before) == 88
    assert zoo.differences(before, in_sqlite(files.target)) == []
