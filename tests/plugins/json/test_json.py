"""JSON documents: the older tool's layout, what it has no place for, and bad ones."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

import lgx
from lgx import (
    Bundle,
    Checkpoint,
    Loss,
    Query,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
    ThreadEnd,
    UnknownRecord,
    encode_line,
    raw,
    use,
)
from lgx.testing import make_bundle, make_context, make_run
from lgx.testing.conformance.filling import fill
from lgx_plugins.json.sink import JsonSink, JsonSinkConfig
from lgx_plugins.json.source import JsonSource, JsonSourceConfig
from lgx_plugins.locks import TargetLock

HERE = Path(__file__).parent
OLDER = HERE / "data" / "threads_backup.json.gz"
GOLDEN = HERE / "golden" / "v1.json"
GOLDEN_LINES = HERE.parent / "ndjson" / "golden" / "v1.ndjson"

POINT: dict[str, Any] = {"thread_id": "a", "checkpoint_ns": "", "checkpoint_id": "c"}

Item = Record | ThreadEnd | Loss


def scan(path: Path, query: Query | None = None) -> list[Item]:
    async def go() -> list[Item]:
        async with JsonSource(JsonSourceConfig(path=path)) as source:
            assert isinstance(source, JsonSource)
            return [item async for item in source.scan(query or Query(), make_context())]

    return asyncio.run(go())


def store(path: Path, *threads: list[Record]) -> None:
    asyncio.run(fill(JsonSink(JsonSinkConfig(path=path)), threads))


def lines_of(items: list[Item]) -> dict[str, list[bytes]]:
    """The lines of each thread; fails where a thread comes in two parts."""
    found: dict[str, list[bytes]] = {}
    current: list[bytes] = []
    for item in items:
        if isinstance(item, ThreadEnd):
            assert item.thread_id not in found
            found[item.thread_id] = current
            current = []
        elif not isinstance(item, Loss):
            current.append(encode_line(item))
    assert current == []
    return found


def outcomes_of(items: list[Item]) -> dict[str, str]:
    return {item.thread_id: item.outcome for item in items if isinstance(item, ThreadEnd)}


def losses_of(items: list[Item]) -> list[tuple[str | None, str, str]]:
    """Thread, what and why of everything that is told to be missing."""
    losses = []
    for item in items:
        if isinstance(item, Loss):
            losses.append(item)
        elif isinstance(item, ThreadEnd):
            losses += item.losses
    return [(loss.thread_id, loss.what, loss.why) for loss in losses]


def state(number: int, **fields: Any) -> dict[str, Any]:
    parent = f"c{number - 1}" if number else None
    return {
        "values": {"n": number},
        "checkpoint_id": f"c{number}",
        "parent_checkpoint_id": parent,
    } | fields


def element(thread_id: str, states: int) -> dict[str, Any]:
    """A thread of the older layout, its history newest first."""
    return {
        "thread_id": thread_id,
        "metadata": {"owner": "ü"},
        "values": None,
        "history": [state(number) for number in reversed(range(states))],
        "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-02T00:00:00+00:00",
    }


def document(*threads: dict[str, Any], **fields: Any) -> dict[str, Any]:
    count = sum(len(thread["history"]) for thread in threads)
    totals = {"total_threads": len(threads), "total_checkpoints": count}
    return (
        {"threads": list(threads), "export_date": "2026-01-03", "source": "http://a"}
        | totals
        | fields
    )


def write(path: Path, content: dict[str, Any] | str | bytes, **options: Any) -> Path:
    if isinstance(content, dict):
        content = json.dumps(content, **options)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- the older tool --------------------------------------------------------------------


def test_a_document_of_the_older_tool_goes_through_both_formats_unchanged(tmp_path: Path) -> None:
    """JSON to NDJSON to JSON: equal for a program that was written for the older layout."""
    lines, back, again = tmp_path / "a.ndjson", tmp_path / "b.json.gz", tmp_path / "c.ndjson"
    reports = [
        lgx.run(use("json", path=OLDER), use("ndjson", path=lines)),
        lgx.run(use("ndjson", path=lines), use("json", path=back)),
        lgx.run(use("json", path=back), use("ndjson", path=again)),
    ]
    for report in reports:
        assert (report.exit_code, report.threads.written, report.checkpoints.written) == (
            0,
            63,
            1168,
        )
        assert report.notes == []
    older = json.loads(gzip.decompress(OLDER.read_bytes()))
    newer = json.loads(gzip.decompress(back.read_bytes()))
    assert newer["threads"] == older["threads"]
    for key in ("source", "total_threads", "total_checkpoints"):
        assert newer[key] == older[key]
    assert again.read_bytes().splitlines()[1:] == lines.read_bytes().splitlines()[1:]


def test_checkpoints_come_oldest_first(tmp_path: Path) -> None:
    """The document holds them newest first."""
    path = write(tmp_path / "a.json", document(element("t", 3)))
    records = scan(path)
    assert isinstance(records[0], Thread)
    ids = [item.checkpoint_id for item in records if isinstance(item, Checkpoint)]
    assert (ids, outcomes_of(records)) == (["c0", "c1", "c2"], {"t": "complete"})


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_a_history_in_another_order_gives_no_checkpoint_before_its_parent(
    tmp_path: Path, order: list[int]
) -> None:
    thread = element("t", 0) | {"history": [state(number) for number in order]}
    records = scan(write(tmp_path / "a.json", document(thread)))
    ids = [item.checkpoint_id for item in records if isinstance(item, Checkpoint)]
    assert ids == ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize("options", [{}, {"indent": 2}, {"sort_keys": True}, {"indent": 0}])
def test_white_space_and_the_order_of_keys_make_no_difference(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    """Nor do they change a thread's version."""
    text = document(element("a", 3), element("b", 0))
    plain = scan(write(tmp_path / "a.json", text, separators=(",", ":")))
    other = scan(write(tmp_path / "b.json", text, **options))
    if "sort_keys" in options:
        assert outcomes_of(other) == outcomes_of(plain)
    else:
        assert other == plain
    assert len(lines_of(other)["a"]) == 4


def test_a_thread_that_stands_twice_comes_once_and_the_last_is_taken(tmp_path: Path) -> None:
    """As an export makes it whose pages shifted; it is noted."""
    path = write(tmp_path / "a.json", document(element("t", 3), element("u", 1), element("t", 4)))
    assert {key: len(lines) for key, lines in lines_of(scan(path)).items()} == {"u": 2, "t": 5}
    report = lgx.run(use("json", path=path), use("ndjson", path=tmp_path / "out"))
    assert [(note.thread_id, note.message) for note in report.notes] == [
        ("t", "the thread stands in the file more than once; the last was taken")
    ]


def test_what_is_not_carried_over_is_noted(tmp_path: Path) -> None:
    """Unknown keys, and totals that are too small."""
    path = write(tmp_path / "a.json", document(element("t", 1), note={"a": [1]}, total_threads=0))
    report = lgx.run(use("json", path=path), use("ndjson", path=tmp_path / "out"))
    assert [note.message for note in report.notes] == [
        f"the key 'note' of {str(path)!r} is not carried over",
        f"{str(path)!r} says total_threads 0, and holds 1 of them",
    ]


# -- what the older layout has no place for --------------------------------------------

EVERYTHING: list[Record] = [
    Thread(
        thread_id="t/é",
        created_at="2026-01-01T00:00:00+00:00",
        status="interrupted",
        values=raw({"a": 1}),
        config=raw({"x": 2}),
        interrupts=raw({"task": []}),
        extra={"error": raw("why")},
    ),
    Checkpoint(thread_id="t/é", checkpoint_ns="", checkpoint_id="1", values=raw(1), next=raw([])),
    Checkpoint(thread_id="t/é", checkpoint_ns="sub:1", checkpoint_id="1", values=raw(2)),
    Checkpoint(thread_id="t/é", checkpoint_ns="sub:1", checkpoint_id="2", values=raw(3)),
    Checkpoint(
        thread_id="t/é",
        checkpoint_ns="",
        checkpoint_id="2",
        parent_checkpoint_id="1",
        values=raw(4),
        extra={"new": raw([1])},
    ),
    Checkpoint(thread_id="t/é", checkpoint_ns="", checkpoint_id="3", parent_checkpoint_id="2"),
    Run(thread_id="t/é", run_id="r", status="success"),
    UnknownRecord(
        name="later", thread_id="t/é", body=raw({"kind": "later", "thread_id": "t/é", "n": 1})
    ),
]


def test_lgx_gets_back_exactly_what_it_wrote_and_others_find_the_states(tmp_path: Path) -> None:
    """Namespaces, status, config, runs and kinds of tomorrow stand under one more key."""
    path = tmp_path / "a.json"
    store(path, EVERYTHING)
    assert lines_of(scan(path)) == {"t/é": [encode_line(record) for record in EVERYTHING]}
    (thread,) = json.loads(path.read_bytes())["threads"]
    assert set(thread) == {"thread_id", "metadata", "values", "history", "created_at", "updated_at"}
    assert [item["values"] for item in thread["history"]] == [4, 1]
    assert [item["checkpoint"]["checkpoint_ns"] for item in thread["history"]] == ["", ""]


def test_rows_of_a_checkpointer_are_told_since_the_histories_lack_them(tmp_path: Path) -> None:
    """Others find empty histories there; lgx finds the rows."""
    place: dict[str, Any] = {"thread_id": "t", "checkpoint_ns": "", "type": "msgpack"}
    rows = [RawCheckpoint(checkpoint_id=f"c{n}", blob=b"\x80", **place) for n in range(2)]
    inner = Checkpoint(thread_id="u", checkpoint_ns="child:1", checkpoint_id="c")
    records = [Thread(thread_id="t"), *rows, Thread(thread_id="u"), inner]
    lines, path = tmp_path / "in.ndjson", tmp_path / "out.json"
    lines.write_bytes(b"\n".join(map(encode_line, records)) + b"\n")

    report = lgx.run(use("ndjson", path=lines), use("json", path=path))

    (note,) = report.notes
    assert note.message == (
        "2 checkpoints are a checkpointer's own rows: they stand under the key lgx, where lgx "
        "reads them, and the histories of the layout lack them; a run from the checkpointer with "
        "--fidelity state writes them there"
    )
    assert json.loads(path.read_text())["threads"][0]["history"] == []
    lgx.run(use("json", path=path), use("ndjson", path=tmp_path / "back.ndjson"))
    back = (tmp_path / "back.ndjson").read_bytes().splitlines()[1:]
    assert back == list(map(encode_line, records))


def test_the_key_lgx_may_come_first_and_its_keys_in_any_order(tmp_path: Path) -> None:
    """As another program leaves them that sorts keys."""
    path, item = tmp_path / "a.json", StoreItem(namespace=("n",), key="k", value=raw(1))
    store(path, EVERYTHING)
    found = json.loads(path.read_bytes())
    found["lgx"]["extras"] = [json.loads(encode_line(item))]
    moved = {"lgx": dict(reversed(found.pop("lgx").items()))} | dict(reversed(found.items()))
    items = scan(write(path, moved))
    first, *rest = items
    assert encode_line(first) == encode_line(item)  # type: ignore[arg-type]
    assert len(lines_of(rest)["t/é"]) == len(EVERYTHING)
    assert losses_of(items) == []
    assert not any(isinstance(item, StoreItem) for item in scan(path, Query(extras=False)))


def test_what_lgx_holds_of_a_thread_that_is_gone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    store(path, EVERYTHING)
    found = json.loads(path.read_bytes())
    found["threads"], found["total_threads"] = [], 0
    assert losses_of(scan(write(path, found))) == [
        (None, "what lgx holds of 't/é'", "threads has no such thread")
    ]


def test_a_thread_that_is_written_again_replaces_the_first(tmp_path: Path) -> None:
    """Its namespaces too."""
    path = tmp_path / "a.json"
    store(path, EVERYTHING, EVERYTHING[:2])
    assert lines_of(scan(path)) == {"t/é": [encode_line(record) for record in EVERYTHING[:2]]}


def test_a_thread_whose_record_does_not_come_first_comes_back_in_place(tmp_path: Path) -> None:
    """The order of the records is kept, whatever it is."""
    path = tmp_path / "a.json"
    odd = [EVERYTHING[1], EVERYTHING[6], EVERYTHING[0], EVERYTHING[4]]
    store(
        path, odd, [Checkpoint(thread_id="no", checkpoint_ns="", checkpoint_id="1", values=raw(1))]
    )
    assert lines_of(scan(path))["t/é"] == [encode_line(record) for record in odd]
    assert len(lines_of(scan(path))["no"]) == 1


names = st.text(st.characters(codec="utf-8"), max_size=5)
bulk = st.sampled_from(
    [b"null", b"1E+2", b"18446744073709551616", b'{"a":1,"a":2}', b'"\\ud800"', b"[[]]", b"1e400"]
)


def fields(*keys: str) -> st.SearchStrategy[bytes]:
    """Some of these members, each with a value that is hard to keep, as text."""
    members = st.dictionaries(st.sampled_from(keys), bulk)
    return members.map(lambda found: b"".join(b',"%s":%s' % (k.encode(), found[k]) for k in found))


def record(body: dict[str, Any], rest: bytes) -> Record:
    return lgx.decode_line(json.dumps(body).encode()[:-1] + rest + b"}")


@st.composite
def threads(draw: st.DrawFn) -> tuple[str, list[Record]]:
    """A thread with any fields, states in any namespace, parents among those before them."""
    thread_id = draw(names)
    head = {"kind": "thread", "thread_id": thread_id}
    unknown = ("new", "history", "checkpoint", "ttl")
    records = [record(head, draw(fields("metadata", "values", "config", *unknown)))]
    spaces = st.tuples(st.sampled_from(["", "sub:1"]), names)
    places = draw(st.lists(spaces, unique=True, max_size=5))
    for number, (namespace, checkpoint_id) in enumerate(places):
        parents = [None, *(other for space, other in places[:number] if space == namespace)]
        body = {
            "kind": "checkpoint",
            "thread_id": thread_id,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
            "parent_checkpoint_id": draw(st.sampled_from(parents)),
            "created_at": draw(st.none() | names),
        }
        known = ("values", "next", "tasks", "metadata", "interrupts")
        records.append(record(body, draw(fields(*known, "checkpoint", "odd"))))
    return thread_id, records


@settings(max_examples=60, deadline=None)
@given(st.lists(threads(), max_size=3, unique_by=lambda found: found[0]))
def test_any_threads_come_back_byte_for_byte(found: list[tuple[str, list[Record]]]) -> None:
    """Whatever fields, numbers, namespaces and parents they have, and in their order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.json"
        store(path, *(records for _, records in found))
        json.loads(path.read_bytes())
        items = scan(path)
    assert losses_of(items) == []
    assert lines_of(items) == {
        thread_id: [encode_line(record) for record in records] for thread_id, records in found
    }


# -- bad documents ---------------------------------------------------------------------


def test_a_value_that_is_no_json_costs_its_state_and_the_rest_arrives(tmp_path: Path) -> None:
    """NaN, as Python writes it; the thread is partial and never marked."""
    bad = element("bad", 3)
    bad["history"][1]["values"] = {"score": float("nan")}
    bad["metadata"] = {"x": float("inf")}
    path = write(tmp_path / "a.json", document(bad, element("good", 1)), indent=2)
    items = scan(path)
    assert outcomes_of(items) == {"bad": "partial", "good": "complete"}
    (_, metadata, why), (thread_id, lost, because) = losses_of(items)
    assert (metadata, lost, thread_id) == (
        "metadata of the thread",
        "state 2 of its history",
        "bad",
    )
    assert "text holds Infinity at byte" in why
    assert "text holds NaN at byte" in because
    ids = [item.checkpoint_id for item in items if isinstance(item, Checkpoint)]
    assert ids == ["c0", "c2", "c0"]


def test_malformed_states_and_elements_are_listed(tmp_path: Path) -> None:
    """One without an id, one that is no object, bytes that are not UTF-8, and what is no thread."""
    bad = element("bad", 2)
    bad["history"] += [{"values": 1}, 7]
    text = json.dumps(document(bad, element("good", 1))).encode()
    text = text.replace(b'{"n": 1}', b'{"n": "\xff"}').replace(
        b'"threads": [', b'"threads": [5, {}, '
    )
    items = scan(write(tmp_path / "a.json", text))
    assert outcomes_of(items) == {"bad": "partial", "good": "complete"}
    assert sorted((what, thread_id) for thread_id, what, _ in losses_of(items)) == [
        ("element 0 of threads", None),
        ("element 1 of threads", None),
        ("state 1 of its history", "bad"),
        ("state 3 of its history", "bad"),
        ("state 4 of its history", "bad"),
    ]


def test_a_document_that_is_cut_gives_every_whole_thread(tmp_path: Path) -> None:
    """Cut at any byte after the first thread: never an error, never a thread that is not whole
    said to be, and the cut is told."""
    text = json.dumps(document(*(element(f"t{n}", 2) for n in range(3))), indent=1).encode()
    path = tmp_path / "a.json"
    whole = lines_of(scan(write(path, text)))
    starts = [text.index(b'"thread_id": "t%d"' % number) for number in range(3)]
    ends = [text.index(b'"updated_at"', start) + 45 for start in starts]
    for cut in range(starts[1], len(text), 7):
        items = scan(write(path, text[:cut]))
        assert any(thread is None and "rest of" in what for thread, what, _ in losses_of(items))
        for number in range(3):
            if cut >= ends[number]:
                assert outcomes_of(items)[f"t{number}"] == "complete"
                assert lines_of(items)[f"t{number}"] == whole[f"t{number}"]
            else:
                assert outcomes_of(items).get(f"t{number}") in (None, "partial")


def test_a_cut_document_ends_the_run_with_three(tmp_path: Path) -> None:
    """What the older tool leaves when it fails, also compressed."""
    text = json.dumps(document(element("a", 2), element("b", 2)), indent=2).encode()
    text = text[: text.index(b'"c0"', text.index(b'"b"'))]
    packed = gzip.compress(text * 1)
    for content in (text, packed, gzip.compress(text + b" " * 99)[:-4]):
        path = write(tmp_path / "a", content)
        report = lgx.run(use("json", path=path), use("ndjson", path=tmp_path / "out"))
        assert (report.exit_code, report.threads.written, report.threads.partial) == (3, 1, 1)
        assert {failure.thread_id for failure in report.failures} == {"b", None}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; was the export that wrote it cut short?"),
        (b"  \n", "is empty; was the export that wrote it cut short?"),
        (b"<html></html>", "is not a JSON document of threads: it does not begin with {"),
        (b"[]", "is not a JSON document of threads: it does not begin with {"),
        (b'{"a": 1}', 'has no key "threads"; a file of one record a line is read by the ndjson'),
        (b'{"kind":"header"}\n{"kind":"thread"}', 'has no key "threads"'),
        (b'{"a" 1}', "is not a JSON document of threads: the document is damaged at byte 5"),
        (b'{"threa', "is not a JSON document of threads: the document ends in the middle"),
        (
            b'{"threads": [], "lgx": {"format": "x", "version": 1}}',
            "was the file written by another",
        ),
        (b'{"threads": [], "lgx": {"format": "lgx-json", "version": 2}}', "upgrade lgx"),
        (
            b'{"threads": [], "lgx": {"format": "lgx-json", "version": 1, "encryption": {}}}',
            "is encrypted, which this lgx does not read",
        ),
    ],
)
def test_a_file_that_is_no_document_of_threads_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(lgx.UsageError, match=words.replace("?", r"\?")):
        scan(write(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    ("threads", "sort"),
    [({"a": {}}, "an object"), ("oops", "text"), (5, "a number"), (None, "null")],
)
def test_threads_that_are_no_list_are_refused_and_the_target_stays(
    tmp_path: Path, threads: object, sort: str
) -> None:
    """A document of another sort is not one of no threads."""
    path = write(tmp_path / "a.json", {"threads": threads})
    target = write(tmp_path / "out.json", document(element("t", 1)))
    before = target.read_bytes()
    with pytest.raises(lgx.UsageError) as refused:
        lgx.run(use("json", path=path), use("json", path=target))
    assert str(refused.value) == (
        f"{str(path)!r} is not a threads backup: `threads` is {sort}, not a list; name another file"
    )
    assert target.read_bytes() == before


def test_what_has_the_wrong_sort_under_lgx_is_listed(tmp_path: Path) -> None:
    """Extras, entries of threads, and their records."""
    path = tmp_path / "a.json"
    store(path, EVERYTHING)
    found = json.loads(path.read_bytes())
    found["lgx"]["extras"] = {"a": 1}
    found["lgx"]["threads"]["t/é"]["records"] = "r"
    items = scan(write(path, found))
    assert losses_of(items) == [
        (None, "what stands under lgx.extras", "it is an object, not a list"),
        (None, "what stands under records of 't/é' under lgx", "it is text, not a list"),
    ]
    found["lgx"]["threads"] = []
    assert (None, "what stands under lgx.threads", "it is a list, not an object") in losses_of(
        scan(write(path, found))
    )
    found["lgx"] = 5
    assert losses_of(scan(write(path, found))) == [
        (None, "what stands under lgx", "it is a number, not an object")
    ]


def test_threads_that_the_document_says_it_holds_and_does_not_are_lost(tmp_path: Path) -> None:
    """They may have been cut out of it; the run says that it is not complete."""
    path = write(tmp_path / "a.json", document(element("t", 1), total_threads=7))
    report = lgx.run(use("json", path=path), use("ndjson", path=tmp_path / "out"))
    assert (report.exit_code, report.notes) == (3, [])
    assert [(loss.what, loss.why) for loss in report.losses] == [
        (
            "6 threads",
            f"{str(path)!r} says total_threads 7, and holds 1 of them; use a whole copy of it",
        )
    ]


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from lgx import FatalError, Run, Thread
from lgx.testing import make_bundle, make_context, make_run
from lgx_plugins.json.sink import JsonSink, JsonSinkConfig

async def main():
    context = make_context()
    async with JsonSink(JsonSinkConfig(path=Path(sys.argv[1]))) as sink:
        await sink.begin(make_run(), make_context())
        for n in range(400):
            t = str(n)
            records = [Thread(thread_id=t), *(Run(thread_id=t, run_id=str(r)) for r in range(50))]
            bundle = make_bundle(context, records)
            await sink.write([bundle], context)
            bundle.close()
        await sink.finish(context)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    asyncio.run(main())
except FatalError as error:
    print(error)
"""


def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """Neither what was put aside, nor the temporary file, nor the lock."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "o.json"], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.endswith(
        "is larger than files may be here; raise the limit (ulimit -f), or go elsewhere\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_document_without_threads_is_read_as_empty(tmp_path: Path) -> None:
    assert scan(write(tmp_path / "a.json", document())) == []


def test_filters_judge_a_thread_by_its_record(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", document(element("a", 2), element("b", 1)))
    assert set(lines_of(scan(path, Query(thread_ids=("b",))))) == {"b"}
    assert lines_of(scan(path, Query(since="2027-01-01"))) == {}
    assert set(lines_of(scan(path, Query(metadata={"owner": raw("ü")})))) == {"a", "b"}


async def test_extras_that_are_not_json_are_refused_before_any_is_written(tmp_path: Path) -> None:
    """The kind fails, and the document stays one that can be read."""
    path = tmp_path / "threads.json"
    context = make_context()
    spool = context.spool()
    spool.append(StoreItem(namespace=("n",), key="a", value=raw(1)))
    spool.append(StoreItem(namespace=("n",), key="b", value=Raw(b"nothing")))
    async with JsonSink(JsonSinkConfig(path=path)) as sink:
        assert isinstance(sink, JsonSink)
        await sink.begin(make_run(), make_context())
        with pytest.raises(lgx.ThreadError, match="not JSON"):
            await sink.write_extras("store_item", Bundle(spool, ref=None, mark=None), context)
        await sink.finish(context)
    spool.close()
    assert json.loads(path.read_bytes())["lgx"]["extras"] == []


async def test_a_document_with_half_a_thread_does_not_appear(tmp_path: Path) -> None:
    """Where a bundle can be read once and not a second time, the run ends with an error."""
    path = tmp_path / "threads.json"
    context = make_context()
    bundle = make_bundle(context, [Thread(thread_id="a"), Checkpoint(**POINT), Checkpoint(**POINT)])

    def broken_off() -> Iterator[bytes]:
        yield encode_line(Checkpoint(**POINT, values=raw(1)))
        raise lgx.ThreadError("the spool cannot be read")

    bundle.spool.lines_reversed = broken_off  # type: ignore[method-assign]
    async with JsonSink(JsonSinkConfig(path=path)) as sink:
        assert isinstance(sink, JsonSink)
        await sink.begin(make_run(), make_context())
        (outcome,) = await sink.write([bundle], context)
        assert outcome.error == "the spool cannot be read"
        with pytest.raises(lgx.FatalError, match="thread 'a' broke off in the middle"):
            await sink.finish(context)
    bundle.close()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- in a coroutine


def test_standard_output_is_not_for_a_file_that_stands_whole_or_not_at_all() -> None:
    with pytest.raises(lgx.UsageError, match="the json sink cannot write to -"):
        lgx.run(use("json", path=OLDER), use("json", path="-"))


def test_two_runs_into_one_document_at_once_are_refused(tmp_path: Path) -> None:
    target = write(tmp_path / "out.json", document(element("old", 1)))
    before = target.read_bytes()
    with TargetLock(target), pytest.raises(lgx.LockedError, match="is being written by process"):
        lgx.run(use("json", path=OLDER), use("json", path=target))
    assert target.read_bytes() == before


def test_one_value_of_fifty_megabytes_passes(tmp_path: Path) -> None:
    thread = element("t", 1)
    thread["history"][0]["values"] = "x" * 50_000_000
    path = write(tmp_path / "a.json", document(thread))
    report = lgx.run(use("json", path=path), use("json", path=tmp_path / "b.json"))
    assert report.exit_code == 0
    (found,) = json.loads((tmp_path / "b.json").read_bytes())["threads"]
    assert found["history"][0]["values"] == thread["history"][0]["values"]


# -- promises over time ----------------------------------------------------------------


def test_the_first_version_of_the_format_stays_readable() -> None:
    """The golden document holds what the golden NDJSON file holds, record by record."""
    data = GOLDEN.read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "f4d4d469146465fa8d05aa6c5a17e2f6ddfb239f521db9d8de0253142c2f3806"
    ), "golden files are never written anew"
    items = scan(GOLDEN)
    assert losses_of(items) == []
    came = [encode_line(item) for item in items if not isinstance(item, ThreadEnd | Loss)]
    assert sorted(came) == sorted(GOLDEN_LINES.read_bytes().splitlines()[1:])
    assert len(outcomes_of(items)) == 18
