"""What a factory of checkpointers has to give."""

from __future__ import annotations

from lgx import UsageError

__all__ = ["is_saver", "missing_package"]


def is_saver(found: object) -> bool:
    """
    Raises:
        UsageError: LangGraph's package of checkpointers is missing.
    """
    try:
        from langgraph.checkpoint.base import BaseCheckpointSaver
    except ImportError as error:
        raise missing_package() from error
    return isinstance(found, BaseCheckpointSaver)


def missing_package() -> UsageError:
    return UsageError(
        "the package langgraph-checkpoint is not installed, without which there is no "
        "checkpointer; install it into the environment of lgx"
    )
