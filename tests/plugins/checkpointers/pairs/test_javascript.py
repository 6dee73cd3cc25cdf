"""What the savers of LangGraph's JavaScript packages wrote: values of the type json, whole numbers
as versions, no task_path; as the savers of Python read it, for which these forms are old ones."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

import lgx
from lgx import Report, Use

GOLDEN = Path(__file__).parent.parent / "golden"

THREADS = ("answered", "asked", "outer", "plain", "sends")


@pytest.fixture
def tables(new_store: Callable[[], Any]) -> Any:
    store = new_store()
    dump = GOLDEN / "postgres" / "js-1.0.5.sql.gz"
    store.sql(gzip.decompress(dump.read_bytes()).decode())
    return store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "js.db"
    dump = GOLDEN / "sqlite" / "js-1.0.4.sql.gz"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(gzip.decompress(dump.read_bytes()).decode())
    return path


def _tables(store: Any) -> Use:
    return lgx.use("postgres-saver", dsn=store.dsn)


def _file(path: Path) -> Use:
    return lgx.use("sqlite-saver", path=str(path))


def _held(saver: Any) -> dict[tuple[str, str, str], Any]:
    """Thread by thread, as test_older_savers.py has it."""
    found = {}
    for thread_id in THREADS:
        for item in saver.list({"configurable": {"thread_id": thread_id}}):
            place = item.config["configurable"]
            found[thread_id, place["checkpoint_ns"], place["checkpoint_id"]] = item
    assert len(found) > 2
    return found


def _in_tables(store: Any) -> Any:
    with store.saver() as saver:
        return _held(saver)


def _in_file(path: Path) -> Any:
    with SqliteSaver.from_conn_string(str(path)) as saver:
        return _held(saver)


def _of(held: Any, *threads: str) -> Any:
    """The same of some threads, but for a field that is empty and that not all layouts have."""
    found = {place: item for place, item in held.items() if place[0] in threads}
    for item in found.values():
        assert not item.checkpoint.pop("pending_sends", None)
    return found


def _failed(report: Report) -> dict[str | None, str]:
    return {failure.thread_id: failure.why for failure in report.failures}


async def test_tables_are_copied(tables: Any, new_store: Callable[[], Any], zoo: Any) -> None:
    copy = new_store()

    report = await lgx.run_async(_tables(tables), _tables(copy))

    assert (report.exit_code, report.threads.written, report.losses) == (0, 5, [])
    held = _in_tables(copy)
    assert zoo.differences(_in_tables(tables), held) == []
    last = max(place for place in held if place[:2] == ("plain", ""))
    values = held[last].checkpoint["channel_values"]
    assert [message.content for message in values["messages"]] == ["hello", "hi 🎈"]
    assert (values["n"], values["half"], values["raw"]) == (2, 0.5, b"\x00\xff")


async def test_a_file_is_copied(file: Path, tmp_path: Path, zoo: Any) -> None:
    copy = tmp_path / "copy.db"

    report = await lgx.run_async(_file(file), _file(copy))

    assert (report.exit_code, report.threads.written, report.losses) == (0, 5, [])
    assert zoo.differences(_in_file(file), _in_file(copy)) == []


async def test_tables_go_into_a_file_and_back(
    tables: Any, tmp_path: Path, new_store: Callable[[], Any], zoo: Any
) -> None:
    """Where messages stand beside bytes only LangGraph could bring them into one document: these
    threads fail, and say so."""
    path, back = tmp_path / "copy.db", new_store()

    there = await lgx.run_async(_tables(tables), _file(path))
    again = await lgx.run_async(_file(path), _tables(back))

    assert there.exit_code == 3
    failed = _failed(there)
    assert sorted(failed, key=str) == ["outer", "plain", "sends"]
    assert all("in the older JSON form beside" in why for why in failed.values())
    assert (again.exit_code, again.threads.written, again.losses) == (0, 2, [])
    before = _of(_in_tables(tables), "asked", "answered")
    assert zoo.differences(before, _of(_in_file(path), "asked", "answered")) == []
    assert zoo.differences(before, _of(_in_tables(back), "asked", "answered")) == []


async def test_a_file_goes_into_tables(file: Path, new_store: Callable[[], Any], zoo: Any) -> None:
    """Channels that have a value and no version, as that package writes empty ones, are listed;
    branches whose versions count alike are refused."""
    copy = new_store()

    report = await lgx.run_async(_file(file), _tables(copy))

    assert (report.exit_code, report.threads.written) == (3, 4)
    ((failed, why),) = _failed(report).items()
    assert (failed, "do so in branches of a thread" in why) == ("plain", True)
    threads = [one for one in THREADS if one != failed]
    before = _of(_in_file(file), *threads)
    unversioned = set()
    for (_, namespace, key), item in before.items():
        values = item.checkpoint["channel_values"]
        for channel in values.keys() - item.checkpoint["channel_versions"].keys():
            assert values.pop(channel) in ([], [[], []])
            where = f"in checkpoint {key!r} of namespace {namespace!r}"
            unversioned.add(f"value of channel {channel!r} {where}")
    assert {loss.what for loss in report.losses} == unversioned != set()
    assert zoo.differences(before, _of(_in_tables(copy), *threads)) == []
