"""What belongs to the deployment, where the sink has no place for it."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("there", [True, False])
async def test_a_kind_that_has_no_place_is_told_of_where_there_is_any(
    bench: Any, kit: Any, there: bool
) -> None:
    """A source may offer a kind of which it has none; nothing is lost then."""
    accepts = frozenset({"thread", "checkpoint"})
    bench.parts["sink_memory"] = type("K", (kit.sink,), {"world": bench.world, "accepts": accepts})
    bench.world.add("a")
    bench.world.extras["store_item"] = [kit.item("x")] * there

    report = await bench.run()

    lost = [kit.loss(what="store_item records", why=WHY, holdable=False)] * there
    assert (report.exit_code, report.losses) == (0, lost)
    assert bench.world.stored_extras == {}


WHY = "the memory sink has no place for them"
