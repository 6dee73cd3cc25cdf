"""What filters over threads a checkpointer can apply."""

from __future__ import annotations

from lgx import Query, UsageError

__all__ = ["check_filters"]


def check_filters(query: Query) -> None:
    """
    Raises:
        UsageError: a checkpointer does not keep what a filter asks for.
    """
    if query.status:
        raise UsageError(
            f"--status {query.status} cannot be applied: a checkpointer keeps no status of its "
            "threads; choose them by --thread-id, --metadata, --since or --until"
        )
