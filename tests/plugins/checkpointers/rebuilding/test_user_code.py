"""What a user's own code does when it is imported, opened, asked and closed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler

from lgx import FatalError

from .places import THREAD, Place


async def _written(app: ModuleType, write: Any, builder: Any = None) -> tuple[Place, Path]:
    place = Place(builder or app.built())
    await place.graph.ainvoke({"messages": "tea", "log": []}, place.head())
    return place, await write((place, [THREAD]))


@pytest.mark.parametrize("form", ["{path}:graph", "{path.stem}:graph"])
async def test_a_script_that_ends_the_program_ends_the_run_with_a_sentence(
    app: ModuleType,
    form: str,
    write: Any,
    bring: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one does that reads its arguments where it is imported."""
    _, source = await _written(app, write)
    path = tmp_path / f"ending_{form.count('.')}.py"
    path.write_text("import sys\nsys.exit(7)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(FatalError, match="raised SystemExit: 7"):
        await bring(source, form.format(path=path))


async def test_what_cannot_be_closed_is_said(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """After all was written: the error is lgx's own, and names what raised it."""
    _, source = await _written(app, write)

    @asynccontextmanager
    async def managed() -> AsyncIterator[Any]:
        yield app.built().compile()
        raise RuntimeError("the pool is gone")

    app.unclosable = managed  # type: ignore[attr-defined]

    report = await bring(source, named("unclosable"))

    assert report.threads.written == 1
    assert report.aborted == (
        "what a --sink-graph was made in, when it was closed, raised RuntimeError: the pool is gone"
    )


async def test_handlers_that_a_graph_is_bound_to_hear_nothing(
    app: ModuleType, write: Any, bring: Any, named: Any
) -> None:
    """What they would be told, and perhaps send to somewhere, are no runs."""
    heard: list[str] = []

    class Handler(BaseCallbackHandler):
        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            heard.append(str(kwargs.get("name")))

    _, source = await _written(app, write, app.choosing())
    app.bound = app.choosing().compile().with_config(callbacks=[Handler()])  # type: ignore[attr-defined]

    report = await bring(source, named("bound"))

    assert (report.losses, report.exit_code) == ([], 0)
    assert heard == []


async def test_questions_are_put_however_their_json_is_written(
    app: ModuleType, write: Any, bring: Any, named: Any, copy: Any
) -> None:
    """With spaces, and without the fields that other programs leave out."""
    place, source = await _written(app, write)
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    for task in (task for line in lines for task in line.get("tasks", ())):
        del task["error"], task["checkpoint"], task["state"]
    source.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    report = await bring(source, named("graph"))

    assert report.exit_code == 0
    async with copy() as saver:
        state = await app.built().compile(checkpointer=saver).aget_state(place.head())
    assert state.interrupts == (await place.graph.aget_state(place.head())).interrupts
    assert [one.value for one in state.interrupts] == [{"question": "first?"}]
