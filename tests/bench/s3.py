"""`ndjson` to `s3` beside boto3's `upload_file` of the same bytes, to a server on this machine."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from measure import Figure, peak_memory

import lgx
from lgx.testing.s3 import S3Process
from lgx_plugins.s3.config import S3SinkConfig
from lgx_plugins.s3.store import S3Store

_BAR = 250
_ROUNDS = 3
_WRITE = """
from lgx.cli import main
lines, url, endpoint = sys.argv[1:]
assert main(
    ["run", "--source", "ndjson", "--source-path", lines, "--sink", "s3", "--sink-url", url]
    + ["--sink-endpoint-url", endpoint, "--quiet"]
) == 0
"""
_READ = """
from lgx.cli import main
target, url, endpoint = sys.argv[1:]
assert main(
    ["run", "--source", "s3", "--source-url", url, "--source-endpoint-url", endpoint]
    + ["--sink", "ndjson", "--sink-path", target, "--quiet"]
) == 0
"""


def figures(*, quick: bool = False) -> list[Figure]:
    size = (20 if quick else 100) << 20
    with S3Process() as server, tempfile.TemporaryDirectory() as name:
        folder, bucket = Path(name), server.new_bucket()
        return [
            *_conversations(server, bucket, folder, 3 * size),
            *_parts(server, bucket, folder, size),
            *_memory(server, bucket, folder, size),
        ]


def _conversations(server: S3Process, bucket: str, folder: Path, size: int) -> list[Figure]:
    """Threads as chats make them, from a file: it is uploaded as it is, and exported."""
    path = folder / "chats.ndjson"
    _write_chats(path, size)
    to = {"endpoint_url": server.endpoint_url}
    plain, export, back = [], [], []
    for number in range(_ROUNDS):
        plain.append(_timed(lambda: _upload_file(server, bucket, path)))
        sink = lgx.use("s3", url=f"s3://{bucket}/chats-{number}", **to)
        export.append(_timed(partial(_move, lgx.use("ndjson", path=str(path)), sink)))
        lines = lgx.use("ndjson", path=str(folder / "back.ndjson"))
        back.append(_timed(partial(_move, sink, lines)))
    rate, file = size / min(export) / 1e6, size / min(plain) / 1e6
    return [
        Figure("chats, ndjson to s3", f"{rate:.0f} MB/s"),
        Figure("  boto3 upload_file of that file", f"{file:.0f} MB/s"),
        Figure("  lgx / upload_file", f"{rate / file:.2f}", ">= 0.70", met=rate >= 0.7 * file),
        Figure("  s3 to ndjson", f"{size / min(back) / 1e6:.0f} MB/s"),
    ]


def _parts(server: S3Process, bucket: str, folder: Path, size: int) -> list[Figure]:
    """The bytes of parts alone, which are what goes into the bucket."""
    path = folder / "part"
    path.write_bytes(os.urandom(size))
    config = S3SinkConfig(url=f"s3://{bucket}/parts", endpoint_url=server.endpoint_url)
    plain, ours = [], []
    store = S3Store(config)
    for number in range(_ROUNDS):
        plain.append(_timed(lambda: _upload_file(server, bucket, path)))
        ours.append(_timed(partial(_upload_part, store, path, number)))
    store.close()
    rate, file = size / min(ours) / 1e6, size / min(plain) / 1e6
    return [
        Figure("parts alone, checked", f"{rate:.0f} MB/s"),
        Figure("  boto3 upload_file of the same bytes", f"{file:.0f} MB/s"),
        Figure("  lgx / upload_file", f"{rate / file:.2f}", ">= 0.70", met=rate >= 0.7 * file),
    ]


def _memory(server: S3Process, bucket: str, folder: Path, size: int) -> list[Figure]:
    """Of one thread that hardly compresses, there and back."""
    path, url = folder / "noise.ndjson", f"s3://{bucket}/noise"
    with path.open("wb") as file:
        file.write(_line(kind="thread", thread_id="noise"))
        for number in range(size // 400_000):
            values = {"noise": os.urandom(200_000).hex()}
            file.write(_checkpoint("noise", number, values))
    there = peak_memory(_WRITE, str(path), url, server.endpoint_url)
    back = peak_memory(_READ, str(folder / "back.ndjson"), url, server.endpoint_url)
    name = f"one thread of {size >> 20} MB"
    return [
        Figure(f"{name}: to s3", f"{there:.0f} MB", f"<= {_BAR} MB", met=there <= _BAR),
        Figure(f"{name}: read back", f"{back:.0f} MB", f"<= {_BAR} MB", met=back <= _BAR),
    ]


def _write_chats(path: Path, size: int) -> None:
    thread = written = 0
    with path.open("wb") as file:
        while written < size:
            thread += 1
            thread_id = f"{thread:032x}"
            messages: list[dict[str, str]] = []
            written += file.write(_line(kind="thread", thread_id=thread_id, metadata={}))
            for step in range(30):
                messages.append({"type": "human", "content": os.urandom(300).hex()})
                written += file.write(_checkpoint(thread_id, step, {"messages": messages}))


def _checkpoint(thread_id: str, number: int, values: object) -> bytes:
    return _line(
        kind="checkpoint",
        thread_id=thread_id,
        checkpoint_ns="",
        checkpoint_id=f"{number:08d}",
        values=values,
    )


def _line(**record: object) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _upload_file(server: S3Process, bucket: str, path: Path) -> None:
    client = server.client()
    client.upload_file(str(path), bucket, "plain")
    client.close()


def _upload_part(store: S3Store, path: Path, number: int) -> None:
    name = f"00000001-{number:04d}-0123456789abcdef.ndjson.zst"
    upload = store.create(name)
    with path.open("rb") as file:
        while data := file.read(1 << 18):
            upload.write(data)
    upload.commit(name)
    store.settle()


def _move(source: lgx.Use, sink: lgx.Use) -> None:
    report = lgx.run(source, sink)
    assert report.exit_code == 0, report.failures[:3]
