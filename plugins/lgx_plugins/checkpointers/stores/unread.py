"""Items that could not be read."""

from __future__ import annotations

from collections.abc import Sequence

from lgx import ThreadError

__all__ = ["unread"]

_NAMED = 20


def unread(failed: Sequence[str]) -> ThreadError:
    """What to raise after the healthy ones, so that they are kept; names the first of them.

    Args:
        failed: each item and why.
    """
    more = "; …" if len(failed) > _NAMED else ""
    return ThreadError(f"{len(failed)} could not be read; {'; '.join(failed[:_NAMED])}{more}")
