"""NDJSON files and pipes: what is written, what is read, and what is said of bad ones."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

import lgx
from lgx import (
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Loss,
    Query,
    RawCheckpoint,
    Record,
    Thread,
    ThreadEnd,
    encode_line,
    raw,
    use,
)
from lgx.testing import make_bundle, make_context, make_run
from lgx_plugins.locks import TargetLock
from lgx_plugins.ndjson.sink import NdjsonSink, NdjsonSinkConfig
from lgx_plugins.ndjson.source import NdjsonSource, NdjsonSourceConfig

GOLDEN = Path(__file__).parent / "golden" / "v1.ndjson"

HEADER = b'{"kind":"header","format":"lgx-ndjson","version":1,"source":"http://a"}'


def rows(thread_id: str) -> list[Record]:
    """What a checkpointer holds of a thread, in the order in which a source gives it."""
    here: Any = {"thread_id": thread_id, "checkpoint_ns": ""}
    return [
        Thread(thread_id=thread_id),
        RawCheckpoint(**here, checkpoint_id="c1", document=raw({"v": 4})),
        RawCheckpoint(**here, checkpoint_id="c0", parent_checkpoint_id="c1", document=raw({})),
        ChannelBlob(**here, channel="a", version="1", type="bytes", blob=b"\xff"),
        ChannelBlob(**here, channel="a", version="2", type="empty"),
        CheckpointWrite(**here, checkpoint_id="c1", task_id="t", idx=-3, channel="a", blob=b""),
        CheckpointWrite(**here, checkpoint_id="c1", task_id="t", idx=0, channel="a", blob=b""),
    ]


def thread(thread_id: str, count: int, size: int = 1) -> list[bytes]:
    states = [
        Checkpoint(
            thread_id=thread_id,
            checkpoint_ns="",
            checkpoint_id=f"c{number}",
            parent_checkpoint_id=f"c{number - 1}" if number else None,
            values=raw({"n": number, "text": "x" * size}),
        )
        for number in range(count)
    ]
    head = Thread(thread_id=thread_id, updated_at="2026-01-01T00:00:00Z")
    return [encode_line(record) for record in (head, *states)]


def write(path: Path, lines: list[bytes], end: bytes = b"\n") -> Path:
    path.write_bytes(b"\n".join(lines) + end)
    return path


def scan(path: Path, query: Query | None = None) -> list[Record | ThreadEnd | Loss]:
    async def go() -> list[Record | ThreadEnd | Loss]:
        async with NdjsonSource(NdjsonSourceConfig(path=path)) as source:
            assert isinstance(source, NdjsonSource)
            await source.identity()
            return [item async for item in source.scan(query or Query(), make_context())]

    return asyncio.run(go())


def lines_of(items: list[Record | ThreadEnd | Loss]) -> dict[str, list[bytes]]:
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


def ends_of(items: list[Record | ThreadEnd | Loss]) -> dict[str, ThreadEnd]:
    return {item.thread_id: item for item in items if isinstance(item, ThreadEnd)}


def losses_of(items: list[Record | ThreadEnd | Loss]) -> list[tuple[str | None, str, str]]:
    """Thread, what and why of everything that is told to be missing."""
    losses = [item for item in items if isinstance(item, Loss)]
    losses += [loss for end in ends_of(items).values() for loss in end.losses]
    return [(loss.thread_id, loss.what, loss.why) for loss in losses]


# -- writing ---------------------------------------------------------------------------


def test_a_file_begins_with_its_header_and_holds_each_thread_together(tmp_path: Path) -> None:
    """Header, assistants, threads; every line as it came."""
    assistant = encode_line(Assistant(assistant_id="a", version=1))
    one, two = thread("one", 2), thread("two", 1)
    source = write(tmp_path / "in.ndjson", [HEADER, assistant, *one, *two])
    target = tmp_path / "out.ndjson"
    report = lgx.run(use("ndjson", path=source), use("ndjson", path=target))
    first, *rest = target.read_bytes().splitlines()
    header = json.loads(first)
    assert header.pop("exported_at") == report.started_at
    assert header == {
        "kind": "header",
        "format": "lgx-ndjson",
        "version": 1,
        "lgx": lgx.__version__,
        "source": "http://a",
        "encryption": None,
    }
    assert rest == [assistant, *one, *two]
    assert (report.exit_code, target.stat().st_mode & 0o777) == (0, 0o600)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.ndjson", "out.ndjson"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_the_suffix_says_how_a_file_is_compressed(tmp_path: Path, suffix: str) -> None:
    """With checksums that other programs verify; the first bytes tell it when it is read."""
    lines = thread("t", 300, size=20_000)
    source = write(tmp_path / "in", [HEADER, *lines])
    target = tmp_path / f"out{suffix}"
    lgx.run(use("ndjson", path=source), use("ndjson", path=target))
    if suffix == ".gz":
        text = gzip.decompress(target.read_bytes())
    else:
        text = zstandard.ZstdDecompressor().decompressobj().decompress(target.read_bytes())
    assert text.splitlines()[1:] == lines
    renamed = target.rename(tmp_path / "renamed")
    assert lines_of(scan(renamed)) == {"t": lines}


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    source = write(tmp_path / "in", [HEADER, *thread("t", 1)])
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "real")
    lgx.run(use("ndjson", path=source), use("ndjson", path=link))
    assert link.is_symlink()
    assert lines_of(scan(tmp_path / "folder" / "real")) == {"t": thread("t", 1)}


def test_a_thread_that_is_written_again_or_forgotten_is_voided_by_a_line(tmp_path: Path) -> None:
    """A file that only grows cannot take a line back; what is read is the last word."""
    path = tmp_path / "out"

    async def go() -> None:
        context = make_context()
        async with NdjsonSink(NdjsonSinkConfig(path=path)) as sink:
            assert isinstance(sink, NdjsonSink)
            await sink.begin(make_run(), make_context())
            for lines in (thread("a", 3), thread("b", 1), thread("a", 1)):
                bundle = make_bundle(context, [lgx.decode_line(line) for line in lines])
                await sink.write([bundle], context)
                bundle.close()
            await sink.forget(["b", "never written"])
            await sink.finish(context)

    asyncio.run(go())
    items = scan(path)
    assert lines_of(items) == {"a": thread("a", 1), "b": []}
    assert {key: end.outcome for key, end in ends_of(items).items()} == {
        "a": "complete",
        "b": "deleted",
    }


def test_two_runs_into_one_file_at_once_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in", [HEADER, *thread("t", 1)])
    target = write(tmp_path / "out", [HEADER])
    with TargetLock(target), pytest.raises(lgx.LockedError, match="is being written by process"):
        lgx.run(use("ndjson", path=source), use("ndjson", path=target))
    assert target.read_bytes() == HEADER + b"\n"


@pytest.mark.parametrize("plugin", ["ndjson", "json"])
def test_a_target_that_cannot_be_written_is_told_before_anything_is_read(
    tmp_path: Path, plugin: str
) -> None:
    """A directory, and a file in a folder that is not there."""
    source = use("ndjson", path=write(tmp_path / "in", [HEADER, *thread("t", 1)]))
    with pytest.raises(lgx.UsageError, match="is a directory; name a file in it"):
        lgx.run(source, use(plugin, path=tmp_path))
    with pytest.raises(lgx.UsageError, match=r"the folder '.*no' does not exist; create it"):
        lgx.run(source, use(plugin, path=tmp_path / "no" / "out"))
    with pytest.raises(lgx.UsageError, match="'/dev/null' is not a regular file"):
        lgx.run(source, use(plugin, path="/dev/null"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["in"]


FULL = """
import resource, signal, sys, lgx
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
report = lgx.run(lgx.use("ndjson", path=sys.argv[1]), lgx.use(sys.argv[2], path=sys.argv[3]))
print(report.exit_code, report.aborted)
"""


@pytest.mark.parametrize("plugin", ["ndjson", "json"])
def test_a_full_disk_ends_the_run_and_leaves_the_old_file(tmp_path: Path, plugin: str) -> None:
    """With a limit on file sizes, which fails as a full disk does."""
    lines = [line for number in range(20) for line in thread(f"t{number}", 10, size=5000)]
    source = write(tmp_path / "in", [HEADER, *lines])
    old = HEADER if plugin == "ndjson" else b'{"threads": []}'
    target = write(tmp_path / "out", [old])
    result = subprocess.run(
        [sys.executable, "-c", FULL, source, plugin, target],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == (
        f"1 '{target}' is larger than files may be here; raise the limit (ulimit -f), "
        "or go elsewhere\n"
    )
    assert target.read_bytes() == old + b"\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out"]


# -- pipes -----------------------------------------------------------------------------

RUN = """
import sys, lgx
report = lgx.run(lgx.use("ndjson", path=sys.argv[1]), lgx.use("ndjson", path=sys.argv[2]))
print(report.exit_code, report.aborted, file=sys.stderr)
"""


def test_standard_output_and_input_carry_all_lines(tmp_path: Path) -> None:
    """Shuffled lines too: a pipe is kept until its end."""
    lines = [line for number in range(30) for line in thread(f"t{number}", 5, size=3000)]
    shuffled = [HEADER, *lines]
    random.Random(7).shuffle(shuffled)
    source = write(tmp_path / "in", shuffled)
    with (
        subprocess.Popen([sys.executable, "-c", RUN, source, "-"], stdout=subprocess.PIPE) as first,
        subprocess.Popen(
            [sys.executable, "-c", RUN, "-", tmp_path / "out.zst"], stdin=first.stdout
        ) as second,
    ):
        assert second.wait() == 0
        assert first.wait() == 0
    found = lines_of(scan(tmp_path / "out.zst"))
    assert found == {f"t{number}": thread(f"t{number}", 5, size=3000) for number in range(30)}


def test_a_reader_of_standard_output_that_goes_away_ends_the_run_in_one_line(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "in", [HEADER, *thread("t", 200, size=50_000)])
    with subprocess.Popen(
        [sys.executable, "-c", RUN, source, "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == (
            "1 standard output was closed by its reader before everything was written\n"
        )
        assert process.wait() == 0


async def test_waiting_for_a_pipe_ends_at_once_when_the_run_is_cancelled() -> None:
    """A reader that sits in a thread would otherwise keep the process from ending."""
    reading, writing = os.pipe()
    try:
        async with NdjsonSource(NdjsonSourceConfig(path=Path(f"/dev/fd/{reading}"))) as source:
            assert isinstance(source, NdjsonSource)
            os.write(writing, HEADER)  # without the end of a line, so that more is waited for
            task = asyncio.create_task(source.identity())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(task), 0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    finally:
        os.close(reading)
        os.close(writing)


# -- reading ---------------------------------------------------------------------------


def test_a_file_without_header_is_read_and_goes_by_its_path(tmp_path: Path) -> None:
    """Blank lines, Windows line ends and a byte order mark make no difference."""
    lines = [b"", *thread("t", 2), b"   "]
    path = tmp_path / "in"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))
    items = scan(path)
    assert lines_of(items) == {"t": thread("t", 2)}
    assert losses_of(items) == []

    async def identity() -> str:
        async with NdjsonSource(NdjsonSourceConfig(path=path)) as source:
            assert isinstance(source, NdjsonSource)
            return await source.identity()

    assert asyncio.run(identity()) == str(path)


def test_members_and_frames_that_follow_one_another_are_one_file(tmp_path: Path) -> None:
    """As `cat a.gz b.gz` makes it; a second header is no harm."""
    parts = [b"\n".join([HEADER, *thread(name, 2)]) + b"\n" for name in ("a", "b")]
    gz, zst = tmp_path / "gz", tmp_path / "zst"
    gz.write_bytes(b"".join(gzip.compress(part) for part in parts))
    zst.write_bytes(b"".join(zstandard.compress(part) for part in parts))
    wanted = {"a": thread("a", 2), "b": thread("b", 2)}
    assert lines_of(scan(gz)) == lines_of(scan(zst)) == wanted


@pytest.mark.parametrize("seed", range(5))
def test_lines_in_any_order_give_each_thread_once_and_in_order(tmp_path: Path, seed: int) -> None:
    """The thread first, no checkpoint before its parent."""
    wanted = {f"t{number}": thread(f"t{number}", 6) for number in range(5)}
    lines = [HEADER, *(line for lines in wanted.values() for line in lines)]
    random.Random(seed).shuffle(lines)
    items = scan(write(tmp_path / "in", lines))
    assert lines_of(items) == wanted
    assert losses_of(items) == []


def test_rows_of_a_checkpointer_are_put_in_order_and_told_apart(tmp_path: Path) -> None:
    """Turned round; and one of each came twice, of which the later one counts."""
    expected = rows("t")
    old = [
        msgspec.structs.replace(record, type="old")
        for record in expected
        if isinstance(record, RawCheckpoint | ChannelBlob | CheckpointWrite)
    ]
    lines = [encode_line(record) for record in [*old, *reversed(expected)]]

    *found, end = scan(write(tmp_path / "t.ndjson", [HEADER, *lines]))

    assert isinstance(end, ThreadEnd)
    assert found[:3] == expected[:3]
    assert sorted(found[3:], key=repr) == sorted(expected[3:], key=repr)


def test_lines_that_come_twice_count_once_and_the_later_one_is_taken(tmp_path: Path) -> None:
    """As two exports of one server make it when they are put together; it is noted."""
    newer = thread("t", 3)
    newer[0] = newer[0].replace(b"2026-01-01", b"2026-02-02")
    source = write(tmp_path / "in", [HEADER, *thread("t", 2), HEADER, *newer])
    assert lines_of(scan(source)) == {"t": newer}
    report = lgx.run(use("ndjson", path=source), use("ndjson", path=tmp_path / "out"))
    assert [(note.thread_id, note.message) for note in report.notes] == [
        ("t", "3 records came twice; the later ones were taken")
    ]
    write(source, [HEADER, *thread("t", 2), thread("t", 2)[-1]])
    report = lgx.run(use("ndjson", path=source), use("ndjson", path=tmp_path / "out"))
    assert [note.message for note in report.notes] == [
        "1 record came twice; the later one was taken"
    ]


def test_a_file_of_two_sources_is_refused_before_anything_is_begun(tmp_path: Path) -> None:
    """Their threads may have the same ids; both sources are named."""
    other = HEADER.replace(b'"http://', b'"http://other-')
    assert other != HEADER
    path = write(tmp_path / "in", [HEADER, *thread("a", 1), other, *thread("b", 1)])
    with pytest.raises(lgx.UsageError) as refused:
        lgx.run(use("ndjson", path=path), use("archive", path=tmp_path / "out"))
    for header in (HEADER, other):
        assert repr(json.loads(header)["source"]) in str(refused.value)
    assert "one by one, with --merge" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_filters_judge_a_thread_by_its_record_and_one_without_passes_none_but_that_by_ids(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "in", [*thread("a", 1), *thread("b", 1), *thread("c", 2)[1:]])
    assert set(lines_of(scan(path, Query(thread_ids=("b",))))) == {"b"}
    assert set(lines_of(scan(path, Query(since="2026-06-01")))) == set()
    assert set(lines_of(scan(path, Query(thread_ids=("c",))))) == {"c"}


def test_a_malformed_line_costs_its_thread_alone_and_is_named(tmp_path: Path) -> None:
    """Torn, not JSON, NaN, not UTF-8, without identity: the line's number and what is wrong."""
    a, b, c = thread("a", 2), thread("b", 2), thread("c", 1)
    a[1] = a[1][:40]
    b[2:] = [b[2].replace(b'"n":1', b'"n":NaN'), b'{"kind":"checkpoint","thread_id":"b"}']
    c.append(c[1].replace(b'"x"', b'"\xff"').replace(b"c0", b"c9"))
    items = scan(write(tmp_path / "in", [HEADER, *a, *b, *c]))
    outcomes = {key: end.outcome for key, end in ends_of(items).items()}
    assert outcomes == dict.fromkeys("abc", "partial")
    assert losses_of(items) == [
        ("a", "line 3", "text is not JSON at byte 37: b'\"ch'"),
        ("b", "line 7", "text holds NaN at byte 137, which JSON has no form for"),
        ("b", "line 8", "a checkpoint record lacks 'checkpoint_ns'"),
        ("c", "line 11", "a record is not UTF-8 at byte 147"),
    ]
    assert lines_of(items) == {"a": [a[0], a[2]], "b": b[:2], "c": c[:2]}


def test_a_torn_last_line_makes_its_thread_partial(tmp_path: Path) -> None:
    lines = [*thread("a", 1), *thread("b", 2)]
    items = scan(write(tmp_path / "in", [HEADER, *lines[:-1], lines[-1][:50]], end=b""))
    assert {key: end.outcome for key, end in ends_of(items).items()} == {
        "a": "complete",
        "b": "partial",
    }
    assert losses_of(items) == [
        (
            "b",
            "line 6",
            (
                "it is the last line and has no end, so the file was cut short "
                "(text is not JSON at byte 37: b'\"checkpoint_n')"
            ),
        )
    ]


def test_what_cannot_be_told_to_belong_to_a_thread_is_lost_by_itself(tmp_path: Path) -> None:
    """No thread pays for it, the run ends with 3, and the lines are named."""
    lines = [HEADER, b"what is this", *thread("a", 1), b'{"kind":"new","id":1}']
    source = write(tmp_path / "in", lines)
    report = lgx.run(use("ndjson", path=source), use("ndjson", path=tmp_path / "out"))
    assert (report.exit_code, report.threads.written) == (3, 1)
    assert [(failure.thread_id, failure.what) for failure in report.failures] == [
        (None, "line 2"),
        (None, "line 5, of kind 'new'"),
    ]


@pytest.mark.parametrize(("keep", "pack"), [(0.6, "gz"), (0.6, "zst"), (0.99, "gz"), (0.99, "zst")])
def test_compressed_bytes_that_end_early_are_told(tmp_path: Path, keep: float, pack: str) -> None:
    """What there is of them is read; the thread in hand is partial, and the rest is a loss."""
    rng = random.Random(3)
    lines = [HEADER]
    for number in range(40):
        lines += thread(f"t{number}", 3)
        lines[-1] = lines[-1].replace(b'"x"', b'"%s"' % rng.randbytes(3000).hex().encode())
    text = b"\n".join(lines)
    packed = gzip.compress(text) if pack == "gz" else zstandard.compress(text)
    path = tmp_path / "in"
    path.write_bytes(packed[: int(len(packed) * keep)])
    items = scan(path)
    assert [end.outcome for end in ends_of(items).values()][-1] == "partial"
    assert {end.outcome for end in list(ends_of(items).values())[:-1]} <= {"complete"}
    name = {"gz": "gzip", "zst": "zstd"}[pack]
    why = f"its {name} data end in the middle; use a whole copy of it"
    assert (None, f"the rest of '{path}'", why) in losses_of(items)


@pytest.mark.parametrize("pack", ["gz", "zst"])
def test_damaged_compressed_bytes_stop_the_run_before_a_thread_is_passed_on(
    tmp_path: Path, pack: str
) -> None:
    """A flipped bit is found by the checksum."""
    source = write(tmp_path / "plain", [HEADER, *thread("t", 50, size=500)])
    path = tmp_path / f"packed.{pack}"
    lgx.run(use("ndjson", path=source), use("ndjson", path=path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(lgx.IntegrityError, match=r"compressed bytes of .* are damaged"):
        scan(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: not even a header is in it"),
        (b"\n \n", "is empty: not even a header is in it"),
        (b"<html>no</html>\n" * 2000, r"holds no records, one a line \(line 1: text is not JSON"),
        (b'{"threads": []}', "one JSON document is read by the json source"),
        (b'{\n  "threads": [\n  ]\n}\n', "one JSON document is read by the json source"),
        (b'{"kind":"header","format":"other","version":1}', "was the file written by another"),
        (b'{"kind":"header","format":"lgx-ndjson","version":2}', "reads up to 1; upgrade lgx"),
        # A version is written as a whole number from 1: whoever writes another is not lgx.
        *(
            (b'{"kind":"header","format":"lgx-ndjson","version":%b}' % version, "by another")
            for version in (b"1e0", b"1.0", b'"1"', b"true", b"null", b"0", b"-1")
        ),
        (
            b'{"kind":"header","format":"lgx-ndjson","version":1,"encryption":{"by":"age"}}',
            "is encrypted, which this lgx does not read",
        ),
        (b"\xff\xfe{\x00", "is UTF-16 text; convert it to UTF-8 first"),
        (b"\xfd7zXZ\x00abc", "is compressed with xz; decompress it first"),
    ],
)
def test_a_file_that_is_no_ndjson_is_refused_in_one_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "in"
    path.write_bytes(content)
    with pytest.raises(lgx.UsageError, match=words):
        scan(path)


def test_a_file_that_is_not_there_or_is_a_directory_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(lgx.UsageError, match="does not exist"):
        scan(tmp_path / "no")
    with pytest.raises(lgx.UsageError, match="is a directory; name a file"):
        scan(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "in", [HEADER, *thread("a", 1), *thread("b", 1)])

    async def go() -> None:
        async with NdjsonSource(NdjsonSourceConfig(path=path)) as source:
            assert isinstance(source, NdjsonSource)
            async for item in source.scan(Query(), make_context()):
                if isinstance(item, ThreadEnd) and item.thread_id == "a":
                    with path.open("ab") as file:
                        file.write(b"\n")

    with pytest.raises(lgx.FatalError, match="was changed while it was read; run again"):
        asyncio.run(go())


# -- promises over time ----------------------------------------------------------------


def test_the_first_version_of_the_format_stays_readable() -> None:
    """Every line of the golden file comes back as it stands there."""
    data = GOLDEN.read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "6476248aa42e08478a07a6cc70efefcfb218205445c6184dc4a90e51285d37e8"
    ), "golden files are never written anew"
    items = scan(GOLDEN)
    assert losses_of(items) == []
    came = [encode_line(item) for item in items if not isinstance(item, ThreadEnd | Loss)]
    assert came == data.splitlines()[1:]
    assert {end.outcome for end in ends_of(items).values()} == {"complete"}
    assert len(ends_of(items)) == 18


KILLED = """
import sys, lgx
print("ready", flush=True)
lgx.run(lgx.use("ndjson", path=sys.argv[1]), lgx.use(sys.argv[2], path=sys.argv[3]))
"""


@pytest.mark.parametrize("suffix", [".ndjson.zst", ".json"])
def test_a_killed_run_never_leaves_half_a_file_under_the_name(
    tmp_path: Path, suffix: str, loops: int
) -> None:
    """Killed at random moments, the target is what it was or whole; the next run clears up."""
    lines = [line for number in range(60) for line in thread(f"t{number}", 10, size=2000)]
    source = write(tmp_path / "in", [HEADER, *lines])
    target = tmp_path / f"out{suffix}"
    plugin = suffix.split(".")[1]
    rng = random.Random(11)
    killed = 0
    for _ in range(loops):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, source, plugin, target], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(rng.uniform(0.02, 0.3))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
        if target.exists():
            report = lgx.run(use(plugin, path=target), use("ndjson", path=tmp_path / "check"))
            assert (report.exit_code, report.threads.written) == (0, 60)
            if rng.random() < 0.5:
                target.unlink()
    assert killed, "no run was killed; the moments are too late for this machine"
    lgx.run(use("ndjson", path=source), use(plugin, path=target))
    assert {entry.name for entry in tmp_path.iterdir()} <= {"in", "check", target.name}


@pytest.fixture(params=[10, pytest.param(100, marks=pytest.mark.nightly)])
def loops(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# The peak of this program alone: getrusage would count the one that started it, too.
MEASURED = """
import re, sys, lgx
from pathlib import Path
from typing import Any
report = lgx.run(lgx.use(sys.argv[1], path=sys.argv[2]), lgx.use(sys.argv[3], path=sys.argv[4]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(report.exit_code, report.threads.written, peak)
"""


@pytest.mark.parametrize(
    ("source", "sink"), [("ndjson", "ndjson"), ("ndjson", "json"), ("json", "ndjson")]
)
def test_a_thread_of_two_hundred_megabytes_passes_in_bounded_memory(
    tmp_path: Path, source: str, sink: str
) -> None:
    """One thread, so that nothing is saved by going thread by thread."""
    path = tmp_path / "in"
    block = ("0123456789abcdef" * 6250).encode()
    with path.open("wb") as file:
        if source == "json":
            file.write(b'{"threads": [{"thread_id": "t", "history": [')
            for number in reversed(range(2000)):
                state = b'{"checkpoint_id": "c%04d", "values": {"text": "%s"}}' % (number, block)
                file.write(state + (b"," if number else b""))
            file.write(b"]}]}")
        else:
            for number in range(2000):
                file.write(
                    b'{"kind":"checkpoint","thread_id":"t","checkpoint_ns":"","checkpoint_id":'
                    b'"c%04d","values":{"text":"%s"}}\n' % (number, block)
                )
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, source, path, sink, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    code, written, kilobytes = map(int, result.stdout.split())
    assert (code, written) == (0, 1)
    assert kilobytes < 200 << 10
    assert (tmp_path / "out").stat().st_size > 200_000_000
