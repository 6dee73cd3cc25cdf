"""A thread that is to be built, as it came."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Checkpoint, Thread, raw
from lgx.testing import make_bundle, make_context, make_run
from lgx_plugins.cloud.restore.holdings import Place
from lgx_plugins.cloud.restore.jobs import job_of
from lgx_plugins.cloud.restore.threads import Built


class OneGraph:
    """A target that runs one graph."""

    default = "agent"

    async def of(self, own: str, context: Any) -> str:
        return own


@pytest.mark.parametrize(
    ("namespaces", "lost"),
    [((), {"its values"}), (("child:1",), {"its values"}), (("child:1", ""), set())],
)
async def test_values_come_with_a_history_of_the_thread_itself_or_are_told(
    namespaces: tuple[str, ...], lost: set[str]
) -> None:
    """That of subgraphs is none: no server takes it."""
    context = make_context()
    records = [
        Thread(thread_id="t", metadata=raw({}), values=raw({"n": 1})),
        *(Checkpoint(thread_id="t", checkpoint_ns=ns, checkpoint_id="c") for ns in namespaces),
    ]
    bundle = make_bundle(context, records)
    graphs: Any = OneGraph()

    job = await job_of(bundle, Place("t", None), graphs, make_run(), context)

    as_sent = Built(metadata=raw(job.sent.fields))
    assert {loss.what for loss in job.missing(as_sent, exact=True)} == lost
    bundle.spool.close()
