"""A server that follows another one, and can only be read."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest

from lgx import LgxError, Query, canonical, encode_line
from lgx.testing import PostgresProcess


@pytest.mark.parametrize("feedback", ["on", "off"])
async def test_a_standby_is_read_like_its_primary(
    own_server: PostgresProcess, own_database: str, shop: Any, feedback: str
) -> None:
    """With as many connections; `doctor` says what may end a long read there, and with that it
    ends with a clear word."""
    shop.server, shop.dsn = own_server, own_database
    threads = [shop.thread(f"t{n:03}") for n in range(120)]
    await shop.write(*threads)
    versions = await shop.versions()
    settings = {"hot_standby_feedback": feedback, "max_standby_streaming_delay": "500ms"}
    with own_server.standby(**settings) as standby:
        shop.server = standby
        shop.dsn = standby.database_dsn(urlsplit(own_database).path[1:])
        for connections in (1, 4):
            assert await shop.records(connections=connections) == {
                one[0].thread_id: [canonical(encode_line(record)) for record in one]
                for one in threads
            }
        assert await shop.versions() == versions
        async with shop.source() as source:
            facts = (await source.probe(shop.context)).facts
            assert [fact.level for fact in facts if fact.name == "standby"] == [
                "ok" if feedback == "on" else "warn"
            ]
            refs = [ref async for ref in source.list(Query(), shop.context)]
            if feedback == "off":
                own_server.execute(own_database, "DELETE FROM langgraph_threads")
                own_server.execute(own_database, "VACUUM langgraph_threads")
                # By and by: what was read before it is whole.
                async with asyncio.timeout(30):
                    with pytest.raises(
                        LgxError, match=r"cannot be taken again|conflict with recovery"
                    ):
                        while True:
                            items = [item async for item in source.read(refs, shop.context)]
                            assert len(items) == 120 * 6
        if feedback == "on":  # else what would look might be ended itself
            shop.await_end()
            assert shop.sessions() == []
    shop.server, shop.dsn = own_server, own_database
