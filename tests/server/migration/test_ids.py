"""Threads whose ids are no UUIDs, which is all that a server takes."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

import lgx

from .comparison import compare
from .fill import Filled
from .moving import labels
from .requests import Server

ODD = ["../etc/passwd", "\N{GRINNING FACE}", "a" * 300, "", "user/7", "0" * 36, "{1}"]


@pytest.fixture
async def path(source: Filled, tmp_path: Path) -> Path:
    """A file with copies of one thread under strange ids, with a cron for one of them."""
    whole = tmp_path / "whole.ndjson"
    thread_id = source.threads["loop-cron"]
    turns = source.threads["relay-resumed-one"]
    report = await lgx.run_async(
        lgx.use("cloud", url=source.url),
        lgx.use("ndjson", path=str(whole)),
        thread_ids=(thread_id, turns),
        extras=True,
    )
    assert report.exit_code == 0
    lines = whole.read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["kind"] in ("header", "cron")]
    kept = [line.replace(thread_id, "user/7") for line in kept]
    own = [line for line in lines if json.loads(line).get("thread_id") == turns]
    for odd in ODD:
        kept += [json.dumps({**json.loads(line), "thread_id": odd}) for line in own]
    path = tmp_path / "odd.ndjson"
    path.write_text("\n".join([lines[0], *(k for k in kept if k != lines[0])]) + "\n")
    return path


async def test_they_are_made_of_the_ids(path: Path, source: Filled, target: str) -> None:
    """By UUIDv5, in the report and in the label; the history is the same."""
    report = await lgx.run_async(
        lgx.use("ndjson", path=str(path)), lgx.use("cloud", url=target), extras=True
    )
    assert report.threads.written == len(ODD), report.failures
    found = await labels(target)
    made = {label["thread_id"]: thread_id for thread_id, label in found.items()}
    assert made.keys() == set(ODD)
    assert {uuid.UUID(thread_id).version for thread_id in found} == {5}
    [told] = [note.message for note in report.notes if "another id" in note.message]
    assert told.startswith(f"{len(ODD)} threads have another id on the target")
    assert report.provenance is not None
    assert {odd: origin.target_id for odd, origin in report.provenance} == made
    thread_id = source.threads["relay-resumed-one"]
    for odd in ODD:
        names = {"relay-resumed-one": thread_id}
        compared = await compare(source.url, target, names, ids={thread_id: made[odd]})
        assert compared.differences == {}, str(compared)
    assert await thread_of_crons(target) == {made["user/7"]}
    again = await lgx.run_async(
        lgx.use("ndjson", path=str(path)), lgx.use("cloud", url=target), extras=True
    )
    assert again.threads.unchanged == len(ODD)
    assert (await labels(target)).keys() == found.keys()
    assert await thread_of_crons(target) == {made["user/7"]}


async def test_a_dry_run_says_that_they_will_have_others(path: Path, target: str) -> None:
    report = await lgx.run_async(
        lgx.use("ndjson", path=str(path)), lgx.use("cloud", url=target), dry_run=True
    )
    assert len(report.would_move) == len(ODD)
    [note] = [note.message for note in report.notes if "no UUIDs" in note.message]
    assert note.startswith("threads whose ids are no UUIDs get one")


async def thread_of_crons(url: str) -> set[Any]:
    async with Server(url) as server:
        crons = await server.post("/runs/crons/search", {"limit": 100})
    return {cron["thread_id"] for cron in crons} - {None}


@pytest.fixture
def other(path: Path) -> Path:
    """A file of another source's, whose threads have the same ids."""
    other = path.with_name("other.ndjson")
    lines = path.read_text().splitlines()
    header, *records = map(json.loads, lines)
    changed = [json.dumps({**header, "source": "http://other"})]
    for record in records:
        if record["kind"] == "thread":
            record["metadata"] = {"graph_id": "relay", "of": "the other"}
        changed.append(json.dumps(record))
    other.write_text("\n".join(changed) + "\n")
    return other


async def test_two_sources_are_kept_apart(path: Path, other: Path, target: str) -> None:
    """The same strange id from another file is a conflict; with --merge it stands beside."""
    first = await lgx.run_async(lgx.use("ndjson", path=str(path)), lgx.use("cloud", url=target))
    assert first.threads.written == len(ODD)
    refused = await lgx.run_async(lgx.use("ndjson", path=str(other)), lgx.use("cloud", url=target))
    assert refused.threads.failed == len(ODD)
    assert all(
        "with --merge this one would get an id of its own" in failure.why
        for failure in refused.failures
    )
    merged = await lgx.run_async(
        lgx.use("ndjson", path=str(other)), lgx.use("cloud", url=target), merge=True
    )
    assert merged.threads.written + merged.threads.partial == len(ODD), merged.failures
    assert len(await labels(target)) == 2 * len(ODD)
    for path_of_one in (path, other):
        again = await lgx.run_async(
            lgx.use("ndjson", path=str(path_of_one)), lgx.use("cloud", url=target), merge=True
        )
        assert again.threads.unchanged == len(ODD)
    assert len(await labels(target)) == 2 * len(ODD)
