"""Filters over threads that come out of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


@pytest.mark.parametrize("name", ["archive", "json", "ndjson", "sqlite"])
@pytest.mark.parametrize(
    "filters",
    [
        {"since": "2020-01-01"},
        {"until": "2030-01-01"},
        {"status": "idle"},
        {"metadata": {"a": 1}},
    ],
)
def test_a_thread_without_a_record_passes_no_filter_but_that_by_ids(
    name: str, filters: dict[str, Any], tmp_path: Path
) -> None:
    """What cannot be matched is not admitted."""
    given = use("ndjson", path=tmp_path / "given")
    whole = (
        b'{"kind":"thread","thread_id":"b","created_at":null,'
        b'"updated_at":"2026-01-02T00:00:00+00:00",'
        b'"status":"idle","metadata":{"a":1}}'
    )
    bare = b'{"kind":"checkpoint","thread_id":"a","checkpoint_ns":"","checkpoint_id":"1"}'
    (tmp_path / "given").write_bytes(bare + b"\n" + whole + b"\n")
    source = use(name, path=tmp_path / "source")
    assert lgx.run(given, source).exit_code == 0
    target = tmp_path / "target"
    report = lgx.run(source, use("ndjson", path=target), **filters)
    assert (report.exit_code, report.threads.written) == (0, 1)
    assert target.read_bytes().splitlines()[1:] == [whole]
    assert lgx.run(source, use("ndjson", path=target), thread_ids=["a"]).threads.written == 1


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_a_thread_whose_record_is_malformed_is_lost_where_it_would_be_filtered(
    name: str, tmp_path: Path
) -> None:
    """It might have been wanted."""
    path = tmp_path / "source"
    if name == "json":
        path.write_bytes(b'{"threads":[{"thread_id":"a","created_at":5,"history":[]}]}')
    else:
        path.write_bytes(
            b'{"kind":"thread","thread_id":"a","created_at":5}\n'
            b'{"kind":"checkpoint","thread_id":"a","checkpoint_ns":"","checkpoint_id":"1"}\n'
        )
    report = lgx.run(
        use(name, path=path), use("ndjson", path=tmp_path / "target"), since="2020-01-01"
    )
    assert report.exit_code == 3
    assert [(f.thread_id, f.why) for f in report.failures] == [
        ("a", "the filters cannot be applied to it: its own record cannot be read")
    ]


@pytest.mark.parametrize("name", ["json", "ndjson", "sqlite"])
def test_a_file_without_earlier_states_refuses_as_of(name: str, tmp_path: Path) -> None:
    source = use(name, path=tmp_path / "source")
    with pytest.raises(lgx.UsageError, match=f"the {name} source has none but the present one"):
        lgx.run(source, use("ndjson", path=tmp_path / "target"), as_of="2026-01-01")
