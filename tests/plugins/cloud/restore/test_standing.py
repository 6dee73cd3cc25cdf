"""What stands on a target, read again."""

from __future__ import annotations

import asyncio

import pytest

from lgx.testing import StubProcess, make_context
from lgx_plugins.cloud.answers import TooLargeError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.standing import Standing


@pytest.mark.parametrize("bound", [1, 64])
async def test_a_history_of_large_steps_is_read_unless_one_is_too_large(bound: int) -> None:
    """Pages become smaller, down to single steps; one beyond the bound ends it."""
    with StubProcess(threads=1, checkpoints=2, size=20 << 20) as stub:
        config = CloudSinkConfig(url=stub.url, max_answer=bound)
        context = make_context()
        async with Client(config) as client, asyncio.timeout(60):
            history, holdings = HistoryReader(client, 1000), Holdings(client)
            wanted = {"limit": 1, "select": ["thread_id"]}
            answer = await client.ask(
                "POST", "/threads/search", wanted, opening=b"[", what="threads"
            )
            thread_id = answer.body.split(b'"thread_id":"')[1][:36].decode()
            standing = Standing(client, history, holdings, thread_id, context)
            if bound == 1:
                with pytest.raises(TooLargeError, match="--sink-max-answer sets the bound"):
                    [row async for row in standing.history()]
                with pytest.raises(TooLargeError, match="--sink-max-answer sets the bound"):
                    await standing.newest()
            else:
                assert len([row async for row in standing.history()]) == 2
                assert len(await standing.newest()) == 1
    assert context.budget.used == 0
