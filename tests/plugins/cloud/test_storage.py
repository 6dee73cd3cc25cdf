"""The storage count is a check, and its failure costs no history."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import RetryableError
from lgx.testing import Deployment, StubServer
from lgx.testing.stub import Answer, Fault, Status


@pytest.mark.parametrize("fault", [Status(500), Answer(b"{}"), Answer(b'{"checkpoints":7}')])
async def test_a_thread_whose_storage_cannot_be_counted_comes(fault: Fault, read: Any) -> None:
    """With a note that it was checked in another way."""
    deployment = Deployment.sample(threads=2, checkpoints=4, subgraphs=2, size=100)
    async with StubServer(deployment) as stub:
        stub.fail("storage", fault)
        result = await read(stub.url)
    assert set(result.outcomes.values()) == {"complete"}
    for thread in deployment:
        assert len(result.states(thread.thread_id)) == thread.checkpoint_count()
    notes = result.context.notes.values()
    assert {note.thread_id for note in notes} == set(deployment.threads)
    assert all("checked by the chain of parents" in note.message for note in notes)


async def test_a_server_that_is_not_there_for_the_count_fails_the_thread(read: Any) -> None:
    """An outage says nothing of this thread; it is tried again by the next run."""
    deployment = Deployment.sample(threads=1, checkpoints=4, size=100)
    async with StubServer(deployment) as stub:
        stub.fail("storage", Status(503))
        with pytest.raises(RetryableError, match="storage of thread"):
            await read(stub.url)
