"""Two sides that are one place are refused; two places that look alike are compared."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

import lgx
from lgx import (
    Config,
    Context,
    FatalError,
    Probe,
    Query,
    Record,
    Secret,
    StreamSource,
    Thread,
    ThreadEnd,
    UsageError,
    encode_line,
    option,
)
from lgx.sameness import refuse_one_place


class ServerConfig(Config, frozen=True, kw_only=True):
    url: Annotated[str, option("Where.")]
    api_key: Annotated[Secret | None, option("Key.")] = None


class Server(StreamSource[ServerConfig]):
    name = "server"
    config_type = ServerConfig

    async def probe(self, context: Context) -> Probe:
        return Probe()

    async def identity(self) -> str:
        if "silent" in self.config.url:
            raise FatalError("it does not answer")
        return self.config.url.lower().removesuffix("/")

    async def scan(self, query: Query, context: Context) -> AsyncIterator[Record | ThreadEnd]:
        for record in tuple[Record, ...]():
            yield record


class DatabaseConfig(Config, frozen=True, kw_only=True):
    dsn: Annotated[Secret, option("Where.")]
    origin: Annotated[str | None, option("Of several.")] = None


class Database(Server):
    name = "database"
    config_type = DatabaseConfig  # type: ignore[assignment]

    async def identity(self) -> str:
        config: Any = self.config
        return "database:1" if config.origin is None else f"database:1#{config.origin}"


def server(url: str, key: str = "k") -> Server:
    return Server(ServerConfig(url=url, api_key=Secret(key)))


def database(dsn: str, origin: str | None = None) -> Database:
    return Database(DatabaseConfig(dsn=Secret(dsn), origin=origin))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        (server("http://a/x"), server("HTTP://A/x/", "another"), "http://a/x"),
        (server("http://localhost:1"), server("http://127.0.0.1:1"), "http://localhost:1"),
        (
            database("postgresql://u:p@Host/db"),
            database("postgresql://host:5432/db"),
            "database:1",
        ),
        (database("service=x"), database("service=x"), "database:1"),
    ],
)
async def test_one_place_is_refused_however_it_is_spelt(
    one: Server, other: Server, named: str
) -> None:
    """By a usage error that shows no secret, and names the option to change."""
    with pytest.raises(UsageError, match=f"^source and sink are both {named}, which says") as told:
        await refuse_one_place(one, other)

    assert str(told.value).rpartition("--sink-")[2] in ("url", "dsn")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (server("http://a"), server("http://b")),
        (server("http://a:1"), server("http://a:2")),
        (server("http://silent"), server("http://silent")),  # whoever reads it tells
        (database("postgresql://u@host/db"), database("postgresql://u@host/copy")),
        (database("service=x"), database("service=y")),
        (database("service=x", origin="a"), database("service=x", origin="b")),
        (database("service=x"), server("http://a")),
    ],
)
async def test_two_places_are_compared(one: Server, other: Server) -> None:
    """Also a copy that kept the identity of what it was made of, and two origins in one place."""
    await refuse_one_place(one, other)


async def test_a_file_and_a_link_to_it_are_one_place_and_its_copy_is_another(
    tmp_path: Path,
) -> None:
    path, link, copy = tmp_path / "a.ndjson", tmp_path / "link.ndjson", tmp_path / "b.ndjson"
    path.write_bytes(encode_line(Thread(thread_id="t")) + b"\n")
    link.symlink_to(path)
    shutil.copy(path, copy)
    source = lgx.use("ndjson", path=str(path))

    for other in (source, lgx.use("ndjson", path=str(link))):
        with pytest.raises(UsageError, match=r"both .*a\.ndjson, which .* --sink-path$"):
            await lgx.verify_async(source, other)
    assert (await lgx.verify_async(source, lgx.use("ndjson", path=str(copy)))).equal


async def test_an_archive_is_compared_with_what_it_was_before(tmp_path: Path) -> None:
    """One place, at two moments."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(encode_line(Thread(thread_id="t")) + b"\n")
    archive = lgx.use("archive", path=str(tmp_path / "copies"))
    await lgx.run_async(lgx.use("ndjson", path=str(path)), archive)

    with pytest.raises(UsageError, match="source and sink are both"):
        await lgx.verify_async(archive, archive)
    assert (await lgx.verify_async(archive, archive, as_of="2999-01-01T00:00:00Z")).equal
