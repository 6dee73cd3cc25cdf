"""Questions that cannot be put are told."""

from __future__ import annotations

from contextlib import closing
from types import ModuleType

from lgx.testing import make_context
from lgx_plugins.checkpointers.rebuilding import thread as rebuilding
from lgx_plugins.checkpointers.rebuilding.rows import ThreadRows
from lgx_plugins.checkpointers.rebuilding.target import GraphTarget
from lgx_plugins.replay import Outcome

from .places import Place


async def test_questions_of_a_history_that_came_out_shorter_are_told(app: ModuleType) -> None:
    """Nothing tells at which of its checkpoints they would stand."""
    place = Place(app.built())
    await place.graph.ainvoke({"messages": "tea", "log": []}, place.head())
    bundle, context = await place.export(), make_context()
    rows, spool = ThreadRows(), context.spool()
    target = GraphTarget(app.built().compile(), bundle.thread_id, rows, keep=True)
    outcome = Outcome(fidelity="values", exact=False, head=None, checkpoints=0)

    with closing(rows), closing(spool):
        copy = await rebuilding._finish(bundle, target, outcome, rows, spool)

    assert [loss.what for loss in copy.losses if "questions" in loss.what] == [
        "questions and errors of 1 task"
    ]
