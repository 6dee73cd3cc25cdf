"""The options of a sink that rebuilds threads."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from lgx import UsageError, option

__all__ = ["Compare", "GraphName", "GraphNames", "names_of"]

GraphNames: TypeAlias = Annotated[
    tuple[str, ...],
    option(
        "Rebuild the threads of a server with your own graph: package.module:name, or "
        "path/file.py:name, as in langgraph.json; it is imported, and none of its nodes runs. Of "
        "several graphs each is given as graph_id=package.module:name, one by one or separated by "
        "commas.",
        example="my_app.agent:graph",
    ),
]

Compare: TypeAlias = Annotated[
    Literal["all", "sample", "none"],
    option(
        "Which threads that are rebuilt (--sink-graph) to compare with their source before they "
        "are written, checkpoint by checkpoint: all, one in twenty, or none."
    ),
]


class GraphName(Struct, frozen=True):
    """`graph_id`: None where the one graph is for all threads."""

    graph_id: str | None
    name: str


def names_of(given: tuple[str, ...]) -> tuple[GraphName, ...]:
    """
    Raises:
        UsageError: two are for the same threads.
    """
    found = []
    for text in (part.strip() for one in given for part in one.split(",")):
        graph_id, separator, name = text.partition("=")
        found.append(GraphName(graph_id, name) if separator else GraphName(None, text))
    ids = [one.graph_id for one in found]
    if len(ids) > 1 and None in ids:
        raise UsageError(
            "--sink-graph is given several times, and once without saying which threads it is "
            f"for ({next(one.name for one in found if one.graph_id is None)!r}); give each as "
            "graph_id=package.module:name"
        )
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"--sink-graph is given twice for the threads of graph {twice!r}")
    return tuple(found)
