"""What documents of Redis say: as states, and beside other layouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lgx import run_async, use, verify_async


def _records(path: Path) -> list[Any]:
    found = [json.loads(line) for line in path.read_text().split("\n") if line]
    return [line for line in found if line["kind"] in ("thread", "checkpoint")]


async def test_states_are_those_of_a_copy_in_another_layout(filled: Any, tmp_path: Path) -> None:
    """Record by record, of the whole zoo."""
    copy = use("sqlite-saver", path=tmp_path / "x.db")
    await run_async(filled.use(), copy)
    exports = []
    for number, source in enumerate((filled.use(), copy)):
        path = tmp_path / f"{number}.ndjson"
        report = await run_async(source, use("ndjson", path=path), fidelity="state")
        assert (report.failures, report.exit_code) == ([], 0)
        exports.append(sorted(_records(path), key=json.dumps))
    assert len(exports[0]) > 100
    assert exports[0] == exports[1]


async def test_a_copy_in_another_layout_is_compared_by_what_it_says(
    filled: Any, tmp_path: Path
) -> None:
    """An exact one is equal."""
    copy = use("sqlite-saver", path=tmp_path / "x.db")
    await run_async(filled.use(), copy)
    found = await verify_async(filled.use(), copy)
    assert found.differences == []
    assert (found.exit_code, found.level) == (0, "contents")
