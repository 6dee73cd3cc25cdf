"""Every target that can be read back, empty, under the name of its plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lgx import Use, use
from lgx.testing.s3 import S3Process

Target = Callable[..., Use]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Process]:
    with S3Process() as server:
        yield server


@pytest.fixture
def postgres_target(database: str) -> Target:
    return lambda **options: use("postgres", dsn=database, **options)


@pytest.fixture
def s3_target(s3_server: S3Process) -> Iterator[Target]:
    bucket = s3_server.new_bucket()

    def target(prefix: str = "backup", **options: Any) -> Use:
        url = f"s3://{bucket}/{prefix}"
        return use("s3", url=url, endpoint_url=s3_server.endpoint_url, **options)

    yield target
    s3_server.remove_bucket(bucket)


@pytest.fixture(params=["json", "ndjson", "archive", "sqlite", "postgres", "dedup", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Use:
    """One end that is both a sink and a source; `dedup` is the other layout of postgres."""
    name = request.param
    make: Target = lambda **options: use(name, path=tmp_path / f"target.{name}")  # noqa: E731
    if name in ("postgres", "s3"):
        make = request.getfixturevalue(f"{name}_target")
    elif name == "dedup":
        make = partial(request.getfixturevalue("postgres_target"), layout="dedup")
    return make()
