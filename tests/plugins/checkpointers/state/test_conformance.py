"""What every source promises holds for states as well, by lgx's own kit."""

from __future__ import annotations

import operator
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypedDict

import msgspec
import pytest
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, StateGraph

from lgx import Context, Loss, Query, Record, SourceBase, Thread, ThreadEnd, ThreadRef
from lgx.testing import SourceConformance, make_context
from lgx_plugins.checkpointers.sqlite import SqliteSaverSource
from lgx_plugins.checkpointers.sqlite.config import SqliteSaverConfig
from lgx_plugins.checkpointers.state import STATE_KINDS

_NAMES = ("a", "B", "🎈", "z/../z")


class Lines(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


class Shown(SqliteSaverSource):
    """As a run with `--fidelity state` reads it, but for the status: no filter applies it."""

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        asked = msgspec.structs.replace(query, kinds=STATE_KINDS)
        async for item in super().list(asked, context):
            yield item

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        async for item in super().read(refs, context):
            bare = isinstance(item, Thread)
            yield msgspec.structs.replace(item, status=None) if bare else item


def _run(path: Path, thread_id: str, *, of: str) -> None:
    inner: Any = StateGraph(Lines)
    inner.add_node("deep", lambda _: {"log": [f"deep {of}"]})
    inner.add_edge(START, "deep")
    outer: Any = StateGraph(Lines)
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "inner")
    config: Any = {"configurable": {"thread_id": thread_id}, "metadata": {"of": of}}
    with SqliteSaver.from_conn_string(str(path)) as saver:
        outer.compile(checkpointer=saver).invoke({"log": [of]}, config)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("template") / "x.db"
    for name in _NAMES:
        _run(path, name, of=name)
    return path


class TestStates(SourceConformance):
    exact_bytes: ClassVar[bool] = True

    @pytest.fixture
    def path(self, tmp_path: Path, template: Path) -> Path:
        return Path(shutil.copy(template, tmp_path / "x.db"))

    @pytest.fixture
    async def expected(self, path: Path) -> Mapping[str, Sequence[Record]]:
        """Each thread by itself; that they are right the other tests of states tell."""
        found: dict[str, Sequence[Record]] = {}
        for name in _NAMES:
            context = make_context()
            async with Shown(SqliteSaverConfig(path=path)) as source:
                query = Query(thread_ids=(name,))
                refs = [r async for r in source.list(query, context) if isinstance(r, ThreadRef)]
                *records, end = [item async for item in source.read(refs, context)]
            assert isinstance(end, ThreadEnd)
            found[name] = [one for one in records if isinstance(one, Record)]
            assert len(found[name]) == 7
        return found

    @pytest.fixture
    def source_factory(
        self, path: Path, expected: Mapping[str, Sequence[Record]]
    ) -> Callable[[], SourceBase[Any]]:
        return lambda: Shown(SqliteSaverConfig(path=path))

    @pytest.fixture
    def change(self, path: Path) -> Callable[[], Any]:
        def change() -> str:
            _run(path, "B", of="again")
            return "B"

        return change
