"""What older versions of PostgresSaver wrote, from the first that had these tables on: rows of
types json and empty, checkpoints of versions 1 to 4, tables without indexes and task_path."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lgx

GOLDEN = Path(__file__).parent.parent / "golden" / "postgres"

VERSIONS = {"1.0.3": 1, "1.0.9": 1, "2.0.8": 2, "2.0.21": 3, "2.0.23": 4, "3.0.0": 4}
"""The version of each one's checkpoints."""


def load(store: Any, version: str) -> Any:
    """Tables as that version left them."""
    store.sql(gzip.decompress((GOLDEN / f"{version}.sql.gz").read_bytes()).decode())
    held = store.sql("SELECT DISTINCT checkpoint ->> 'v' FROM checkpoints")
    assert held == [(str(VERSIONS[version]),)]
    return store


def _use(store: Any) -> lgx.Use:
    return lgx.use("postgres-saver", dsn=store.dsn)


async def _moved(source: lgx.Use, sink: lgx.Use) -> None:
    report = await lgx.run_async(source, sink)
    assert report.exit_code == 0, report
    assert (report.threads.written, report.losses) == (3, [])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_copy_of_an_older_saver_s_tables_reads_as_they_do(
    new_store: Callable[[], Any], zoo: Any, version: str
) -> None:
    older, copy = load(new_store(), version), new_store()

    await _moved(_use(older), _use(copy))

    found = await lgx.verify_async(_use(older), _use(copy))
    assert (found.exit_code, found.differences) == (0, []), found
    with older.saver() as saver:  # which brings the original up to date
        before = _held(saver)
    assert len(before) > 10
    with copy.saver() as saver:
        assert zoo.differences(before, _held(saver)) == []


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "1.0.3"])
async def test_what_older_savers_wrote_goes_into_the_other_layout_and_back(
    new_store: Callable[[], Any], in_sqlite: Any, tmp_path: Path, zoo: Any, version: str
) -> None:
    older, back = load(new_store(), version), new_store()
    file = lgx.use("sqlite-saver", path=str(tmp_path / "copy.db"))

    await _moved(_use(older), file)
    await _moved(file, _use(back))

    with older.saver() as saver:
        before = _held(saver)
    with back.saver() as saver:
        assert zoo.differences(_values(before), _values(_held(saver))) == []
    assert zoo.differences(_values(before), _values(in_sqlite(tmp_path / "copy.db"))) == []


async def test_objects_in_json_beside_bytes_are_kept_apart_from_the_other_layout(
    new_store: Callable[[], Any], tmp_path: Path
) -> None:
    """Only LangGraph could bring them into one document; each thread says so."""
    older = load(new_store(), "1.0.3")
    file = lgx.use("sqlite-saver", path=str(tmp_path / "copy.db"))

    report = await lgx.run_async(_use(older), file)

    assert (report.exit_code, report.threads.failed) == (3, 3)
    assert all("in the older JSON form beside" in failure.why for failure in report.failures)


def _held(saver: Any) -> Any:
    """Everything in it, thread by thread: of several together PostgresSaver looks for what tasks
    sent before version 4 in the first one alone."""
    found = {}
    for thread_id in ("plain", "sends", "outer"):
        for item in saver.list({"configurable": {"thread_id": thread_id}}):
            place = item.config["configurable"]
            found[thread_id, place["checkpoint_ns"], place["checkpoint_id"]] = item
    return found


def _values(held: Any) -> Any:
    """Without a field that was empty in versions before 4."""
    for item in held.values():
        assert not item.checkpoint.pop("pending_sends", None)
    return held
