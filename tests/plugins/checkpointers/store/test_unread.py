"""What is said of items that could not be read."""

from __future__ import annotations

import pytest

from lgx_plugins.checkpointers.stores.unread import unread


@pytest.mark.parametrize(("count", "end"), [(1, ""), (20, ""), (21, "; …")])
def test_the_first_twenty_are_named(count: int, end: str) -> None:
    """All are counted; that some are not named is shown."""
    failed = [f"item {number}: odd" for number in range(count)]
    named = "; ".join(failed[:20])
    assert str(unread(failed)) == f"{count} could not be read; {named}{end}"
