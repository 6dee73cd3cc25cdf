"""Reads a server with the `cloud` source, as the engine does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lgx import Checkpoint, Loss, Query, Record, Secret, ThreadEnd, ThreadRef
from lgx.engine.run_context import RunContext
from lgx.testing import make_context
from lgx_plugins.cloud import CloudSource
from lgx_plugins.cloud.config import CloudSourceConfig


@dataclass
class Read:
    """What came of one read of a server."""

    context: RunContext
    threads: dict[str, list[Record]] = field(default_factory=dict)
    ends: dict[str, ThreadEnd] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, str]:
        return {thread_id: end.outcome for thread_id, end in self.ends.items()}

    @property
    def losses(self) -> list[Loss]:
        return [loss for end in self.ends.values() for loss in end.losses]

    @property
    def notes(self) -> list[str]:
        return [note.message for note in self.context.notes.values()]

    def states(self, thread_id: str) -> list[tuple[str, str]]:
        """Namespace and id of each checkpoint, in the order of coming."""
        return [
            (record.checkpoint_ns, record.checkpoint_id)
            for record in self.threads[thread_id]
            if isinstance(record, Checkpoint)
        ]


Reading = Callable[..., Awaitable[Read]]
Sources = Callable[..., CloudSource]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and proxies of whoever runs the tests stay out of them."""
    for name in ("LANGSMITH_SOURCE_API_KEY", "LANGSMITH_API_KEY", "LANGGRAPH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_source() -> Sources:
    """A source over a URL; options are given as a command's would be."""

    def make(url: str, *, api_key: str | None = None, **options: Any) -> CloudSource:
        options = {"ttl": False, "timeout": 5.0} | options
        key = Secret(api_key) if api_key is not None else None
        return CloudSource(CloudSourceConfig(url=url, api_key=key, **options))

    return make


@pytest.fixture
def read(make_source: Sources) -> Reading:
    """Lists and reads everything that a query selects."""

    async def read(
        url: str,
        query: Query | None = None,
        *,
        context: RunContext | None = None,
        **options: Any,
    ) -> Read:
        result = Read(context or make_context())
        async with make_source(url, **options) as source:
            async for ref in source.list(query or Query(), result.context):
                assert isinstance(ref, ThreadRef)
                records: list[Record] = []
                async for item in source.read([ref], result.context):
                    if isinstance(item, ThreadEnd):
                        result.ends[ref.thread_id] = item
                        if item.outcome != "deleted":
                            result.threads[ref.thread_id] = records
                    else:
                        records.append(item)
        assert result.context.budget.used == 0, "the budget was not given back"
        return result

    return read
