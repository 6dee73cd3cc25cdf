"""Whole runs into and out of a bucket, from Python and from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lgx
from lgx.testing import StubProcess

THREADS = 40


@pytest.fixture(scope="module")
def stub() -> Iterator[StubProcess]:
    with StubProcess(threads=THREADS, checkpoints=4, size=2000) as process:
        yield process


def lines(path: Path) -> list[bytes]:
    """The records of an NDJSON file, sorted, without its header."""
    return sorted(path.read_bytes().splitlines()[1:])


def command(*arguments: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "lgx", *arguments], capture_output=True, text=True, check=False
    )


def test_a_server_by_way_of_a_bucket_is_the_server(
    stub: StubProcess, bucket: Any, tmp_path: Path
) -> None:
    """cloud → s3 → ndjson gives what cloud → ndjson gives, record for record."""
    cloud, s3 = lgx.use("cloud", url=stub.url), lgx.use("s3", **bucket.options())
    direct, round_trip = tmp_path / "direct.ndjson", tmp_path / "round.ndjson"
    assert lgx.run(cloud, lgx.use("ndjson", path=str(direct))).exit_code == 0
    there = lgx.run(cloud, s3)
    assert (there.exit_code, there.threads.written) == (0, THREADS)
    back = lgx.run(s3, lgx.use("ndjson", path=str(round_trip)))
    assert (back.exit_code, back.threads.written) == (0, THREADS)
    assert lines(round_trip) == lines(direct)


def test_a_second_run_writes_nothing(stub: StubProcess, bucket: Any) -> None:
    """No history is asked for, and no object changes."""
    cloud, s3 = lgx.use("cloud", url=stub.url), lgx.use("s3", **bucket.options())
    assert lgx.run(cloud, s3).exit_code == 0
    before = bucket.objects()
    stub.reset()
    report = lgx.run(cloud, s3)
    assert (report.exit_code, report.threads.unchanged) == (0, THREADS)
    assert stub.counts()["requests"].get("history", 0) == 0
    assert bucket.objects() == before


def test_a_dry_run_creates_nothing(stub: StubProcess, bucket: Any) -> None:
    """Not even a lock."""
    report = lgx.run(
        lgx.use("cloud", url=stub.url), lgx.use("s3", **bucket.options()), dry_run=True
    )
    assert len(report.would_move) == THREADS
    assert bucket.objects("") == {}


def test_the_command_line_has_it_all(stub: StubProcess, bucket: Any, tmp_path: Path) -> None:
    """run, doctor with and without --clean, and back by --as-of; the endpoint by boto3's own
    variable."""
    target = ["--sink", "s3", "--sink-url", bucket.url()]
    origin = ["--source", "s3", "--source-url", bucket.url()]
    back = ["--sink", "ndjson", "--sink-path", str(tmp_path / "back.ndjson")]
    before = os.environ.get("AWS_ENDPOINT_URL_S3")
    os.environ["AWS_ENDPOINT_URL_S3"] = bucket.endpoint_url
    try:
        run = command("run", "--source", "cloud", "--source-url", stub.url, *target)
        assert run.returncode == 0, run.stderr
        looked = command("doctor", *origin)
        assert looked.returncode == 0, looked.stdout
        assert "every part was read, and is as it was written" in looked.stdout
        manifest = json.loads(bucket.objects()["manifest.json"])
        moment = manifest["parts"][-1]["written_at"]
        bucket.put("parts/00000099-0000-0123456789abcdef.ndjson.zst", b"left")
        cleaned = command("doctor", *target, "--clean")
        assert cleaned.returncode == 0, cleaned.stdout
        assert "removed" in cleaned.stdout
        assert "00000099-0000-0123456789abcdef.ndjson.zst" in cleaned.stdout
        early = command("run", *origin, *back, "--as-of", moment)
        assert early.returncode == 0, early.stderr
        assert len(lines(tmp_path / "back.ndjson")) > THREADS
        too_early = command("run", *origin, *back, "--as-of", "2020-01-01")
        assert (too_early.returncode, too_early.stderr.count("\n")) == (1, 1)
        assert "the archive holds nothing as of 2020-01-01" in too_early.stderr
        missing = command(
            "run", "--source", "s3", "--source-url", "s3://no-such-bucket-here", *back
        )
        assert missing.returncode == 2
        assert missing.stderr.count("\n") == 1
        assert "does not exist; create it" in missing.stderr
    finally:
        if before is None:
            del os.environ["AWS_ENDPOINT_URL_S3"]
        else:
            os.environ["AWS_ENDPOINT_URL_S3"] = before


def test_the_module_imports_no_driver() -> None:
    """boto3 takes half a second; it is imported when a bucket is used."""
    code = (
        "import lgx_plugins.s3, sys; print({'boto3', 'botocore', 'zstandard'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "set()"
