"""States of rows beside those that LangGraph makes of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from types import ModuleType
from typing import Any

import pytest

from lgx import Loss, Record, Secret, ThreadEnd, ThreadRef
from lgx.testing import make_context
from lgx_plugins.checkpointers.state import states

from . import oracle as langgraph
from . import shapes as graphs


@pytest.fixture(scope="session")
def shapes() -> ModuleType:
    """Graphs of further shapes than the zoo's (see shapes.py)."""
    return graphs


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """What LangGraph itself shows of a thread (see oracle.py)."""
    return langgraph


@pytest.fixture
def states_of() -> Callable[..., Any]:
    """Gives the records and losses that a source's rows become, by thread."""

    async def read(source: Any, key: Secret | None = None) -> dict[str, Any]:
        from lgx import Query

        context = make_context()
        found: dict[str, tuple[list[Record], list[Loss]]] = {}
        async with source:
            refs = [
                ref async for ref in source.list(Query(), context) if isinstance(ref, ThreadRef)
            ]
            waiting: list[Record] = []
            async for item in states(_rows(source, refs, context), key):
                if isinstance(item, ThreadEnd):
                    found[item.thread_id] = (waiting, list(item.losses))
                    waiting = []
                else:
                    waiting.append(item)
        return found

    return read


async def _rows(source: Any, refs: Any, context: Any) -> AsyncGenerator[Record | ThreadEnd, None]:
    for start in range(0, len(refs), source.refs_per_read):
        async for item in source.read(refs[start : start + source.refs_per_read], context):
            yield item
