"""Assistants with all their versions, created on another server in the same order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec import Raw, UnsetType

from lgx import Assistant, Bundle, Context, Loss, Record, ThreadError, canonical
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.graphs import Graphs

__all__ = ["restore_assistants"]

Conflict: TypeAlias = Literal["fail", "skip", "replace"]

_KEPT = ("config", "context", "metadata", "name", "description")
_EMPTY = {b"null", b"{}"}


async def restore_assistants(
    client: Client, graphs: Graphs, bundle: Bundle, conflict: Conflict, context: Context
) -> list[Loss]:
    """Creates those that are missing, and adds the versions that one there still lacks.

    Returns:
        What could not be restored, holdable or not.

    Raises:
        RetryableError: the server does not answer.
    """
    there = {
        assistant_id: versions
        async for assistant_id, versions in _by_assistant(Extras(client, context).assistants())
    }
    losses: list[Loss] = []
    for assistant_id, records in itertools.groupby(bundle, _id_of):
        wanted = [record for record in records if isinstance(record, Assistant)]
        what = f"assistant {assistant_id}"
        try:
            restorer = _Restorer(client, graphs, assistant_id, context)
            losses += await restorer.restore(wanted, there.get(assistant_id, []), conflict)
        except ThreadError as error:
            losses.append(Loss(what=what, why=str(error)))
    return losses


def _id_of(record: Record) -> str:
    assert isinstance(record, Assistant)
    return record.assistant_id


async def _by_assistant(
    records: AsyncIterator[Record],
) -> AsyncIterator[tuple[str, list[Assistant]]]:
    """The versions of each, which come together, the one in force last."""
    current: list[Assistant] = []
    async for record in records:
        assert isinstance(record, Assistant)
        if current and current[0].assistant_id != record.assistant_id:
            yield current[0].assistant_id, current
            current = []
        current.append(record)
    if current:
        yield current[0].assistant_id, current


class _Restorer:
    def __init__(self, client: Client, graphs: Graphs, assistant_id: str, context: Context) -> None:
        self._client = client
        self._graphs = graphs
        self._id = assistant_id
        self._path = f"/assistants/{quote(assistant_id, safe='')}"
        self._context = context

    async def restore(
        self, wanted: Sequence[Assistant], held: Sequence[Assistant], conflict: Conflict
    ) -> list[Loss]:
        bodies = [await self._body(version) for version in _in_order(wanted)]
        there = [_content(version) for version in _in_order(held)]
        pairs = list(zip(bodies, there, strict=False))
        if _is_system(wanted) and _is_system(held):
            pairs = pairs[1:]  # each server makes the first version of those by itself
        same = all(canonical(body) == canonical(content) for body, content in pairs)
        if not same:
            if conflict == "fail":
                raise ThreadError(
                    "it stands there with other content; use --sink-on-conflict skip or replace"
                )
            if conflict == "skip":
                why = "it stands there with other content, which was left (--sink-on-conflict skip)"
                return [Loss(what=f"assistant {self._id}", why=why, holdable=False)]
            await self._ask("DELETE", self._path, None, opening=None)
            there = []
        for number, body in enumerate(bodies[len(there) :], len(there)):
            if number == 0:
                await self._ask("POST", "/assistants", self._created(body))
            else:
                await self._ask("PATCH", self._path, body)
        count = max(len(there), len(bodies))
        in_force = _position_in_force(wanted)
        if in_force != count - 1 or len(there) > len(bodies):
            await self._ask("POST", f"{self._path}/latest", _json({"version": in_force + 1}))
        return _merged(self._id, wanted)

    def _created(self, body: bytes) -> bytes:
        head = _json({"assistant_id": self._id, "if_exists": "raise"})
        return head[:-1] + b"," + body[1:]

    async def _body(self, version: Assistant) -> bytes:
        graph_id = version.graph_id
        if graph_id is None:
            raise ThreadError("it names no graph")
        return _content(version, await self._graphs.of(graph_id, self._context))

    async def _ask(
        self, method: str, path: str, body: bytes | None, *, opening: bytes | None = b"{"
    ) -> None:
        await self._client.send(
            self._context, method, path, body, opening=opening, what=f"assistant {self._id}"
        )


def _in_order(versions: Iterable[Assistant]) -> list[Assistant]:
    return sorted(versions, key=lambda version: version.version)


def _position_in_force(versions: Sequence[Assistant]) -> int:
    for position, version in enumerate(_in_order(versions)):
        if version.latest:
            return position
    return len(versions) - 1


def _is_system(versions: Sequence[Assistant]) -> bool:
    """Whether the server made it, one for each graph."""
    extra = next((version.extra for version in _in_order(versions)), {})
    if isinstance(extra, UnsetType) or "metadata" not in extra:
        return False
    metadata = msgspec.json.decode(extra["metadata"])
    return isinstance(metadata, dict) and metadata.get("created_by") == "system"


def _content(version: Assistant, graph_id: str | None = None) -> bytes:
    """What an assistant's version consists of, as the body of a request that makes it."""
    extra = {} if isinstance(version.extra, UnsetType) else version.extra
    kept = {name: extra[name] for name in _KEPT if name in extra and bytes(extra[name]) != b"null"}
    # The server fills either from the other, and refuses both together.
    if "config" in kept and "context" in kept and _configurable(kept["config"]):
        del kept["context"]
    return _json({"graph_id": graph_id or version.graph_id, **kept})


def _configurable(config: Raw) -> bool:
    fields = msgspec.json.decode(config, type=dict[str, Raw])
    return "configurable" in fields and bytes(fields["configurable"]) not in _EMPTY


def _merged(assistant_id: str, versions: Sequence[Assistant]) -> list[Loss]:
    """What a server does not take back: it adds the metadata of a version to the one before."""
    kept: set[str] = set()
    for version in _in_order(versions):
        extra = {} if isinstance(version.extra, UnsetType) else version.extra
        metadata = extra.get("metadata")
        names = set(msgspec.json.decode(metadata, type=dict[str, Raw])) if metadata else set()
        if kept - names:
            what = f"the absence of metadata {min(kept - names)!r} from version {version.version}"
            why = "the server adds to the metadata of the version before"
            what = f"assistant {assistant_id}: {what}"
            return [Loss(what=what, why=why, holdable=False)]
        kept |= names
    return []


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
