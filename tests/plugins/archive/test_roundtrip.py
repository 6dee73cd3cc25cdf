"""What goes into an archive comes out of it: every byte, the newest version or an earlier one."""

from __future__ import annotations

import asyncio
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from lgx import (
    Assistant,
    Checkpoint,
    Cron,
    Loss,
    Mark,
    Query,
    Record,
    StoreItem,
    Thread,
    ThreadEnd,
    ThreadRef,
    UnknownRecord,
    UsageError,
    WriteOutcome,
    encode_line,
    raw,
)
from lgx.testing import make_context
from lgx_plugins.archive.part import FRAME_BYTES

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=8,
)


def _write_json(value: object) -> Raw:
    return Raw(json.dumps(value, ensure_ascii=False).encode())


@st.composite
def _records(draw: st.DrawFn, thread_id: str) -> list[Record]:
    value = _json.map(_write_json)
    records: list[Record] = [
        Thread(thread_id=thread_id, status=draw(_text), metadata=draw(value), values=draw(value))
    ]
    for number in range(draw(st.integers(0, 4))):
        fill = Raw(b'"' + b"x" * draw(st.integers(0, 40_000)) + b'"')
        records.append(
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns=draw(_text),
                checkpoint_id=str(number),
                values=draw(value),
                tasks=fill,
                extra={draw(_text.map(lambda text: f"~{text}")): draw(value)},
            )
        )
    if draw(st.booleans()):
        body = raw({"thread_id": thread_id, "kind": "note", "text": draw(_text)})
        records.append(UnknownRecord(name="note", thread_id=thread_id, body=body))
    return records


@st.composite
def _run(draw: st.DrawFn) -> dict[str, list[Record]]:
    ids = draw(st.lists(_text, unique=True, max_size=6))
    return {thread_id: draw(_records(thread_id)) for thread_id in ids}


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(_run(), min_size=1, max_size=3),
    batch=st.integers(1, 4),
    together=st.integers(1, 4),
)
def test_any_records_come_back_byte_by_byte(
    archives: Any, runs: list[dict[str, list[Record]]], batch: int, together: int
) -> None:
    """Whatever the ids, values, sizes and kinds, over several runs into small parts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive"
        expected: dict[str, list[Record]] = {}

        async def there_and_back() -> None:
            for run in runs:
                await archives.write(path, run, batch=batch, part_size=1 << 16)
                expected.update(run)
            assert await archives.read(path, together=together) == archives.lines(expected)

        asyncio.run(there_and_back())


@pytest.mark.parametrize("size", [100, 2 << 20, 5 << 20, 9 << 20, 70 << 20])
async def test_threads_of_all_sizes_come_back(archives: Any, tmp_path: Path, size: int) -> None:
    """In a shared frame, a frame of its own, a streamed one, and several parts."""
    path = tmp_path / "archive"
    text = Raw(b'"' + b"y" * (size // 8) + b'"')
    records = [Thread(thread_id="a")] + [
        Checkpoint(thread_id="a", checkpoint_ns="", checkpoint_id=str(n), values=text)
        for n in range(8)
    ]
    threads = {"a": records, "b": archives.thread("b")}
    await archives.write(path, threads)
    read = await archives.read(path)
    assert read == archives.lines(threads)
    assert len([*path.glob("parts/*.ndjson.zst")]) == (3 if size > 64 << 20 else 1)


async def test_a_line_larger_than_a_part_comes_back(archives: Any, tmp_path: Path) -> None:
    """One value may exceed the size of parts; its part then holds nothing else of the thread."""
    path = tmp_path / "archive"
    threads = {"a": archives.thread("a", 3, "z" * 300_000), "b": archives.thread("b", 30)}
    await archives.write(path, threads, part_size=1 << 16)
    assert await archives.read(path) == archives.lines(threads)


async def test_a_second_run_holds_the_marks_and_changes_no_byte(
    archives: Any, tmp_path: Path
) -> None:
    """`held` answers with version, fingerprint and count; finishing without news writes nothing."""
    path = tmp_path / "archive"
    threads = {f"t{n}": archives.thread(f"t{n}", n) for n in range(5)}
    await archives.write(path, threads)
    files = archives.files(path)
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        refs = [ThreadRef(thread_id=f"t{n}", version="?") for n in range(7)]
        assert await sink.held(refs) == {
            f"t{n}": Mark(version="v1", fingerprint="f", checkpoints=n) for n in range(5)
        }
        await sink.finish(archives.context())
    assert archives.files(path) == files


async def test_marks_stand_from_the_moment_a_write_returns(archives: Any, tmp_path: Path) -> None:
    """Also in the same run, and for a run that never finished."""
    path = tmp_path / "archive"
    context = archives.context()
    ref = ThreadRef(thread_id="a", version="v1")
    bundle = archives.bundle(context, "a", archives.thread("a"))
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        assert await sink.held([ref]) == {}
        await sink.write([bundle], context)
        assert [*await sink.held([ref])] == ["a"]
    bundle.close()
    assert await archives.read(path) == archives.lines({"a": archives.thread("a")})
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        assert [*await sink.held([ref])] == ["a"]


async def test_a_partial_thread_is_stored_without_mark(archives: Any, tmp_path: Path) -> None:
    """It reads back as partial with its losses, and takes an older whole copy's mark away."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a", 3)})
    context = archives.context()
    loss = Loss(thread_id="a", what="checkpoint 7", why="the server cannot read it", checkpoints=1)
    bundle = archives.bundle(context, "a", archives.thread("a", 2), losses=(loss,), marked=False)
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        await sink.write([bundle], context)
        assert await sink.held([bundle.ref]) == {}
        await sink.finish(context)
    bundle.close()
    async with archives.reader(path) as source:
        refs = [ref async for ref in source.list(Query(), context)]
        items = [item async for item in source.read(refs, context)]
    assert [encode_line(item) for item in items[:-1]] == archives.lines(
        {"a": archives.thread("a", 2)}
    )["a"]
    assert items[-1] == ThreadEnd(
        thread_id="a", outcome="partial", version=refs[0].version, losses=(loss,)
    )


@pytest.mark.parametrize("size", [10, 300_000], ids=["in one part", "in several"])
async def test_a_partial_thread_that_came_unchanged_is_not_written_again(
    archives: Any, tmp_path: Path, size: int
) -> None:
    """Run after run: not a byte of the archive changes while records and losses are the same,
    and the outcome is no other. A change of either is written."""
    path = tmp_path / "archive"
    losses = (Loss(thread_id="a", what="checkpoint 7", why="the server cannot read it"),)
    others = (Loss(thread_id="a", what="checkpoint 8", why="the server cannot read it"),)
    text = "".join(f"{number}" for number in range(size // 5))
    thread, changed = archives.thread("a", 2, text), archives.thread("a", 1, text)

    async def run(records: list[Record], losses: tuple[Loss, ...]) -> dict[str, bytes]:
        context = archives.context()
        bundle = archives.bundle(context, "a", records, losses=losses, marked=False)
        async with archives.sink(path, part_size=1 << 16) as sink:
            await sink.begin(archives.run(), make_context())
            for _ in range(2):
                (outcome,) = await sink.write([bundle], context)
                # A partial thread never counts as unchanged, which would hide what is missing.
                assert outcome == WriteOutcome(thread_id="a")
            await sink.finish(context)
        bundle.close()
        return dict(archives.files(path))

    first = await run(thread, losses)
    assert await run(thread, losses) == first
    second = await run(thread, others)
    assert len(second) > len(first)
    third = await run(changed, others)
    assert len(third) > len(second)
    assert await run(changed, others) == third
    assert await archives.read(path) == archives.lines({"a": changed})
    moment = json.loads(second["manifest.json"])["updated_at"]
    assert await archives.read(path, Query(as_of=moment)) == archives.lines({"a": thread})


async def test_a_partial_copy_is_compared_with_what_counts_now(
    archives: Any, tmp_path: Path
) -> None:
    """Not with an older version: a whole copy or a removal lies in between."""
    path = tmp_path / "archive"
    context = archives.context()
    bundle = archives.bundle(context, "a", archives.thread("a"), marked=False)
    whole = archives.bundle(context, "a", archives.thread("a"))
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        await sink.write([bundle], context)
        await sink.write([whole], context)
        assert [*await sink.held([whole.ref])] == ["a"]
        await sink.write([bundle], context)
        assert [*await sink.held([whole.ref])] == []
        await sink.forget(["a"])
        await sink.write([bundle], context)
        await sink.finish(context)
    bundle.close()
    whole.close()
    assert await archives.read(path) == archives.lines({"a": archives.thread("a")})


async def test_versions_follow_the_content(archives: Any, tmp_path: Path) -> None:
    """The same records have the same version in any archive; others have another."""
    versions = []
    for name, count in (("one", 2), ("two", 2), ("three", 3)):
        await archives.write(tmp_path / name, {"a": archives.thread("a", count)})
        async with archives.reader(tmp_path / name) as source:
            (ref,) = [ref async for ref in source.list(Query(), archives.context())]
        versions.append(ref.version)
    assert versions[0] == versions[1] != versions[2]


async def test_earlier_states_stay_readable(archives: Any, tmp_path: Path) -> None:
    """`as_of` gives threads, removals and extras as they were; a moment before all is refused."""
    path = tmp_path / "archive"
    before = datetime.now(UTC).isoformat()
    first = {name: archives.thread(name) for name in "abc"}
    await archives.write(path, first, extras={"cron": [Cron(cron_id="1")]})
    then = datetime.now(UTC).isoformat()
    newer = {"b": archives.thread("b", 5), "d": archives.thread("d")}
    await archives.write(path, newer, forget=["a", "nobody"], extras={"cron": []})
    now = await archives.read(path)
    assert now == archives.lines({"b": newer["b"], "c": first["c"], "d": newer["d"]})
    assert await archives.read_extras(path, "cron") == []
    past = Query(as_of=then)
    assert await archives.read(path, past) == archives.lines(first)
    assert await archives.read_extras(path, "cron", past) == [Cron(cron_id="1")]
    with pytest.raises(UsageError, match="its first state is of"):
        await archives.read(path, Query(as_of=before))


async def test_a_removed_thread_may_come_back(archives: Any, tmp_path: Path) -> None:
    """Forgetting removes thread and mark; a later write stands again."""
    path = tmp_path / "archive"
    await archives.write(path, {"a": archives.thread("a")}, forget=["a"])
    assert await archives.read(path) == {}
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        assert await sink.held([ThreadRef(thread_id="a", version="v1")]) == {}
    await archives.write(path, {"a": archives.thread("a", 4)})
    assert await archives.read(path) == archives.lines({"a": archives.thread("a", 4)})


async def test_filters_choose_among_the_threads(archives: Any, tmp_path: Path) -> None:
    """Ids, status, times and metadata, also metadata too large for the index, and a limit."""
    path = tmp_path / "archive"

    def thread(name: str, status: str, updated_at: str | None, metadata: object) -> list[Record]:
        return [
            Thread(thread_id=name, status=status, updated_at=updated_at, metadata=raw(metadata))
        ]

    large = {"user": "x", "pad": "p" * 5000}
    threads = {
        "a": thread("a", "idle", "2026-01-01T00:00:00+00:00", {"user": "x"}),
        "b": thread("b", "error", "2026-02-01T00:00:00+00:00", {"user": "y"}),
        "c": thread("c", "idle", "2026-03-01T00:00:00+00:00", large),
        "d": thread("d", "idle", None, {}),
    }
    await archives.write(path, threads)
    for query, wanted in [
        (Query(thread_ids=("c", "a", "zzz", "a")), "ac"),
        (Query(status="idle"), "acd"),
        (Query(metadata={"user": raw("x")}), "ac"),
        (Query(metadata={"user": raw("x")}, since="2026-01-15"), "c"),
        (Query(until="2026-02-01"), "a"),
        (Query(since="2026-02-01"), "bc"),
        (Query(limit=2), "ab"),
        (Query(status="idle", limit=1), "a"),
        (Query(), "abcd"),
    ]:
        assert "".join(await archives.read(path, query)) == wanted


async def test_extras_that_have_not_changed_are_not_written_again(
    archives: Any, tmp_path: Path
) -> None:
    """A nightly run over the same assistants, and over no crons, leaves every file as it was."""
    path = tmp_path / "archive"
    extras = {"assistant": [Assistant(assistant_id="a", version=1)], "cron": []}
    await archives.write(path, {}, extras=extras)
    before = archives.files(path)

    await archives.write(path, {}, extras=extras)

    assert archives.files(path) == before
    assert len([name for name in before if str(name).endswith(".ndjson.zst")]) == 1


async def test_extras_are_replaced_as_a_whole_and_partial_ones_added(
    archives: Any, tmp_path: Path
) -> None:
    """Of one record's versions the newest comes; kinds do not touch each other."""
    path = tmp_path / "archive"
    context = archives.context()

    def item(key: str, value: int) -> StoreItem:
        return StoreItem(namespace=("n", "m"), key=key, value=raw(value))

    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        await archives.write_extras(sink, "store_item", [item("a", 1), item("gone", 1)], context)
        await archives.write_extras(sink, "store_item", [item("a", 2), item("b", 2)], context)
        assistant = Assistant(assistant_id="1", version=1)
        await archives.write_extras(sink, "assistant", [assistant], context)
        partial = [item("b", 3), item("c", 3)]
        await archives.write_extras(sink, "store_item", partial, context, outcome="partial")
        await archives.write_extras(sink, "assistant", [], context, outcome="partial")
        await sink.finish(context)
    assert await archives.read_extras(path, "store_item") == [
        item("a", 2),
        item("b", 3),
        item("c", 3),
    ]
    assert await archives.read_extras(path, "assistant") == [assistant]
    assert await archives.read_extras(path, "cron") == []


async def test_threads_of_another_source_are_refused_or_kept_apart(
    archives: Any, tmp_path: Path
) -> None:
    """Without `merge` the error names both; with it each source has its own threads and marks."""
    path = tmp_path / "archive"
    one, two = archives.thread("same", 1), archives.thread("same", 2)
    await archives.write(path, {"same": one}, source="http://one.test")
    files = archives.files(path)
    with pytest.raises(
        UsageError,
        match=r"was filled from .http://one\.test.*this run reads .http://two\.test.*--merge",
    ):
        await archives.write(path, {"same": two}, source="http://two.test")
    assert archives.files(path) == files
    await archives.write(
        path,
        {"same": two},
        source="http://two.test",
        merge=True,
        extras={"cron": [Cron(cron_id="2")]},
    )
    for origin, records, crons in (("http://one.test", one, 0), ("http://two.test", two, 1)):
        assert await archives.read(path, origin=origin) == archives.lines({"same": records})
        assert len(await archives.read_extras(path, "cron", origin=origin)) == crons
    with pytest.raises(UsageError, match=r"several sources.*one\.test.*two\.test"):
        await archives.read(path)
    with pytest.raises(UsageError, match=r"nothing of 'http://three\.test'"):
        await archives.read(path, origin="http://three.test")
    async with archives.sink(path) as sink:
        await sink.begin(archives.run("http://one.test"), make_context())
        held = await sink.held([ThreadRef(thread_id="same", version="v1")])
        assert held["same"].checkpoints == 1


async def test_identities_tell_archives_and_origins_apart(archives: Any, tmp_path: Path) -> None:
    """A copy of an archive has its identity; another archive, or another origin, has not."""
    identities = set()
    for name in ("one", "two"):
        await archives.write(tmp_path / name, {"a": archives.thread("a")})
    await archives.write(tmp_path / "two", {}, source="http://x", merge=True)
    await archives.write(
        tmp_path / "two", {"b": archives.thread("b")}, source="http://x", merge=True
    )
    for name, origin in (("one", None), ("two", archives.source), ("two", "http://x")):
        for _ in range(2):
            async with archives.reader(tmp_path / name, origin) as source:
                identities.add(await source.identity())
    assert len(identities) == 3


async def test_one_thread_twice_in_a_batch_stands_once(archives: Any, tmp_path: Path) -> None:
    """The later bundle wins, as it would in two batches."""
    path = tmp_path / "archive"
    context = archives.context()
    bundles = [archives.bundle(context, "a", archives.thread("a", n)) for n in (1, 2)]
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        await sink.write(bundles, context)
        await sink.finish(context)
    for bundle in bundles:
        bundle.close()
    assert await archives.read(path) == archives.lines({"a": archives.thread("a", 2)})


async def test_a_thread_that_is_not_json_fails_alone(archives: Any, tmp_path: Path) -> None:
    """Its outcome has the reason, the rest of its batch is written."""
    path = tmp_path / "archive"
    context = archives.context()
    broken = Thread(thread_id="a", values=Raw(b'{"n":Infinity}'))
    bundles = [
        archives.bundle(context, "a", [broken]),
        archives.bundle(context, "b", archives.thread("b")),
    ]
    async with archives.sink(path) as sink:
        await sink.begin(archives.run(), make_context())
        outcomes = await sink.write(bundles, context)
        await sink.finish(context)
    for bundle in bundles:
        bundle.close()
    assert "Infinity" in str(outcomes[0].error)
    assert outcomes[1].error is None
    assert set(await archives.read(path)) == {"b"}


async def test_reading_goes_on_while_an_export_writes(archives: Any, tmp_path: Path) -> None:
    """A reader sees the state at its opening, whatever a writer does meanwhile."""
    path = tmp_path / "archive"
    first = {f"t{n}": archives.thread(f"t{n}") for n in range(5)}
    await archives.write(path, first)
    context = archives.context()
    async with archives.reader(path) as source:
        refs = [ref async for ref in source.list(Query(), context)]
        await archives.write(path, {"t1": archives.thread("t1", 9)}, forget=["t2"])
        ends = [i async for i in source.read(refs, context) if isinstance(i, ThreadEnd)]
    assert {end.thread_id: end.outcome for end in ends} == dict.fromkeys(first, "complete")


def test_frames_bound_what_one_thread_costs_to_read() -> None:
    """A small thread shares its frame with at most a few megabytes of others."""
    assert FRAME_BYTES <= 4 << 20
