"""The graphs that a target runs: only their threads can be rebuilt there."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from lgx import Context, RetryableError, ThreadError
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.belongings import system_id
from lgx_plugins.replay import Edge, Topology

__all__ = ["Graphs"]

_LIMIT = 500


class _Row(Struct):
    graph_id: str
    assistant_id: str = ""


class _Schema(Struct):
    properties: dict[str, Raw] = {}


class _Schemas(Struct):
    state_schema: _Schema | None = None


class _Node(Struct):
    id: str


class _Edge(Struct):
    source: str
    target: str
    conditional: bool = False


class _Graph(Struct):
    nodes: list[_Node]
    edges: list[_Edge]


_rows = msgspec.json.Decoder(list[_Row])
_graph = msgspec.json.Decoder(_Graph)
_schemas = msgspec.json.Decoder(_Schemas)


class Graphs:
    """Which graphs there are, and which of them takes the place of a source's."""

    def __init__(
        self, client: Client, mapped: Mapping[str, str], default: str | None = None
    ) -> None:
        """
        Args:
            mapped: by the source's id the target's, where they differ.
            default: the target's, of threads that name none.
        """
        self.default = default
        self.assistants: set[str] = set()
        """Ids of those that the target lists, and of those that were made there since."""
        self.lacking: dict[str, str] = {}
        """Ids of assistants of the source whose graph the target does not run, with that."""
        self._client = client
        self._mapped = mapped
        self._used: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._missing: set[str] = set()

    async def load(self, context: Context) -> None:
        """Asks for them; called once, first.

        Raises:
            RetryableError, ThreadError: the server does not answer, or not the question.
        """
        found: set[str] = set()
        offset = 0
        while True:
            answer = await self._client.light(
                context,
                "POST",
                "/assistants/search",
                {
                    "limit": _LIMIT,
                    "offset": offset,
                    "sort_by": "created_at",
                    "sort_order": "asc",
                    "select": ["assistant_id", "graph_id"],
                },
                opening=b"[",
                what="list of the target's graphs",
            )
            try:
                rows = _rows.decode(answer.body)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RetryableError(f"the target's list of graphs is malformed: {error}") from None
            found.update(row.graph_id for row in rows)
            self.assistants.update(row.assistant_id for row in rows)
            if len(rows) < _LIMIT:
                break
            offset += len(rows)
        self._known = frozenset(found)

    @property
    def known(self) -> tuple[str, ...]:
        return tuple(sorted(self._known))

    @property
    def used(self) -> tuple[str, ...]:
        """Those of the source's that something was of, whether they are mapped or not."""
        return tuple(sorted(self._used))

    @property
    def idle(self) -> tuple[str, ...]:
        """Those of the source's that are mapped, and that nothing was of."""
        return tuple(sorted(self._mapped.keys() - self._used))

    def mapped(self, graph_id: str) -> str:
        """What takes the place of a source's graph, whether it is there or not."""
        self._used.add(graph_id)
        return self._mapped.get(graph_id, graph_id)

    async def check(self, context: Context) -> None:
        """That all graphs are there that others are mapped to.

        Raises:
            ThreadError: one is not.
            RetryableError: the server does not answer.
        """
        for graph_id in sorted(self._mapped):
            await self.of(graph_id, context)
        self._used.clear()

    async def of(self, graph_id: str, context: Context) -> str:
        """The target's graph for threads of this one.

        Raises:
            ThreadError: it has none.
            RetryableError: the server does not answer.
        """
        graph = self.mapped(graph_id)
        if graph in self._known or await self._runs(graph, context):
            return graph
        there = ", ".join(self.known) or "none that it lists"
        raise ThreadError(
            f"the target runs no graph {graph!r}, only: {there}; deploy it there, or name another "
            f"with --sink-map-graph {graph_id}=GRAPH"
        )

    async def has_assistant(self, name: str, context: Context) -> bool:
        """Whether there is an assistant of that id, or a graph of that name.

        Raises:
            RetryableError, ThreadError: the server does not tell.
        """
        if name in self.assistants or name in self._known:
            return True
        path = f"/assistants/{_assistant_id(name)}"
        try:
            await self._client.light(context, "GET", path, opening=b"{", what=f"assistant {name!r}")
        except RefusedError as error:
            if error.status not in (400, 404, 422):
                raise
            return False
        return True

    async def _runs(self, graph: str, context: Context) -> bool:
        """Asks for one: who may not list assistants may still use them."""
        if graph in self._missing:
            return False
        path = f"/assistants/{system_id(graph)}/schemas"
        try:
            await self._client.light(
                context, "GET", path, opening=b"{", what=f"schemas of graph {graph!r}"
            )
        except RefusedError as error:
            if error.status not in (400, 404, 422):
                raise
            self._missing.add(graph)
            return False
        self._known |= {graph}
        return True

    async def channels(self, graph: str, context: Context) -> frozenset[str] | None:
        """The channels of one of the target's graphs; None where they cannot be learnt."""
        path = f"/assistants/{system_id(graph)}/schemas"
        try:
            answer = await self._client.light(
                context, "GET", path, opening=b"{", what=f"schemas of graph {graph!r}"
            )
            schema = _schemas.decode(answer.body).state_schema
        except (ThreadError, RetryableError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        names = () if schema is None else schema.properties
        own = frozenset(name for name in names if not name.startswith("__"))
        return own or None  # functions have none, and nor have lists

    async def topology(self, graph: str, context: Context) -> Topology | None:
        """The nodes and edges of one of the target's graphs; None where it cannot be drawn."""
        path = f"/assistants/{quote(graph, safe='')}/graph"
        try:
            answer = await self._client.light(
                context, "GET", path, opening=b"{", what=f"graph {graph!r}"
            )
            drawn = _graph.decode(answer.body)
        except (ThreadError, RetryableError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return Topology(
            nodes=frozenset(node.id for node in drawn.nodes),
            edges=tuple(Edge(e.source, e.target, e.conditional) for e in drawn.edges),
        )


def _assistant_id(name: str) -> str:
    """Of an assistant by its id, or of the one that each server has for a graph of that name."""
    try:
        return str(uuid.UUID(name))
    except ValueError:
        return system_id(name)
