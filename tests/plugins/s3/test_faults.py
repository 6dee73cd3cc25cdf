"""What becomes of a run when the store, or the way to it, has a bad day."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from lgx import FatalError, IntegrityError, LockedError, UsageError
from lgx.testing import Deployment, S3Proxy, StubServer, make_context
from lgx.testing.s3_proxy import Fault, Request
from lgx_plugins.s3 import client as s3_client

LARGE = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(1_500_000))
"""12 MB of which little can be compressed away."""


@pytest.fixture(autouse=True)
def _impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 tries as often as ever, after hardly any time."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.001)


def named(name: str) -> Callable[[Request], bool]:
    return lambda request: request.name == name


def puts_a_part(request: Request) -> bool:
    return request.method == "PUT" and "/parts/" in request.path


async def failure(work: Any) -> str:
    """The message of the fatal or usage error that ends it."""
    with pytest.raises((FatalError, UsageError)) as raised:
        await work
    return str(raised.value)


@pytest.mark.parametrize("fault", ["busy", "unavailable", "reset", "unanswered", "cut"])
async def test_faults_that_pass_cost_nothing_but_time(
    bucket: Any, shaky: Any, proxy: S3Proxy, fault: Fault
) -> None:
    """Every fourth request, whatever it is for, meets the fault, some twice in a row; what was
    done by a request whose answer was lost is not done again."""
    threads = {"a": bucket.thread("a", 3, LARGE), "b": bucket.thread("b")}
    numbers = itertools.count()
    proxy.fail(fault, lambda _: next(numbers) % 7 in (2, 3), times=1000)
    await shaky.write(threads, batch=1, request_size=5 << 20, level=1)
    assert await shaky.read() == bucket.lines(threads)
    kinds = {request.name.partition(" ")[0] for request in proxy.log}
    assert kinds >= {"GET", "PUT", "POST", "DELETE"}
    assert bucket.uploads() == []
    names = sorted(bucket.objects())
    assert names[0] == "manifest.json"
    assert all(name.startswith("parts/") for name in names[1:])
    assert len(names) == 5


async def test_a_lost_answer_to_each_request_is_no_conflict(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """The journal's, the manifest's and the lock's conditional writes find themselves."""
    for name in ("PUT journal-00000001", "PUT manifest.json", "PUT .lgx-lock", "DELETE .lgx-lock"):
        proxy.fail("unanswered", named(name))
    threads = {name: bucket.thread(name) for name in "abc"}
    await shaky.write(threads, batch=1)
    assert await bucket.read() == bucket.lines(threads)
    assert set(bucket.objects()) >= {"manifest.json"}
    assert ".lgx-lock" not in bucket.objects()


async def test_the_completion_of_an_upload_finds_what_it_did(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """The first answer is lost; the second request is told that there is no such upload."""
    proxy.fail(
        "unanswered", lambda request: request.method == "POST" and "uploadId" in request.query
    )
    threads = {"a": bucket.thread("a", 3, LARGE)}
    await shaky.write(threads, request_size=5 << 20, level=1)
    assert await bucket.read() == bucket.lines(threads)


async def test_slowdown_without_end_is_one_clear_error(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """After as many attempts as were asked for; the next run goes on."""
    await bucket.write({"a": bucket.thread("a")})
    proxy.fail("busy", puts_a_part, times=1000)
    said = await failure(shaky.write({"b": bucket.thread("b")}, attempts=3))
    assert said.startswith("cannot write parts/00000002-0000-")
    assert f"of '{bucket.url()}': the store is overloaded or down (SlowDown); run again" in said
    data = [r for r in proxy.log if puts_a_part(r) and r.path.endswith(".ndjson.zst")]
    assert len(data) == 3
    assert set(await bucket.read()) == {"a"}
    proxy.heal()
    await shaky.write({"b": bucket.thread("b")})
    assert set(await bucket.read()) == {"a", "b"}


@pytest.mark.parametrize("size", [10, len(LARGE)], ids=["one request", "several"])
@pytest.mark.parametrize("checksum", ["sha256", "crc32", "md5"])
async def test_bytes_that_changed_on_their_way_are_sent_again(
    bucket: Any, shaky: Any, proxy: S3Proxy, checksum: str, size: int
) -> None:
    """The store took them, checksum and all: the answer's ETag tells."""
    proxy.fail("corrupt", puts_a_part)
    threads = {"a": bucket.thread("a", 2, LARGE[:size])}
    await shaky.write(threads, request_size=5 << 20, checksum=checksum, level=1)
    assert await bucket.read() == bucket.lines(threads)
    sent = [request.size for request in proxy.log if puts_a_part(request)]
    assert len(sent) > len(set(sent))


@pytest.mark.parametrize("size", [10, len(LARGE)], ids=["one request", "several"])
async def test_bytes_that_change_again_and_again_end_the_run(
    bucket: Any, shaky: Any, proxy: S3Proxy, size: int
) -> None:
    """They are read back, found to be others, and removed; nothing refers to them."""
    await bucket.write({"a": bucket.thread("a")})
    before = set(bucket.objects())
    proxy.fail("corrupt", puts_a_part, times=1000)
    threads = {"b": bucket.thread("b", 2, LARGE[:size])}
    said = await failure(shaky.write(threads, request_size=5 << 20, level=1))
    assert "is not stored as it was sent: its checksum differs" in said
    assert set(bucket.objects()) == {*before, "journal-00000002"}
    assert bucket.uploads() == []
    assert set(await bucket.read()) == {"a"}


def writes(word: str) -> Callable[[Request], bool]:
    """Requests that write the manifest, a journal or the lock."""
    return lambda request: request.method == "PUT" and word in request.path


@pytest.mark.parametrize("conditional", [True, False], ids=["conditional", "unconditional"])
@pytest.mark.parametrize("word", ["manifest.json", "journal-", ".lgx-lock"])
async def test_a_small_object_that_changed_on_its_way_is_written_again(
    bucket: Any, shaky: Any, proxy: S3Proxy, word: str, conditional: bool
) -> None:
    """In a new archive and in one that exists: under the condition that nobody else has written
    since, and until it is right."""
    for threads in ({"a": bucket.thread("a")}, {"b": bucket.thread("b")}):
        proxy.heal()
        proxy.fail("corrupt", writes(word), times=3)
        await shaky.write(threads, conditional_writes=conditional)
        tries = [request for request in proxy.log if writes(word)(request)]
        assert len(tries) > 3
        assert all("If-Match" in request.headers for request in tries[1:4]) == conditional
        assert ".lgx-lock" not in bucket.objects()
    assert await bucket.read() == bucket.lines({**threads, "a": bucket.thread("a")})


@pytest.mark.parametrize(
    ("word", "after", "words"),
    [
        ("manifest.json", 0, "what stood there before stands there again"),
        ("journal-", 1, "what stood there before stands there again"),
        ("journal-", 0, "nothing stands there, as before"),
    ],
    ids=["the manifest", "a journal", "a new journal"],
)
async def test_a_small_object_that_never_arrives_right_gives_way_to_what_stood_there(
    bucket: Any, shaky: Any, proxy: S3Proxy, word: str, after: int, words: str
) -> None:
    """When all attempts are used up, the run ends and the archive is as it was before the write:
    it reads, and the next run goes on."""
    first, second = {"a": bucket.thread("a")}, {"b": bucket.thread("b")}
    await bucket.write(first)
    manifest = bucket.objects()["manifest.json"]
    proxy.fail("corrupt", writes(word), times=4, after=after)
    said = await failure(shaky.write(second, attempts=4))
    assert word in said
    assert f"is not stored as it was sent: its checksum differs, {words}; look for" in said
    assert bucket.objects()["manifest.json"] == manifest
    assert set(await bucket.read()) == ({"a", "b"} if word == "manifest.json" else {"a"})
    await bucket.write(second)
    assert await bucket.read() == bucket.lines(first | second)


async def test_what_never_arrives_right_in_an_empty_place_is_removed(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Nothing stood there before, and nothing does then."""
    proxy.fail("corrupt", writes("manifest.json"), times=1000)
    said = await failure(shaky.write({"a": bucket.thread("a")}))
    assert "manifest.json" in said
    assert "nothing stands there, as before" in said
    assert bucket.objects() == {}


async def test_it_is_told_where_the_former_content_could_not_be_put_back(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Each attempt at that was spoiled as well."""
    await bucket.write({"a": bucket.thread("a")})
    proxy.fail("corrupt", writes("manifest.json"), times=1000)
    said = await failure(shaky.write({"b": bucket.thread("b")}))
    assert "nor could what stood there before be put back" in said


async def test_a_write_that_was_spoiled_does_not_hide_another_runs(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """What that one wrote in between stays."""
    await bucket.write({"a": bucket.thread("a")})
    journal = "journal-00000002"
    proxy.fail("corrupt", writes("journal-"))
    proxy.fail(
        "call",
        lambda request: request.name == f"GET {journal}" and bool(bucket.objects().get(journal)),
        call=lambda _: bucket.put(journal, b"another run's"),
    )
    with pytest.raises(LockedError, match="was written by"):
        await shaky.write({"b": bucket.thread("b")})
    assert bucket.objects()[journal] == b"another run's"


@pytest.mark.parametrize("after", range(0, 8, 2))
async def test_a_failed_run_leaves_the_last_good_state(
    bucket: Any, shaky: Any, proxy: S3Proxy, after: int
) -> None:
    """Whichever write fails for good: what was committed reads whole, no upload stays open, and
    the next run ends with everything."""
    first = {"a": bucket.thread("a", 2, LARGE)}
    second = {
        name: bucket.thread(name, 2, LARGE[: 1_000_000 if name == "b" else 10]) for name in "bc"
    }
    await bucket.write(first, level=1)
    proxy.fail("busy", lambda r: r.method in ("PUT", "POST"), times=1000, after=after + 3)
    said = await failure(shaky.write(second, batch=1, attempts=1, level=1, request_size=5 << 20))
    assert "overloaded" in said
    assert bucket.uploads() == []
    assert set(await bucket.read()) in ({"a"}, {"a", "b"}, {"a", "b", "c"})
    await bucket.write(second)
    assert await bucket.read() == bucket.lines(first | second)


async def test_an_upload_is_aborted_when_its_run_fails(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Its parts would cost money for ever, and nobody would see them."""
    proxy.fail("busy", lambda r: "partNumber=2" in r.query, times=1000)
    said = await failure(
        shaky.write({"a": bucket.thread("a", 5, LARGE)}, attempts=1, level=1, request_size=5 << 20)
    )
    assert "overloaded" in said
    names = [request.name for request in proxy.log if "uploadId" in request.query]
    assert any(name.startswith("DELETE") for name in names)
    assert bucket.uploads() == []


ANSWERS = [
    (403, "AccessDenied", r"permission denied \(told by the proxy\); grant it s3:(Get|Put)Object"),
    (400, "ExpiredToken", "the credentials have expired; renew them and run again"),
    (403, "RequestTimeTooSkewed", "this machine's clock is wrong by minutes; set it"),
    (403, "InvalidAccessKeyId", "the access key is not known there; correct the credentials"),
    (403, "SignatureDoesNotMatch", "the secret key does not fit the access key"),
    (404, "NoSuchBucket", "does not exist; create it, or correct the url"),
    (301, "PermanentRedirect", "the bucket lies in another region"),
    (400, "KMS.DisabledException", "the KMS key does not serve"),
    (400, "InvalidStorageClass", "no such storage class"),
    (507, "InsufficientStorage", "has no space left"),
    (501, "NotImplemented", "does not know such a request.*--sink-checksum md5"),
    (418, "Teapot", r"told by the proxy \(Teapot\)"),
]


@pytest.mark.parametrize(("status", "code", "words"), ANSWERS, ids=[a[1] for a in ANSWERS])
async def test_a_refusal_is_one_clear_error(
    bucket: Any, shaky: Any, proxy: S3Proxy, status: int, code: str, words: str
) -> None:
    """In one line with the archive's url and the remedy, at the begin and in the middle."""
    begins = ("GET manifest.json", "PUT .lgx-lock")
    tests: list[Callable[[Request], bool]] = [lambda r: r.name in begins, puts_a_part]
    for match in tests:
        proxy.heal()
        proxy.fail("answer", match, times=1000, status=status, code=code)
        with pytest.raises((FatalError, UsageError), match=words) as raised:
            await shaky.write({"a": bucket.thread("a")}, attempts=2)
        said = str(raised.value)
        assert bucket.url() in said
        assert "\n" not in said
        assert said[0].islower()


async def test_truncated_bodies_are_read_again_from_where_they_ended(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """And if that does not help, it is one clear error."""
    threads = {"a": bucket.thread("a", 3, LARGE)}
    await bucket.write(threads, level=1)
    proxy.fail("cut", lambda request: "/parts/" in request.path, times=4)
    assert await shaky.read() == bucket.lines(threads)
    proxy.fail("cut", lambda request: "/parts/" in request.path, times=1000)
    assert "the answer ends early" in await failure(shaky.read(attempts=2))


async def test_a_missing_and_a_changed_part_are_named(bucket: Any) -> None:
    """As in a directory: before anything is read, or when the thread is."""
    threads = {"a": bucket.thread("a")}
    await bucket.write(threads)
    (name,) = (name for name in bucket.objects() if name.endswith(".ndjson.zst"))
    data = bucket.objects()[name]
    bucket.put(name, data[:20] + bytes([data[20] ^ 1]) + data[21:])
    with pytest.raises(IntegrityError, match=name.removeprefix("parts/")):
        await bucket.read()
    bucket.put(name, data + b"more")
    with pytest.raises(IntegrityError, match="bytes, not"):
        await bucket.read()
    client = bucket.server.client()
    client.delete_object(Bucket=bucket.name, Key=f"backup/{name}")
    client.close()
    with pytest.raises(IntegrityError, match="is missing"):
        await bucket.read()


def hide(proxy: S3Proxy) -> None:
    """Without the permission to list, S3 says of what is not there that it is forbidden."""

    def hidden(request: Request) -> bool:
        absent = request.method == "GET" and "journal-" in request.path
        return absent or "list-type" in request.query

    proxy.fail("answer", hidden, times=1000, status=403, code="AccessDenied")


async def test_reading_needs_no_permission_to_list(bucket: Any, shaky: Any, proxy: S3Proxy) -> None:
    """The manifest tells all names; the doctor says what cannot be known then; a part that is
    missing is told when it is read."""
    threads = {"a": bucket.thread("a"), "b": bucket.thread("b")}
    await bucket.write(threads)
    hide(proxy)
    assert await shaky.read() == bucket.lines(threads)
    async with shaky.source() as source:
        facts = {fact.name: fact for fact in (await source.probe(make_context())).facts}
    context = make_context()
    async with shaky.source() as source:
        await source.versions(context)
    assert "may not be listed" in next(iter(context.notes.values())).message
    assert facts["listing"].level == "warn"
    assert facts["content"].level == "ok"
    (name,) = (name for name in bucket.objects() if name.endswith(".ndjson.zst"))
    client = bucket.server.client()
    client.delete_object(Bucket=bucket.name, Key=f"backup/{name}")
    client.close()
    with pytest.raises(IntegrityError, match="is missing"):
        await shaky.read()


async def test_going_on_with_an_archive_needs_no_permission_to_list(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Beginning one does: whether something stands there cannot be told."""
    hide(proxy)
    proxy.fail(
        "answer",
        lambda r: r.name == "GET manifest.json",
        status=403,
        code="AccessDenied",
        times=1000,
    )
    said = await failure(shaky.write({"a": bucket.thread("a")}))
    assert "is not there, or may not be read" in said
    assert "s3:ListBucket to begin an archive" in said
    assert bucket.objects() == {}
    proxy.heal()
    hide(proxy)
    await bucket.write({"a": bucket.thread("a")})
    proxy.fail(
        "answer", lambda r: r.name == "GET .lgx-lock", status=403, code="AccessDenied", times=1000
    )
    await shaky.write({"b": bucket.thread("b")})
    assert set(await bucket.read()) == {"a", "b"}


async def test_no_credentials_are_told_with_the_remedy(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is begun."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(UsageError, match=r"no credentials for 's3://.*AWS_PROFILE, or log in"):
        await bucket.read()


async def test_an_unknown_profile_is_told(bucket: Any) -> None:
    """By its name."""
    with pytest.raises(UsageError, match=r"\(nobody\) could not be found"):
        await bucket.read(profile="nobody")


async def test_a_server_that_speaks_no_s3_is_told(bucket: Any) -> None:
    """Nothing is taken for an empty bucket."""
    async with StubServer(Deployment.sample(threads=1)) as stub:
        for work in (bucket.read, partial(bucket.write, {})):
            assert "what answers there is no S3" in await failure(work(endpoint_url=stub.url))


@pytest.mark.parametrize(("status", "why"), [(200, "no ETag"), (302, "it sends every request")])
async def test_a_page_in_place_of_an_object_is_told(
    shaky: Any, proxy: S3Proxy, status: int, why: str
) -> None:
    """A portal's, or the way to one; botocore follows the latter for ever."""
    proxy.fail("answer", times=100_000, status=status, code="")
    assert f"what answers there is no S3 ({why}" in (await failure(shaky.read(attempts=1)))


@pytest.mark.parametrize("role", ["source", "sink"])
async def test_a_server_that_is_not_there_is_told(bucket: Any, role: str) -> None:
    """With its address, and the option that gave it."""
    work = {"source": bucket.read, "sink": partial(bucket.write, {})}[role]
    said = await failure(work(endpoint_url="http://127.0.0.1:9"))
    assert "http://127.0.0.1:9/" in said
    assert said.endswith(
        f"; see that --{role}-endpoint-url or AWS_ENDPOINT_URL_S3 is right and the store is running"
    )


async def test_a_server_that_has_never_answered_is_soon_given_up(
    shaky: Any, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some attempts, and some seconds. A store that has answered is not given up before
    all attempts are used up."""
    proxy.fail("reset", times=1000)
    said = await failure(shaky.read())
    assert "is right and the store is running" in said
    assert len(proxy.log) == 6
    proxy.heal()
    proxy.fail("reset", times=1000)
    with monkeypatch.context() as patch:
        patch.setattr(s3_client, "_FIRST_SECONDS", 0)
        await failure(shaky.read())
    assert len(proxy.log) == 2
    proxy.heal()
    proxy.fail("reset", lambda request: "list-type" in request.query, times=1000)
    said = await failure(shaky.read())
    assert said.endswith(
        "; run again later: what was committed stands, and the run goes on from there"
    )
    assert len(proxy.log) == 11


async def test_credentials_that_expire_are_told_whatever_was_asked(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """Also by the request that looks whether the manifest is still the same."""

    def after_the_journal(request: Request) -> bool:
        begun = any(earlier.name.startswith("PUT journal-") for earlier in proxy.log)
        return begun and request.name.endswith(" manifest.json")

    proxy.fail("answer", after_the_journal, status=400, code="ExpiredToken", times=1000)
    said = await failure(shaky.write({"a": bucket.thread("a")}, attempts=2))
    assert "the credentials have expired; renew them and run again" in said
