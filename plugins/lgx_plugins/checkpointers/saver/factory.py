"""From the name of a factory to what it names; the name is the user's, and trusted."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from lgx import UsageError

__all__ = ["attribute", "is_saver", "load", "missing_package", "shown"]


def load(factory: str, what: str = "factory") -> Any:
    """What the name stands for. The directory in which lgx was started is looked into last.

    Args:
        what: what the name is of, for messages.

    Raises:
        UsageError: there is nothing of that name.
    """
    module, separator, name = factory.partition(":")
    if not (separator and module and name):
        raise UsageError(
            f"{what} {factory!r} is not of the form package.module:name, such as "
            "my_app.state:checkpointer"
        )
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"module {module!r} of {what} {factory!r} cannot be imported ({error}); install it "
            "beside lgx, or start lgx in the directory that holds it"
        ) from error
    return attribute(found, name, f"{what} {factory!r}")


def attribute(found: Any, name: str, where: str) -> Any:
    """What a module has under a name, which may have dots.

    Raises:
        UsageError: it has no such.
    """
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UsageError(
                f"{where} names {part!r}, which {shown(found)} does not have"
            ) from None
    return found


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


def shown(found: object) -> str:
    """What something is, for a sentence."""
    if inspect.ismodule(found):
        return f"module {found.__name__}"
    kind = found if inspect.isclass(found) else type(found)
    return f"{kind.__module__}.{kind.__qualname__}"
