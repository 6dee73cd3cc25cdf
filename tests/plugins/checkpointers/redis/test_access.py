"""Servers that refuse, lack something, or go away; and the urls that name them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import redis

from lgx import FatalError, LgxError, Query, RetryableError, Secret, UsageError, run_async, use
from lgx.testing import make_context, make_run
from lgx_plugins.checkpointers.redis import RedisSaverSink, RedisSaverSource
from lgx_plugins.checkpointers.redis.address import Address
from lgx_plugins.checkpointers.redis.config import RedisSaverConfig, RedisSaverSinkConfig
from lgx_plugins.checkpointers.redis.failures import explain

_SECRET = "p4ss-w0rd-nobody-may-see"


def _source(url: str) -> RedisSaverSource:
    return RedisSaverSource(RedisSaverConfig(url=Secret(url)))


async def _list(url: str) -> list[Any]:
    async with _source(url) as source:
        return [one async for one in source.list(Query(), make_context())]


async def _begin(url: str) -> None:
    async with RedisSaverSink(RedisSaverSinkConfig(url=Secret(url))) as sink:
        await sink.begin(make_run(), make_context())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost", "is none of a Redis server"),
        ("localhost:6379", "is none of a Redis server"),
        ("redis://localhost:x/0", "is none of a Redis server"),
        ("redis://localhost/zero", "is no number of a database"),
        ("redis://localhost/\u00b2", "is no number of a database"),
        ("redis://localhost/" + "9" * 5000, "is no number of a database"),
        ("redis+sentinel://localhost:26379/mymaster/0", "Redis Sentinel, which lgx does not ask"),
    ],
)
async def test_urls_that_are_none(url: str, words: str) -> None:
    """A usage error says what one looks like."""
    with pytest.raises(UsageError, match=words):
        _source(url)


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("redis://u:secret@LOCALHOST", "redis://localhost:6379/0"),
        ("rediss://:secret@h:7000/3", "rediss://h:7000/3"),
        ("redis://h?db=2", "redis://h:6379/2"),
        ("redis://h/0?db=2&db=3", "redis://h:6379/2"),
        ("unix://u:secret@/run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("redis://[::1]:1/", "redis://[::1]:1/0"),
    ],
)
async def test_the_identity_is_the_place_without_secrets(url: str, identity: str) -> None:
    """However the url spells it; a prefix of one's own is part of it."""
    assert await _source(url).identity() == identity
    other = Address(Secret(url)).identity("app:")
    assert other.endswith("checkpoint_prefix=app%3A")
    assert Address(Secret(url)).is_place_of(other)


async def test_no_part_of_a_password_is_shown() -> None:
    """One with a slash that is not escaped is cut in two, and neither half is told."""
    with pytest.raises(UsageError) as caught:
        _source("redis://user:123/s3cret@localhost:6379/0")
    assert "s3cret" not in str(caught.value)


async def test_parameters_for_other_programs(store: Any, zoo: Any) -> None:
    """How answers are to look is not the url's to say, and a database is the one that redis-py
    goes to; what nobody knows is a mistake."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    for asked in ("decode_responses=True", "protocol=3", "encoding=utf-16&decode_responses=1"):
        assert [ref.thread_id for ref in await _list(f"{store.url}?{asked}")] == ["t"]
    assert await _list(f"{store.url}/0?db=3") == []
    with pytest.raises(UsageError, match="is not database 0"):
        await _begin(f"{store.url}/0?db=3")
    with pytest.raises(UsageError, match="cannot be used"):
        await _list(f"{store.url}?mood=good")


async def test_a_socket_is_read_as_a_port_is(store: Any, zoo: Any) -> None:
    """`unix://` and the default database; another database has nothing, and takes no indexes."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    refs = await _list(f"unix://{store.server.socket}")
    assert [ref.thread_id for ref in refs] == ["t"]
    assert await _list(f"{store.url}/3") == []
    with pytest.raises(UsageError, match="is not database 0"):
        await _begin(f"{store.url}/3")
    with pytest.raises(UsageError, match="has no database of that number"):
        await _list(f"{store.url}/99")


async def test_logins(
    new_server: Callable[..., Any], store: Any, caplog: pytest.LogCaptureFixture, zoo: Any
) -> None:
    """Without a password, with a wrong one and with the right one; it shows nowhere."""
    caplog.set_level(logging.DEBUG, logger="redis")
    caplog.set_level(logging.DEBUG, logger="lgx")
    server = new_server("--requirepass", _SECRET)
    for url, words in (
        (server.url, "wants a password"),
        (server.url.replace("//", f"//:{_SECRET}wrong@"), "refused the login"),
        (server.url.replace("//", f"//nobody:{_SECRET}wrong@"), "refused the login"),
    ):
        with pytest.raises(UsageError, match=words) as error:
            await _list(url)
        assert _SECRET not in str(error.value)
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    sink = use("redis-saver", url=server.url.replace("//", f"//default:{_SECRET}@"))
    report = await run_async(store.use(), sink)
    assert report.threads.written == 1
    assert _SECRET not in repr(report)
    assert _SECRET not in caplog.text


async def test_a_user_who_may_only_read(new_server: Callable[..., Any]) -> None:
    """Is enough for the source, and refused by the sink with the command that is missing."""
    server = new_server()
    rights = ("on", ">pw", "~*", "+@read", "+json.get", "+@connection", "+time")
    server.client.execute_command("ACL", "SETUSER", "reader", *rights)
    url = server.url.replace("//", "//reader:pw@")
    assert await _list(url) == []
    with pytest.raises(UsageError, match="does not let this user do what lgx needs"):
        await _begin(url)


async def test_a_server_without_the_modules(new_server: Callable[..., Any]) -> None:
    """The source and the sink say which one is missing."""
    server = new_server(modules=False)
    with pytest.raises(UsageError, match="has no RedisJSON"):
        await _list(server.url)
    with pytest.raises(UsageError, match="has no RedisJSON"):
        await _begin(server.url)


async def test_a_cluster(new_server: Callable[..., Any]) -> None:
    """Is not supported, and said so before anything is read."""
    server = new_server("--cluster-enabled", "yes", modules=False)
    with pytest.raises(UsageError, match="part of a Redis Cluster, which lgx does not read"):
        await _list(server.url)


async def test_a_replica(new_server: Callable[..., Any]) -> None:
    """Can be read, and not written to."""
    server = new_server()
    server.client.replicaof("127.0.0.1", "1")
    assert await _list(server.url) == []
    with pytest.raises(FatalError, match="can only be read: it is a replica"):
        await _begin(server.url)


async def test_a_full_server(new_server: Callable[..., Any], store: Any, zoo: Any) -> None:
    """Stops the run; nothing half done is there, and what was staged is removed by the next."""
    server = new_server()
    with store.saver() as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        for _ in range(20):
            zoo.put_checkpoint(saver, "t")
        saver.put(config, {"id": "z", "channel_values": {"x": "y" * 4_000_000}}, {}, {})
    server.client.config_set("maxmemory", server.client.info("memory")["used_memory"] + 2_000_000)
    target = use("redis-saver", url=server.url)
    report = await run_async(store.use(), target)
    assert "has no memory left" in str(report.aborted)
    assert report.exit_code == 1
    assert not [key for key in server.client.scan_iter() if key.startswith(b"checkpoint")]
    server.client.config_set("maxmemory", 0)
    server.client.delete("lgx_lock:checkpoint")
    report = await run_async(store.use(), target)
    assert (report.threads.written, report.failures) == (1, [])
    assert not [key for key in server.client.scan_iter() if key.startswith(b"lgx_part")]


async def test_connections_that_are_cut(filled: Any, other: Any, move: Any) -> None:
    """Every request is tried again on a new one: the copy is whole all the same."""
    cut = 0

    class Cutting(RedisSaverSource):
        async def read(self, refs: Any, context: Any) -> Any:
            nonlocal cut
            async for item in super().read(refs, context):
                if cut < 3:
                    cut += 1
                    for one in (filled, other):
                        one.client.execute_command(
                            "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"
                        )
                yield item

    outcomes = await move(Cutting(filled.source().config), other.sink())
    assert {(one.error, one.losses) for one in outcomes} == {(None, ())}
    assert cut == 3
    assert other.everything() == filled.everything()


async def test_a_server_that_is_gone(new_server: Callable[..., Any]) -> None:
    """Says so, with its place and no secret."""
    server = new_server()
    url = server.url.replace("//", f"//:{_SECRET}@")
    server.close()
    with pytest.raises(
        LgxError, match=r"the connection to redis://127.0.0.1:\d+/0 was lost"
    ) as one:
        await _list(url)
    assert _SECRET not in str(one.value)


def test_what_may_pass_is_tried_again() -> None:
    """A server that loads its data, is busy or has no place for a client; the rest is final."""
    errors = redis.exceptions
    for error in (
        errors.BusyLoadingError("Redis is loading the dataset in memory"),
        errors.ResponseError("BUSY Redis is busy running a script"),
        errors.ResponseError("LOADING Redis is loading the dataset in memory"),
        errors.ConnectionError("max number of clients reached"),
        errors.TimeoutError("Timeout reading from socket"),
        ConnectionResetError("reset"),
    ):
        assert isinstance(explain(error, "redis://h"), RetryableError)
    for error in (
        errors.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        errors.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        errors.ReadOnlyError("You can't write against a read only replica."),
    ):
        assert isinstance(explain(error, "redis://h"), FatalError)
    assert isinstance(explain(errors.ResponseError("MOVED 1 h:1"), "redis://h"), UsageError)
    assert explain(KeyError("x"), "redis://h") is None
