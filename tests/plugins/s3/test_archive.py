"""An archive in a bucket: what it consists of, where it may lie, and that it is one format."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx import FatalError, IntegrityError, Query, UsageError, encode_line
from lgx.testing import make_context, sample_threads
from lgx.testing.s3_proxy import S3Proxy
from lgx_plugins.archive import ArchiveSink, ArchiveSource
from lgx_plugins.archive.state import load_state
from lgx_plugins.s3.place import parse_url
from lgx_plugins.s3.store import S3Store

GOLDEN = sorted((Path(__file__).parents[1] / "archive" / "golden").iterdir())


def upload(bucket: Any, folder: Path) -> None:
    """Copies a directory object by object."""
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.put(file.relative_to(folder).as_posix(), file.read_bytes())


def download(bucket: Any, folder: Path) -> None:
    """Copies a bucket file by file."""
    for name, data in bucket.objects().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


async def extras_of(source: Any, kind: str) -> list[str]:
    async with source:
        return [encode_line(r).decode() async for r in source.extras(kind, Query(), make_context())]


def digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
async def test_an_old_archive_copied_into_a_bucket_reads_as_when_it_was_written(
    bucket: Any, golden: Path
) -> None:
    """Threads of both sources, byte by byte, and extras; then a run adds to it."""
    expected = json.loads((golden / "expected.json").read_bytes())
    upload(bucket, golden / "archive")
    for origin, threads in expected["threads"].items():
        read = await bucket.read(origin=origin)
        assert {thread_id: digest(lines) for thread_id, lines in read.items()} == threads
    origin = "http://golden.test"
    for kind, lines in expected["extras"].items():
        assert await extras_of(bucket.source(origin=origin), kind) == lines
    new = {"new": bucket.thread("new")}
    await bucket.write(new, source=origin, merge=True)
    only = Query(thread_ids=("new",))
    assert await bucket.read(only, origin=origin) == bucket.lines(new)


@pytest.mark.parametrize("finish", [True, False], ids=["finished", "cut short"])
async def test_an_archive_moves_from_a_bucket_to_a_directory_and_back(
    bucket: Any, tmp_path: Path, finish: bool
) -> None:
    """Object by object, also one that has only a journal for its last batches."""
    threads = {name: bucket.thread(name, 5) for name in ("a", "b/../c", "🎈", "")}
    await bucket.write(threads, batch=2, finish=finish)
    path = tmp_path / "archive"
    download(bucket, path)
    report = await lgx.run_async(
        lgx.use("archive", path=str(path)), lgx.use("ndjson", path=str(tmp_path / "all.ndjson"))
    )
    assert (report.exit_code, report.threads.written) == (0, 4)
    before = bucket.lines(threads)
    sink = ArchiveSink(ArchiveSink.config_type(path=path))
    source = ArchiveSource(ArchiveSource.config_type(path=path))
    async with sink:
        await sink.begin(lgx.testing.make_run(), make_context())
        await sink.finish(make_context())
    async with source:
        assert len([ref async for ref in source.list(Query(), make_context())]) == 4
    bucket.server.remove_bucket(bucket.name)
    client = bucket.server.client()
    client.create_bucket(Bucket=bucket.name)
    client.close()
    upload(bucket, path)
    assert await bucket.read() == before


async def test_objects_have_names_that_tell_nothing_of_threads(bucket: Any) -> None:
    """Whatever ids are: parts, indexes and the manifest are all there is, below the prefix."""
    threads = {
        name: bucket.thread(name) for name in ("../../x", "a/b", "a\0b", "🎈" * 99, "", "x" * 2000)
    }
    await bucket.write(threads, finish=False)
    assert await bucket.read() == bucket.lines(threads)
    pattern = r"manifest\.json|journal-\d{8}|parts/\d{8}-\d{4}-[0-9a-f]{16}\.(ndjson|index)\.zst"
    assert all(re.fullmatch(pattern, name) for name in bucket.objects())
    assert {key.partition("/")[0] for key in bucket.objects("")} == {"backup"}


async def test_the_samples_of_the_kit_go_round(bucket: Any) -> None:
    """Odd values and ids, in several batches, come back byte by byte."""
    threads = {getattr(r[0], "thread_id"): r for r in sample_threads().values()}  # noqa: B009
    await bucket.write(threads, batch=3)
    assert await bucket.read() == bucket.lines(threads)


async def test_an_earlier_state_is_read_as_it_was(bucket: Any) -> None:
    """`--as-of` goes back to before a run."""
    first = {"a": bucket.thread("a"), "b": bucket.thread("b")}
    await bucket.write(first)
    store = bucket.store()
    assert store.check(writing=False)
    moment = (await asyncio.to_thread(load_state, store)).last_written_at
    store.close()
    await bucket.write({"a": bucket.thread("a", 9), "c": bucket.thread("c")})
    assert await bucket.read(Query(as_of=moment)) == bucket.lines(first)
    assert set(await bucket.read()) == {"a", "b", "c"}


NAUGHTY = [
    ("", ""),
    ("/", ""),
    ("///a//b///", "a/b/"),
    ("a b/ü/🎈", "a b/ü/🎈/"),
    ("a%20b/%2e%2e", "a%20b/%2e%2e/"),
    ("a?x=1#y&z+w", "a?x=1#y&z+w/"),
    ("<b>\"'`$(x)|;*", "<b>\"'`$(x)|;*/"),
    ("...", ".../"),
    ("é" * 479, "é" * 479 + "/"),
]


@pytest.mark.parametrize(("path", "prefix"), NAUGHTY)
async def test_any_prefix_holds_an_archive(bucket: Any, path: str, prefix: str) -> None:
    """Written and read under it, and under nothing else."""
    url = f"s3://{bucket.name}/{path}"
    assert parse_url(url).prefix == prefix
    await bucket.write({"a": bucket.thread("a")}, url=url)
    assert await bucket.read(url=url) == bucket.lines({"a": bucket.thread("a")})
    assert all(key.startswith(prefix) for key in bucket.objects(""))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("backup", "is not the url of a bucket; write it as s3://BUCKET/PREFIX"),
        ("http://x/y", "is not the url of a bucket"),
        ("s3://", "names no bucket: '' cannot be one's name"),
        ("s3:///x", "names no bucket"),
        ("s3://a b/x", "'a b' cannot be one's name"),
        ("s3://bucket/a/../b", "holds '.' or '..'"),
        ("s3://bucket/./b", "holds '.' or '..'"),
        ("s3://bucket/a\0b", r"holds '\\x00', which stores do not keep"),
        ("s3://bucket/a\nb", "which stores do not keep"),
        ("s3://bucket/\ud800", "which stores do not keep"),
        ("s3://bucket/" + "é" * 500, "has 1001 bytes of UTF-8, and keys may have 1024"),
    ],
)
async def test_what_is_no_place_is_refused(bucket: Any, url: str, words: str) -> None:
    """Before anything is asked of the store; one line that tells what to write."""
    for work in (bucket.read(url=url), bucket.write({}, url=url)):
        with pytest.raises(UsageError) as raised:
            await work
        assert re.search(words, str(raised.value))
        assert "\n" not in str(raised.value)


def test_an_access_point_is_a_bucket() -> None:
    """Its name holds slashes itself."""
    place = parse_url("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/a/b")
    assert (place.bucket, place.prefix) == (
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine",
        "a/b/",
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint_url": "minio:9000"}, "is not the url of a server"),
        ({"endpoint_url": "http://"}, "is not the url of a server"),
        ({"endpoint_url": "http://me:secret@host"}, "holds a name, a password or a signature"),
        ({"endpoint_url": "s3://me:secret@host"}, "holds a name, a password or a signature"),
        ({"endpoint_url": "http://me:secret@host:99999"}, "holds a name, a password"),
        ({"endpoint_url": "http://host/?X-Amz-Signature=secret"}, "or a signature"),
        ({"url": "s3://me:secret@bucket/x"}, "holds credentials or a signature"),
        ({"url": "https://b.s3.test/x?a=b&X-Amz-Signature=secret"}, "holds credentials or a sig"),
        ({"url": "s3://bucket/x?X-Amz-Credential=secret"}, "holds credentials or a signature"),
        ({"kms_key_id": "k"}, "a KMS key needs --sink-sse aws:kms"),
        ({"level": 20}, "level 20 is too high"),
    ],
)
async def test_options_that_cannot_serve_are_refused(
    bucket: Any, options: Mapping[str, Any], words: str
) -> None:
    """Each with the remedy, and without secrets."""
    with pytest.raises(UsageError, match=words) as raised:
        await bucket.write({}, **options)
    assert "secret" not in str(raised.value)


async def test_what_is_no_archive_is_refused_and_left_alone(bucket: Any) -> None:
    """Other objects, and an archive that has lost its manifest."""
    bucket.put("notes.txt", b"x")
    with pytest.raises(UsageError, match="there is no archive at"):
        await bucket.read()
    with pytest.raises(
        UsageError, match=r"not empty \(it holds 'notes.txt'\); name another prefix"
    ):
        await bucket.write({})
    assert bucket.objects() == {"notes.txt": b"x"}
    bucket.put("parts/00000001-0000-0123456789abcdef.index.zst", b"x")
    for work in (bucket.read(), bucket.write({})):
        with pytest.raises(IntegrityError, match=r"has lost its manifest\.json"):
            await work
    bucket.put("manifest.json", b"{}")
    for work in (bucket.read(), bucket.write({})):
        with pytest.raises(FatalError, match=r"manifest\.json .* is damaged, or none of lgx's"):
            await work


async def test_a_missing_bucket_is_told(bucket: Any) -> None:
    """For source and sink."""
    url = "s3://lgx-test-no-such-bucket/x"
    for work in (bucket.read(url=url), bucket.write({}, url=url)):
        with pytest.raises(UsageError, match="does not exist; create it, or correct the url"):
            await work


async def test_what_a_console_makes_in_place_of_folders_is_no_harm(bucket: Any) -> None:
    """Empty objects whose names end with a slash."""
    bucket.put("", b"")
    bucket.put("parts/", b"")
    await bucket.write({"a": bucket.thread("a")})
    assert set(await bucket.read()) == {"a"}


async def test_storage_class_and_encryption_are_asked_for(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """The class for parts alone, since each run reads the rest; encryption for everything."""
    threads = {"a": bucket.thread("a")}
    await shaky.write(
        threads, storage_class="STANDARD_IA", sse="aws:kms", kms_key_id="alias/backup"
    )
    assert await bucket.read() == bucket.lines(threads)
    asked = {}
    for request in proxy.log:
        if request.method in ("PUT", "POST"):
            headers = {name.lower(): value for name, value in request.headers.items()}
            asked[request.path.rpartition("/")[2]] = (
                headers.get("x-amz-storage-class"),
                headers.get("x-amz-server-side-encryption"),
                headers.get("x-amz-server-side-encryption-aws-kms-key-id"),
            )
    encrypted = ("aws:kms", "alias/backup")
    assert len(asked) == 5
    for name, found in asked.items():
        is_data = name.endswith("ndjson.zst")
        assert found == ("STANDARD_IA" if is_data else None, *encrypted), name


async def test_a_store_that_does_not_encrypt_is_told(
    bucket: Any, shaky: Any, proxy: S3Proxy
) -> None:
    """It may ignore what it does not know."""
    proxy.dropped.add("x-amz-server-side-encryption")
    with pytest.raises(FatalError, match=r"to be encrypted by AES256.*nothing of it"):
        await shaky.write({"a": bucket.thread("a")}, sse="AES256")


async def test_every_upload_bears_its_checksum(bucket: Any, shaky: Any, proxy: S3Proxy) -> None:
    """Of the kind that was chosen."""
    for checksum, header in (
        ("sha256", "x-amz-checksum-sha256"),
        ("crc32", "x-amz-checksum-crc32"),
        ("md5", "content-md5"),
    ):
        proxy.heal()
        await shaky.write({checksum: bucket.thread(checksum)}, checksum=checksum)
        puts = [r for r in proxy.log if r.method == "PUT" and r.size]
        assert len(puts) >= 5
        for request in puts:
            assert header in {name.lower() for name in request.headers}


async def test_a_long_journal_is_folded_during_the_run(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch replaces it as a whole, so that it has to stay small; nothing is lost by it."""
    monkeypatch.setattr(S3Store, "journal_bytes", 1500)
    threads = {f"{number:02d}": bucket.thread(f"{number:02d}") for number in range(9)}
    await bucket.write(threads, batch=1, finish=False)
    assert json.loads(bucket.objects()["manifest.json"])["generation"] > 2
    assert len([name for name in bucket.objects() if name.startswith("journal-")]) <= 1
    assert await bucket.read() == bucket.lines(threads)
    await bucket.write(threads)
    assert await bucket.read() == bucket.lines(threads)


async def test_a_part_is_read_by_ranges(bucket: Any, shaky: Any, proxy: S3Proxy) -> None:
    """One thread out of many costs its own frame and the index, no more."""
    text = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(300_000))
    threads = {f"{number}": bucket.thread(f"{number}", 2, text) for number in range(6)}
    await bucket.write(threads, level=1)
    sizes = {name: len(data) for name, data in bucket.objects().items()}
    (data,) = (name for name in sizes if name.endswith(".ndjson.zst"))
    only = Query(thread_ids=("3",))
    assert await shaky.read(only) == bucket.lines({"3": threads["3"]})
    asked = [r.headers["Range"] for r in proxy.log if r.path.endswith(data)]
    bounds = [re.fullmatch(r"bytes=(\d+)-(\d+)", found) for found in asked]
    read = sum(int(bound[2]) - int(bound[1]) + 1 for bound in bounds if bound)
    assert 0 < read < sizes[data] / 3


async def test_a_probe_reads_every_byte_once(bucket: Any, shaky: Any, proxy: S3Proxy) -> None:
    """Each part comes once, though it is looked at several times."""
    threads = {f"{number}": bucket.thread(f"{number}", 20, "text") for number in range(9)}
    await bucket.write(threads, batch=3)
    facts = {f.name: f for f in lgx.probe(source=lgx.use("s3", **shaky.options())).facts}
    assert facts["bucket"].value == bucket.name
    assert facts["content"].value == "every part was read, and is as it was written"
    sizes = {name: len(data) for name, data in bucket.objects().items()}
    for name, size in sizes.items():
        if name.endswith(".ndjson.zst"):
            asked = [r for r in proxy.log if r.path.endswith(name)]
            read = sum(
                min(int(b), size - 1) - int(a) + 1
                for r in asked
                for a, b in re.findall(r"(\d+)-(\d+)", r.headers["Range"])
                if int(a) < size
            )
            assert read == size


async def test_a_probe_of_a_target_that_is_not_there_creates_nothing(bucket: Any) -> None:
    """It says that an archive will be made."""
    facts = {f.name: f.value for f in lgx.probe(sink=lgx.use("s3", **bucket.options())).facts}
    assert facts["archive"] == "will be created"
    assert bucket.objects("") == {}
