"""Which nodes were executed, written down where a test can read it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

_Node = TypeVar("_Node", bound=Callable[..., Any])


def recorded(node: _Node) -> _Node:
    """A node that adds its name to the file LGX_TEST_EXECUTIONS each time that it runs."""

    @wraps(node)
    def run(*args: Any, **kwargs: Any) -> Any:
        path = os.environ.get("LGX_TEST_EXECUTIONS")
        if path:
            with Path(path).open("a") as file:
                file.write(f"{node.__module__}.{node.__name__}\n")
        return node(*args, **kwargs)

    return run  # type: ignore[return-value]


def on_target() -> bool:
    """Whether this is the target's app, whose graphs have gone on since."""
    return os.environ.get("LGX_TEST_SIDE") == "target"
