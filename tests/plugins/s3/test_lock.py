"""Two runs into one archive: one of them loses cleanly, whenever they meet."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import lgx
from lgx import FatalError, LockedError, RunInfo, ThreadRef, UsageError
from lgx.testing import make_bundle, make_context, make_run
from lgx.testing.s3_proxy import Request, S3Proxy
from lgx_plugins.archive.inspection import verify_archive
from lgx_plugins.archive.writing import ArchiveWriter
from lgx_plugins.s3.lock import Lease
from lgx_plugins.s3.store import S3Store


class Writer:
    """A run that a test leads step by step."""

    def __init__(self, bucket: Any, store: S3Store, run: RunInfo | None = None) -> None:
        self._bucket = bucket
        self._context = make_context()
        self.store = store
        self.archive: ArchiveWriter | None = ArchiveWriter.open(
            store, 3, 1 << 20, run or make_run()
        )

    def write(self, *names: str) -> None:
        assert self.archive is not None
        bundles = [make_bundle(self._context, self._bucket.thread(name)) for name in names]
        self.archive.write(bundles)
        for bundle in bundles:
            bundle.close()

    def finish(self) -> None:
        assert self.archive is not None
        self.archive.finish()
        self.close()

    def close(self) -> None:
        archive, self.archive = self.archive, None
        if archive is not None:
            archive.close()
            self.store.close()


ELSEWHERE = {"holder": "process 1 on host afar since 2026", "token": "x", "machine": "another"}


@pytest.fixture
def writer(bucket: Any) -> Any:
    """Begins a run; all are ended with the test."""
    begun: list[Writer] = []

    def begin(at: Any = bucket, run: RunInfo | None = None, **options: Any) -> Writer:
        begun.append(Writer(bucket, at.store(**options), run))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def ids(bucket: Any) -> set[str]:
    """The threads that a reader finds."""
    return set(asyncio.run(bucket.read()))


def test_a_second_writer_is_told_who_the_first_one_is(bucket: Any, writer: Any) -> None:
    """It changes nothing; a dry run and a reader need no lock; the lock ends with its holder."""
    first = writer()
    first.write("a")
    before = bucket.objects("")
    holder = f"process {os.getpid()} on host {socket.gethostname()} since"
    with pytest.raises(LockedError, match=f"is being written by {holder}.* wait for it to end"):
        writer()
    dry = writer(run=make_run(dry_run=True))
    assert dry.archive is not None
    assert dry.archive.held(["a"]).keys() == {"a"}
    assert ids(bucket) == {"a"}
    assert bucket.objects("") == before
    first.finish()
    writer().finish()
    assert ".lgx-lock" not in bucket.objects()


def test_the_lock_of_a_killed_process_is_taken_at_once(bucket: Any, writer: Any) -> None:
    """On the machine that it ran on there is no doubt."""
    code = f"""
import os, signal
from lgx_plugins.s3.config import S3SinkConfig
from lgx_plugins.s3.store import S3Store
store = S3Store(S3SinkConfig(url={bucket.url()!r}, endpoint_url={bucket.endpoint_url!r}))
store.lock()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert ".lgx-lock" in bucket.objects()
    first = writer()
    first.write("a")
    first.finish()
    assert ids(bucket) == {"a"}


def test_the_lock_of_another_machine_holds_until_it_is_not_heard_of(
    bucket: Any, writer: Any
) -> None:
    """The message says how long, by the store's clock."""
    bucket.put(".lgx-lock", json.dumps(ELSEWHERE).encode())
    with pytest.raises(LockedError, match=r"process 1 on host afar.*ends in (60|5\d) seconds"):
        writer()
    writer(stale=0.0).finish()


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"holder": "a\\nb", "token": ""}'])
def test_a_lock_that_is_none_of_lgx_counts_all_the_same(
    bucket: Any, writer: Any, data: bytes
) -> None:
    """Whatever it holds, until it is old."""
    bucket.put(".lgx-lock", data)
    with pytest.raises(LockedError, match="is being written by another pro"):
        writer()
    writer(stale=0.0).finish()


def test_a_lock_is_renewed(bucket: Any) -> None:
    """Its holder replaces it every few seconds, so that it does not grow old."""
    store = bucket.store(beat=0.01)
    store.lock()
    seen = threading.Event()

    def beats() -> int:
        return int(json.loads(bucket.objects()[".lgx-lock"]).get("beat", 0))

    first = beats()
    while beats() <= first + 2:
        assert not seen.wait(0.01)
    store.unlock()
    store.close()
    assert bucket.objects() == {}


def taken_for_dead(writer: Any, first: Writer) -> Writer:
    """Another run, which takes the lock of the first."""
    second: Writer = writer(stale=0.0)
    assert first.archive is not None
    return second


@pytest.mark.parametrize("begun", [False, True], ids=["before its first batch", "later"])
def test_a_run_that_was_taken_for_dead_loses_cleanly(bucket: Any, writer: Any, begun: bool) -> None:
    """What it had committed stands, its next batch fails with one clear error, and what the
    other run wrote is whole."""
    first = writer()
    if begun:
        first.write("a")
    second = taken_for_dead(writer, first)
    second.write("b")
    with pytest.raises(LockedError, match=r"was written by process \d+ on host .* while this run"):
        first.write("c")
    with pytest.raises(FatalError, match="could not be written to before"):
        first.write("d")
    first.close()
    assert ".lgx-lock" in bucket.objects()  # it is the other's
    second.write("e")
    second.finish()
    assert ids(bucket) == {"b", "e"} | ({"a"} if begun else set())
    assert verify(bucket) == ()


def verify(bucket: Any) -> tuple[str, ...]:
    store = bucket.store()
    problems: tuple[str, ...] = verify_archive(store).problems
    store.close()
    return problems


def test_a_loser_that_only_had_to_finish_breaks_nothing(bucket: Any, writer: Any) -> None:
    """Its manifest would be older than the other's: the condition of its write does not hold."""
    first = writer()
    first.write("a")
    second = taken_for_dead(writer, first)
    second.write("b")
    second.finish()
    with pytest.raises(LockedError, match="while this run wrote"):
        first.finish()
    first.close()
    assert ids(bucket) == {"a", "b"}
    assert verify(bucket) == ()


def test_a_run_that_comes_back_after_the_other_has_ended_loses_cleanly(
    bucket: Any, writer: Any
) -> None:
    """The name of its journal is free again, and it would write where nobody looks: it is told at
    its first batch, and leaves nothing."""
    first = writer()
    second = taken_for_dead(writer, first)
    second.write("b")
    second.finish()
    before = bucket.objects()
    with pytest.raises(LockedError, match="while this run wrote"):
        first.write("c")
    first.close()
    assert bucket.objects() == before
    assert ids(bucket) == {"b"}


def test_a_loser_leaves_the_uploads_of_the_other_alone(bucket: Any, writer: Any) -> None:
    """It removes its own by their keys, which are drawn by lot."""
    first = writer()
    first.write("a")
    taken_for_dead(writer, first)
    client = bucket.server.client()
    client.create_multipart_upload(Bucket=bucket.name, Key="backup/parts/of-the-other")
    client.close()
    with pytest.raises(LockedError):
        first.write("c")
    first.close()
    assert bucket.uploads() == ["backup/parts/of-the-other"]


@pytest.mark.parametrize(
    "moment", ["PUT journal", "PUT manifest", "ndjson.zst", "index.zst", "DELETE journal"]
)
def test_a_run_loses_at_any_moment(
    bucket: Any, shaky: Any, proxy: S3Proxy, writer: Any, moment: str
) -> None:
    """Another one takes the lock, writes and ends just before a request of the first arrives;
    a reader finds all of what either of them committed, and no part is missing."""
    first = writer(shaky)
    first.write("a")

    def other(_: object) -> None:
        second = Writer(bucket, bucket.store(stale=0.0))
        second.write("b")
        second.finish()

    proxy.fail(
        "call",
        lambda request: moment in f"{request.method} {request.path.split('/')[-1]}",
        call=other,
    )
    lost = False
    try:
        first.write("c")
        first.finish()
    except LockedError:
        lost = True
    first.close()
    assert lost or moment == "DELETE journal"
    found = ids(bucket)
    assert found in ({"a", "b"}, {"a", "b", "c"})
    assert ("c" in found) or lost
    assert verify(bucket) == ()
    writer().finish()
    assert ids(bucket) == found
    assert {n for n in bucket.objects() if not n.startswith("parts/")} == {"manifest.json"}


def test_of_two_runs_that_begin_at_once_one_is_refused(
    bucket: Any, shaky: Any, proxy: S3Proxy, writer: Any
) -> None:
    """Both saw that there is no lock; If-None-Match lets one of them through."""
    others: list[Writer] = []
    proxy.fail("call", lambda r: r.name == "PUT .lgx-lock", call=lambda _: others.append(writer()))
    with pytest.raises(LockedError, match="is being written by"):
        writer(shaky)
    (other,) = others
    other.write("a")
    other.finish()
    assert ids(bucket) == {"a"}


def test_what_a_loser_left_is_told_and_removed(bucket: Any, writer: Any) -> None:
    """Parts that no manifest lists are no damage here; --clean removes them and nothing else."""
    first = writer()
    first.write("a")
    first.finish()
    kept = bucket.objects()
    bucket.put("parts/00000001-0000-0123456789abcdef.ndjson.zst", b"left")
    bucket.put("parts/00000009-0000-0123456789abcdef.index.zst", b"left")
    bucket.put("parts/notes.txt", b"not ours")
    client = bucket.server.client()
    client.create_multipart_upload(Bucket=bucket.name, Key="backup/parts/unfinished")
    client.create_multipart_upload(Bucket=bucket.name, Key="elsewhere")
    client.close()
    assert ids(bucket) == {"a"}
    options = bucket.options()
    facts = {f.name: f for f in lgx.probe(source=lgx.use("s3", **options)).facts}
    assert facts["leftovers"].value.startswith("3 files of a run at work or cut short")
    assert (facts["leftovers"].level, facts["foreign files"].level) == ("warn", "warn")
    assert len(lgx.clean(lgx.use("s3", **options))) == 3
    assert "leftovers" not in {fact.name for fact in lgx.probe(sink=lgx.use("s3", **options)).facts}
    now = bucket.objects()
    assert {n for n in now if n.startswith("parts/")} == {
        *(n for n in kept if n.startswith("parts/")),
        "parts/notes.txt",
    }
    assert bucket.uploads() == ["elsewhere"]
    assert ids(bucket) == {"a"}


def test_cleaning_stays_away_from_a_run_at_work(bucket: Any, writer: Any) -> None:
    """Its files are no leftovers."""
    first = writer()
    first.write("a")
    bucket.put("parts/00000002-0000-0123456789abcdef.ndjson.zst", b"on its way")
    before = bucket.objects()
    with pytest.raises(LockedError, match="is being written by"):
        lgx.clean(lgx.use("s3", **bucket.options()))
    assert bucket.objects() == before


def test_a_store_that_heeds_no_conditions_is_told(
    bucket: Any, shaky: Any, proxy: S3Proxy, writer: Any
) -> None:
    """Before anything is written but the lock, which is removed; with the way out, on which a
    second run is still refused where it can be seen."""
    proxy.dropped |= {"if-match", "if-none-match"}
    with pytest.raises(UsageError, match=r"does not heed conditions.*--no-sink-conditional-writes"):
        writer(shaky)
    assert bucket.objects() == {}
    first = writer(shaky, conditional_writes=False)
    first.write("a")
    with pytest.raises(LockedError, match="is being written by"):
        writer(shaky, conditional_writes=False)
    second = writer(shaky, conditional_writes=False, stale=0.0)
    second.write("b")
    with pytest.raises(LockedError, match="while this run"):
        first.write("c")
    first.close()
    second.finish()
    assert ids(bucket) == {"a", "b"}


def another(bucket: Any) -> Callable[[Request], None]:
    return lambda _: bucket.put(".lgx-lock", json.dumps(ELSEWHERE).encode())


def test_a_lock_that_was_taken_over_is_not_given_back(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Also where that happens between looking whose it is and removing it."""
    store = shaky.store()
    store.lock()
    proxy.fail("call", lambda request: request.name == "DELETE .lgx-lock", call=another(bucket))
    store.unlock()
    store.close()
    assert json.loads(bucket.objects()[".lgx-lock"]) == ELSEWHERE


def test_a_lock_is_given_back_where_the_store_knows_no_condition_for_that(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Without one then."""
    store = shaky.store()
    store.lock()
    proxy.fail(
        "answer",
        lambda request: request.method == "DELETE" and "If-Match" in request.headers,
        status=501,
        code="NotImplemented",
    )
    store.unlock()
    store.close()
    assert [r.name for r in proxy.log if r.method == "DELETE"] == ["DELETE .lgx-lock"] * 2
    assert ".lgx-lock" not in bucket.objects()


def test_a_lost_lock_is_noticed_before_anything_is_tried(bucket: Any) -> None:
    """By the thread that renews it."""
    store = bucket.store(beat=0.01)
    store.lock()
    bucket.put(".lgx-lock", json.dumps(ELSEWHERE).encode())
    lease = store._lease
    assert isinstance(lease, Lease)
    assert lease._thread is not None
    lease._thread.join(30)
    with pytest.raises(LockedError, match="was written by process 1 on host afar"):
        store.append_journal(1, b"x\n")
    store.unlock()
    store.close()
    assert json.loads(bucket.objects()[".lgx-lock"])["token"] == "x"


async def test_a_run_that_meets_another_ends_at_once(bucket: Any) -> None:
    """As users start it; the run at work is not disturbed."""
    context = make_context()
    async with bucket.sink() as sink:
        await sink.begin(make_run(), make_context())
        bundle = make_bundle(context, bucket.thread("a"))
        await sink.write([bundle], context)
        bundle.close()
        itself = lgx.use("s3", **bucket.options())
        with pytest.raises(LockedError, match="is being written by process") as raised:
            await lgx.run_async(itself, itself, merge=True)
        assert raised.value.exit_code == 1
        held = await sink.held([ThreadRef(thread_id="a", version="1")])
        assert set(held) == {"a"}
        await sink.finish(context)
    assert set(await bucket.read()) == {"a"}


async def heard() -> None:
    """Returns when a warning comes."""
    told = asyncio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    listener = Listener(logging.WARNING)
    logging.getLogger().addHandler(listener)
    try:
        await asyncio.wait_for(told.wait(), 30)
    finally:
        logging.getLogger().removeHandler(listener)


async def test_a_run_waits_for_the_other_one_if_it_is_to(
    bucket: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """As `--sink-lock wait` says; it tells once whom it waits for, and then does its work."""
    context = make_context()
    async with bucket.sink() as sink:
        await sink.begin(make_run(), make_context())
        waiting = asyncio.ensure_future(bucket.write({"b": bucket.thread("b")}, lock="wait"))
        await heard()
        bundle = make_bundle(context, bucket.thread("a"))
        await sink.write([bundle], context)
        bundle.close()
        assert not waiting.done()
        await sink.finish(context)
    await waiting
    (said,) = caplog.messages
    assert said.startswith(f"waiting: {bucket.url()!r} is being written by process {os.getpid()} ")
    assert set(await bucket.read()) == {"a", "b"}


async def test_waiting_can_be_given_up(bucket: Any) -> None:
    """At once, and the lock stays with its holder."""
    bucket.put(".lgx-lock", json.dumps(ELSEWHERE).encode())
    waiting = asyncio.ensure_future(bucket.write({"b": bucket.thread("b")}, lock="wait"))
    await heard()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert json.loads(bucket.objects()[".lgx-lock"])["token"] == "x"
    assert list(bucket.objects()) == [".lgx-lock"]


async def test_an_archive_below_the_parts_of_another_is_left_alone(bucket: Any) -> None:
    """Its files are no damage of the upper one, and cleaning that ends none of its uploads."""
    upper, lower = bucket.url("backup"), bucket.url("backup/parts")
    await bucket.write({}, url=upper)
    await bucket.write({"b": bucket.thread("b")}, url=lower)
    key = "backup/parts/parts/00000002-0000-0123456789abcdef.ndjson.zst"
    client = bucket.server.client()
    client.create_multipart_upload(Bucket=bucket.name, Key=key)
    client.close()
    before = bucket.objects()
    assert list(await lgx.clean_async(lgx.use("s3", **bucket.options(url=upper)))) == []
    await bucket.write({"a": bucket.thread("a")}, url=upper)
    assert bucket.uploads() == [key]
    assert before.items() - bucket.objects().items() == {("manifest.json", before["manifest.json"])}
    assert set(await bucket.read(url=upper)) == {"a"}
    assert set(await bucket.read(url=lower)) == {"b"}


@pytest.mark.parametrize("kind", ["ndjson", "index"])
def test_an_upload_that_began_unawares_is_ended_with_the_run(
    bucket: Any, shaky: Any, proxy: S3Proxy, kind: str
) -> None:
    """Nobody knows its id: the answer of the request that began it was lost."""
    name = f"00000001-0000-0123456789abcdef.{kind}.zst"
    store = shaky.store(request_size=5 << 20)
    store.lock()
    proxy.fail("unanswered", lambda request: request.name == f"POST {name}?uploads")
    file = store.create(name)
    file.write(bytes(6 << 20))
    file.commit(name)
    store.settle()
    assert bucket.uploads() == [f"backup/parts/{name}"]
    store.unlock()
    store.close()
    assert bucket.uploads() == []
    assert f"parts/{name}" in bucket.objects()


@pytest.mark.parametrize("moment", ["PUT", "POST"])
def test_an_upload_that_somebody_else_ended_is_told(
    bucket: Any, shaky: Any, proxy: S3Proxy, moment: str
) -> None:
    """A lifecycle rule, say; nothing of the run counts."""
    ended: Any = {"status": 404, "code": "NoSuchUpload", "times": 10}
    proxy.fail("answer", lambda r: r.method == moment and "uploadId" in r.query, **ended)
    store = shaky.store(request_size=5 << 20)
    store.lock()
    name = "00000001-0000-0123456789abcdef.ndjson.zst"
    file = store.create(name)
    with pytest.raises(FatalError, match=r"its upload was ended by another program.*run again"):
        file.write(bytes(11 << 20))
        file.commit(name)
        store.settle()
    file.discard()
    proxy.heal()
    store.unlock()
    store.close()
    assert bucket.uploads() == []
    assert bucket.objects() == {}
