"""What a checkpointer's values would make LangGraph import, as far as its interface shows bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lgx import Context, Fact
from lgx_plugins.checkpointers.rows.imports import Imports
from lgx_plugins.checkpointers.saver.access import Access, SaverError, Unlisted
from lgx_plugins.checkpointers.saver.facts import note_of_serializer
from lgx_plugins.checkpointers.saver.watching import Watch

__all__ = ["imports_of"]

_LOGGER = "langgraph.checkpoint.serde.jsonplus"


class _Looking:
    """Stands in for LangGraph's serializer: it tells the names in what is to be loaded, and loads
    no more of it than LangGraph's strict mode does."""

    def __init__(self, inner: Any, found: Imports) -> None:
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        self._inner = inner
        self._strict = JsonPlusSerializer(allowed_msgpack_modules=None)
        self._found = found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, blob = data
        self._found.add(kind, bytes(blob or b""))
        try:
            return self._strict.loads_typed((kind, blob))
        except Exception:  # it has been counted among those that cannot be read
            return None


async def imports_of(
    access: Access, watch: Watch, serde: Any, ids: Sequence[str] | None, context: Context
) -> tuple[Fact, ...]:
    """Has the checkpointer list everything, or these threads, and looks at what it loads for that
    by its `serde`; nothing that the data names is imported."""
    if note_of_serializer(serde) is not None:
        return (_told("what its values import cannot be told: only its own serializer reads them"),)
    found = Imports(None)  # the checkpointer itself opens what is encrypted
    configs = [None] if ids is None else [{"configurable": {"thread_id": one}} for one in ids]
    facts: list[Fact] = []
    with watch.replaced(lambda inner: _Looking(inner, found)), _quietly():
        for config in configs:
            try:
                await access.each(config, lambda item: None, lambda: context.stopping)
            except SaverError as error:
                facts.append(_told(f"not all values could be looked into: {error}"))
            except Unlisted:
                break
    return (*found.facts(), *facts)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without LangGraph's own words about what it does not load, which say how to allow it."""
    logger = logging.getLogger(_LOGGER)
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def _told(value: str) -> Fact:
    return Fact(name="imports", value=value, level="warn")
