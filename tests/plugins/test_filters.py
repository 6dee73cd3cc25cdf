"""Filters over threads that come out of files."""

from __future__ import annotations

from pathlib import Path

import pytest

import lgx
from lgx import use

LINES = [
    b'{"kind":"thread","thread_id":"a","updated_at":"2026-01-02T00:00:00+00:00"}',
    b'{"kind":"thread","thread_id":"b","updated_at":"yesterday"}',
    b'{"kind":"thread","thread_id":"c","updated_at":"2025-01-01T00:00:00+00:00"}',
    b'{"kind":"thread","thread_id":"d","updated_at":"2026-01-03T00:00:00+00:00"}',
]


@pytest.mark.parametrize("name", ["archive", "json", "ndjson", "sqlite"])
def test_a_thread_whose_time_is_malformed_is_lost_alone(name: str, tmp_path: Path) -> None:
    """Where a window of time is asked for; whichever file it stands in."""
    given = use("ndjson", path=tmp_path / "given")
    (tmp_path / "given").write_bytes(b"\n".join(LINES) + b"\n")
    source = use(name, path=tmp_path / "source")
    assert lgx.run(given, source).exit_code == 0
    target = use("ndjson", path=tmp_path / "target")
    report = lgx.run(source, target, since="2026-01-01")
    assert report.exit_code == 3
    assert report.threads.written == 2
    assert {failure.thread_id for failure in report.failures} == {"b"}
    assert all("'yesterday' is not a time" in failure.why for failure in report.failures)
    assert lgx.run(source, target).exit_code == 0


@pytest.mark.parametrize("name", ["json", "ndjson", "sqlite"])
def test_a_file_without_earlier_states_refuses_as_of(name: str, tmp_path: Path) -> None:
    source = use(name, path=tmp_path / "source")
    with pytest.raises(lgx.UsageError, match=f"the {name} source has none but the present one"):
        lgx.run(source, use("ndjson", path=tmp_path / "target"), as_of="2026-01-01")
