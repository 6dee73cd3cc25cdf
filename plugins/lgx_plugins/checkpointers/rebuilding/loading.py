"""From the name of a graph to the graph; the name is the user's, and trusted."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from lgx import FatalError, LgxError, UsageError
from lgx_plugins.checkpointers.named import attribute, load, shown
from lgx_plugins.checkpointers.rebuilding.saver import missing_langgraph

__all__ = ["closed", "open_graph"]


async def open_graph(name: str, stack: AsyncExitStack) -> Any:
    """The compiled graph: of what langgraph.json takes (a graph, one that is not compiled, a
    function or a context manager that gives one, sync or async), by `package.module:name` or
    `path/to/file.py:name`.

    Args:
        stack: closes what has to be closed.

    Raises:
        UsageError: there is none of that name, or it is no graph.
        FatalError: what was called raised something.
    """
    try:
        from langgraph.pregel import Pregel
    except ImportError as error:
        raise missing_langgraph(error) from error
    try:
        found = await _made(_load(name), stack)
        if not isinstance(found, Pregel) and hasattr(found, "compile"):
            found = found.compile()
    except LgxError:
        raise
    except (Exception, SystemExit) as error:  # a script may end the program where it is imported
        raise _raised(f"--sink-graph {name!r}", error) from error
    if not isinstance(found, Pregel):
        raise UsageError(
            f"--sink-graph {name!r} gives a {shown(found)}, which is no graph of LangGraph's"
        )
    return found


async def closed(stack: AsyncExitStack) -> None:
    """Closes what graphs were made in.

    Raises:
        FatalError: the user's own code raised something.
    """
    try:
        await stack.aclose()
    except LgxError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised("what a --sink-graph was made in, when it was closed,", error) from error


def _raised(what: str, error: BaseException) -> FatalError:
    words = " ".join(str(error).split())[:300]
    return FatalError(f"{what} raised {type(error).__name__}: {words}")


def _load(name: str) -> Any:
    place, _, attributes = name.rpartition(":")
    if not place.endswith(".py"):
        return load(name, "--sink-graph")
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"--sink-graph {name!r}: there is no file {str(path)!r}")
    module = sys.modules.get(path.stem)
    if module is None:
        module = _imported(path)
    elif getattr(module, "__file__", None) != str(path):
        raise UsageError(
            f"--sink-graph {name!r}: another module is called {path.stem!r} already; name it as "
            "package.module:name"
        )
    return attribute(module, attributes, f"--sink-graph {name!r}")


def _imported(path: Path) -> Any:
    # What stands beside it is imported as it is where the graph is served.
    for directory in (str(path.parent), str(Path.cwd())):
        if directory not in sys.path:
            sys.path.append(directory)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "it ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


async def _made(found: Any, stack: AsyncExitStack) -> Any:
    if _is_graph(found):
        return found
    if callable(found):
        found = found(*_arguments(found))
    if inspect.isawaitable(found):
        found = await found
    if not _is_graph(found):
        if hasattr(found, "__aenter__"):
            return await stack.enter_async_context(found)
        if hasattr(found, "__enter__"):
            return stack.enter_context(found)
    return found


def _is_graph(found: object) -> bool:
    from langgraph.graph import StateGraph
    from langgraph.pregel import Pregel

    return isinstance(found, Pregel | StateGraph)


def _arguments(function: Any) -> list[Any]:
    """The config that servers call a factory with, where it takes one."""
    needed = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is inspect.Parameter.empty
        and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    return [{"configurable": {}}] if needed else []
