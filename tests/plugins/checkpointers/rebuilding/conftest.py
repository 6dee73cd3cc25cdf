"""A team's graphs, threads of theirs on a server, and files that hold what its API says."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from msgspec import structs

import lgx
from lgx import Record, Report, Thread, encode_line, raw

from .places import Place, Reader

APP = Path(__file__).with_name("app.py")


@pytest.fixture
def app() -> Iterator[ModuleType]:
    """The module that `--sink-graph` finds, with nothing run yet."""
    spec = spec_from_file_location("app", APP)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["app"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["app"]


@pytest.fixture
def named() -> Callable[[str], str]:
    """What `--sink-graph` is given for a name in the app."""
    return lambda name: f"{APP}:{name}"


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes threads of a place into a file, as an export of its server would."""

    async def states(
        place: Place, ids: Iterable[str], graph_id: str | None = "agent"
    ) -> list[Record]:
        records: list[Record] = []
        for thread_id in ids:
            metadata = {} if graph_id is None else {"graph_id": graph_id}
            records.append(Thread(thread_id=thread_id, metadata=raw({**metadata, "team": "x"})))
            records += [
                structs.replace(one, thread_id=thread_id)
                for one in reversed(await place.states(thread_id))
            ]
        return records

    async def write(*parts: tuple[Any, ...], name: str = "export.ndjson") -> Path:
        lines = [msgspec.json.encode({"kind": "header", "format": "lgx-ndjson", "version": 1})]
        for part in parts:
            lines += map(encode_line, await states(*part))
        path = tmp_path / name
        path.write_bytes(b"\n".join(lines) + b"\n")
        return path

    return write  # type: ignore[return-value]


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Any]:
    """Runs lgx from such a file into a file of SqliteSaver's."""

    async def bring(source: Path, *graphs: str, **options: Any) -> Report:
        own = {key[5:]: options.pop(key) for key in [*options] if key.startswith("sink_")}
        sink = lgx.use("sqlite-saver", path=tmp_path / "copy.db", graph=list(graphs), **own)
        return await lgx.run_async(lgx.use("ndjson", path=source), sink, **options)

    return bring


@pytest.fixture
def bring_with(bring: Any, app: ModuleType, named: Any) -> Callable[..., Any]:
    """The same, with the graph of one of replay's cases."""

    async def bring_with(case: Any, source: Path, **options: Any) -> Report:
        app.case = case.build().compile(checkpointer=None, **case.options)  # type: ignore[attr-defined]
        report: Report = await bring(source, named("case"), **options)
        return report

    return bring_with


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Any]:
    """The checkpointer on that file, as the team's program opens it; or as servers do, which
    show JSON."""

    @asynccontextmanager
    async def copy(*, json: bool = False) -> AsyncIterator[AsyncSqliteSaver]:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "copy.db")) as saver:
            if json:
                saver.serde = Reader()
            yield saver

    return copy
