"""PostgresSaver is the oracle: what it wrote, copied, reads as the original does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


async def test_every_row_of_a_copy_is_the_original_s_and_the_saver_reads_the_same(
    filled: Any, new_store: Callable[[], Any], zoo: Any
) -> None:
    copy = new_store()

    report = await filled.copy_to(copy)

    assert report.exit_code == 0, report
    assert copy.rows() == filled.rows()
    with filled.saver() as original, copy.saver() as saver:
        before = zoo.held(original)
        assert len(before) > 80
        assert zoo.differences(before, zoo.held(saver)) == []


async def test_graphs_go_on_with_a_copy_as_with_the_original(
    filled: Any, new_store: Callable[[], Any], zoo: Any
) -> None:
    """Interrupts, Send, subgraphs and deltas."""
    copy = new_store()
    await filled.copy_to(copy)

    with filled.saver() as original, copy.saver() as saver:
        assert zoo.differences(zoo.resume(original), zoo.resume(saver)) == []


async def test_a_second_run_moves_nothing_and_a_third_what_changed(
    filled: Any, new_store: Callable[[], Any], zoo: Any
) -> None:
    """Also a thread of which only an answer was added, under an id that was there."""
    copy = new_store()
    first = await filled.copy_to(copy)
    second = await filled.copy_to(copy)
    with filled.saver() as saver:
        zoo.resume(saver)
    third = await filled.copy_to(copy)

    assert (first.threads.written, first.threads.unchanged) == (28, 0)
    assert (second.threads.written, second.threads.unchanged) == (0, 28)
    assert (third.threads.written, third.threads.unchanged) == (6, 22)
    assert copy.rows() == filled.rows()


@pytest.mark.parametrize("schema", ["agents", 'A "b"--'])
async def test_any_schema_will_do(filled: Any, new_store: Callable[[], Any], schema: str) -> None:
    """It is made where it is missing, and read there."""
    there, back = new_store(), new_store()

    first = await filled.copy_to(there, sink_schema=schema)
    assert first.exit_code == 0, first
    report = await there.copy_to(back, source_schema=schema)

    assert report.exit_code == 0
    assert there.rows(schema.replace('"', '""')) == filled.rows() == back.rows()
    assert there.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
