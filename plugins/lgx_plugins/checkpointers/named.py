"""From a name to what it names in the user's own code; the name is the user's, and trusted."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from lgx import UsageError

__all__ = ["attribute", "load", "shown"]


def load(name: str, what: str) -> Any:
    """What the name stands for. The directory in which lgx was started is looked into last.

    Args:
        what: what the name is of, for messages.

    Raises:
        UsageError: there is nothing of that name.
    """
    module, separator, path = name.partition(":")
    if not (separator and module and path):
        raise UsageError(
            f"{what} {name!r} is not of the form package.module:name, such as "
            "my_app.state:checkpointer"
        )
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"module {module!r} of {what} {name!r} cannot be imported ({error}); install it "
            "beside lgx, or start lgx in the directory that holds it"
        ) from error
    return attribute(found, path, f"{what} {name!r}")


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


def shown(found: object) -> str:
    """What something is, for a sentence."""
    if inspect.ismodule(found):
        return f"module {found.__name__}"
    kind = found if inspect.isclass(found) else type(found)
    return f"{kind.__module__}.{kind.__qualname__}"
