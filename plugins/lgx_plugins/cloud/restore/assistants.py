"""Assistants with all their versions, created on another server in the same order."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Literal, TypeAlias
from urllib.parse import quote

from msgspec import Raw

from lgx import Assistant, Bundle, Context, Loss, Record, RetryableError, ThreadError, canonical
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.arrived import altered_fields
from lgx_plugins.cloud.restore.belongings import (
    Restored,
    encoded,
    extra_of,
    member,
    said,
    system_id,
)
from lgx_plugins.cloud.restore.foreseen import Course, Foreseen
from lgx_plugins.cloud.restore.graphs import Graphs

__all__ = ["restore_assistants"]

Conflict: TypeAlias = Literal["fail", "skip", "replace"]
Content: TypeAlias = dict[str, Raw]
"""What a version consists of: the fields of a request that makes it."""

_KEPT = ("config", "context", "metadata", "name", "description")
_EMPTY = (b"null", b"{}")


async def restore_assistants(
    client: Client,
    graphs: Graphs,
    bundle: Bundle,
    conflict: Conflict,
    context: Context,
    foreseen: Foreseen | None = None,
) -> Restored:
    """Creates those that are missing, and adds the versions that one there still lacks. What is
    counted is versions.

    Args:
        foreseen: takes what would be done, which is then not done.

    Raises:
        RetryableError: the server does not answer.
    """
    there = {
        assistant_id: versions
        async for assistant_id, versions in _by_assistant(Extras(client, context).of("assistant"))
    }
    losses: list[Loss] = []
    arrived = unchanged = 0
    for _, records in itertools.groupby(bundle, _id_of):
        wanted = _in_order(record for record in records if isinstance(record, Assistant))
        restorer = _Restorer(client, graphs, wanted, conflict, context, dry=foreseen is not None)
        if not restorer.has_graph and restorer.graph_id is not None:
            graphs.lacking[restorer.id] = restorer.graph_id
        if restorer.empty:
            arrived += restorer.has_graph
            unchanged += restorer.has_graph
            continue
        held = _in_order(there.get(restorer.id, ()))
        try:
            course = await restorer.restore(held)
            if course is not None:
                arrived += len(wanted)
                unchanged += restorer.left
                graphs.assistants.add(restorer.id)
                if foreseen is not None:
                    foreseen.add(course, restorer.id)
        except (ThreadError, RetryableError) as error:
            restorer.lost("", str(error))
        losses += restorer.losses
    return Restored(losses, arrived, unchanged)


def _id_of(record: Record) -> str:
    assert isinstance(record, Assistant)
    return record.assistant_id


async def _by_assistant(
    records: AsyncIterator[Record],
) -> AsyncIterator[tuple[str, list[Assistant]]]:
    """The versions of each, which come together."""
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
    """Restores one assistant."""

    def __init__(
        self,
        client: Client,
        graphs: Graphs,
        wanted: Sequence[Assistant],
        conflict: Conflict,
        context: Context,
        *,
        dry: bool,
    ) -> None:
        """
        Args:
            wanted: its versions, oldest first.
            dry: nothing is to be changed.
        """
        self._client = client
        self._graphs = graphs
        self._wanted = wanted
        self._conflict = conflict
        self._context = context
        self._dry = dry
        self._system = _is_system(wanted)
        self.losses: list[Loss] = []
        self.left = 0  # versions that are there as they are
        self.id = wanted[0].assistant_id
        self.graph_id = wanted[0].graph_id
        if self._system and self.graph_id is not None:
            self.id = system_id(graphs.mapped(self.graph_id))
        self._path = f"/assistants/{quote(self.id, safe='')}"

    @property
    def empty(self) -> bool:
        """Whether it is no more than what each server makes by itself for a graph."""
        return self._system and len(self._wanted) == 1

    @property
    def has_graph(self) -> bool:
        """Whether the target lists the graph that it is of."""
        return (
            self.graph_id is not None and self._graphs.mapped(self.graph_id) in self._graphs.known
        )

    def lost(self, what: str, why: str, *, holdable: bool = True, left: bool = False) -> None:
        name = f"assistant {self._wanted[0].assistant_id}" + (f": {what}" if what else "")
        self.losses.append(Loss(what=name, why=why, holdable=holdable, left=left))

    async def restore(self, held: Sequence[Assistant]) -> Course | None:
        """What was done so that it is there; None where it is not.

        Args:
            held: what stands under its id, oldest version first.
        """
        contents = [await self._content(version) for version in self._wanted]
        bodies, expected = self._foresee(contents)
        there = [_content(version) for version in held]
        pairs = list(zip(expected, there, strict=False))
        if self._system:
            pairs = pairs[1:]  # the first is each server's own
        if len(there) > len(contents) or any(a != b for a, b in map(_canonical_pair, pairs)):
            if not self._may_replace():
                return None
            await self._ask("DELETE", self._path, None, opening=None)
            held, there = (), []
            course: Course = "replaced"
        else:
            course = "completed" if there else "created"
        for number, body in enumerate(bodies[len(there) :], len(there)):
            if number == 0:
                head = {"assistant_id": self.id, "if_exists": "raise"}
                await self._ask("POST", "/assistants", {**head, **body})
            else:
                await self._ask("PATCH", self._path, body)
            await self._look(self._wanted[number], expected[number])
        self.left = len(there)
        in_force = _in_force(self._wanted)
        added = len(contents) > len(there)
        if in_force != (len(contents) - 1 if added else _in_force(held)):
            await self._ask("POST", f"{self._path}/latest", {"version": in_force + 1})
            self.left -= not added
        elif course == "completed" and not added:
            course = "unchanged"
        return course

    async def _look(self, version: Assistant, expected: Content) -> None:
        """Tells what of a version that was just made is not as it was sent: what the server
        answers to that may say more than it kept."""
        if self._dry:
            return
        what = f"assistant {self.id}"
        answer = await self._client.light(
            self._context, "GET", self._path, None, opening=b"{", what=what
        )
        altered = altered_fields(expected, answer.body)
        if altered:
            why = "the server took it, and shows something else there now"
            self.lost(f"{', '.join(altered)} of version {version.version}", why)

    def _may_replace(self) -> bool:
        """Of one that stands there with other content, or with more versions."""
        why = "it stands there with other content"
        if self._conflict == "skip":
            why += ", and was left (--sink-on-conflict skip)"
            self.lost("", why, holdable=False, left=True)
        elif self._conflict == "fail":
            self.lost("", f"{why}; use --sink-on-conflict skip or replace")
        elif self._system:
            self.lost("", f"{why}, and is the server's own, which stays", holdable=False)
        else:
            return True
        return False

    async def _content(self, version: Assistant) -> Content:
        if version.graph_id is None:
            raise ThreadError("it names no graph")
        graph_id = await self._graphs.of(version.graph_id, self._context)
        return _content(version, graph_id)

    def _foresee(self, contents: Sequence[Content]) -> tuple[list[Content], list[Content]]:
        """What is sent for each version, and what the server makes of it; tells where that is
        not what was wanted."""
        sent: list[Content] = []
        made: list[Content] = []
        for version, content in zip(self._wanted, contents, strict=True):
            before = made[-1] if made else {}
            body = dict(content)
            if "context" in body and canonical(encoded(_context(before))) == _text(body, "context"):
                del body["context"]  # which stays, and would be put into the config otherwise
            now = _made_of(body, before)
            kept = sorted(n for n in now.keys() | content if _text(now, n) != _text(content, n))
            if kept:
                why = (
                    "the server begins a version as the one before, lets nothing be removed, and "
                    "puts what is said as context into the config"
                )
                self.lost(f"{', '.join(kept)} of version {version.version}", why, holdable=False)
            sent.append(body)
            made.append(now)
        return sent, made

    async def _ask(
        self, method: str, path: str, body: object, *, opening: bytes | None = b"{"
    ) -> None:
        if self._dry:
            return
        await self._client.send(
            self._context, method, path, body, opening=opening, what=f"assistant {self.id}"
        )


def _in_order(versions: Iterable[Assistant]) -> list[Assistant]:
    return sorted(versions, key=lambda version: version.version)


def _in_force(versions: Sequence[Assistant]) -> int:
    """The position of the version in force."""
    for position, version in enumerate(versions):
        if version.latest:
            return position
    return len(versions) - 1


def _is_system(versions: Sequence[Assistant]) -> bool:
    """Whether the server made it, one for each graph."""
    first = versions[0]
    metadata = member(extra_of(first.extra), "metadata")
    own = said(metadata, "created_by") and bytes(metadata["created_by"]) == b'"system"'
    return own and first.graph_id is not None and first.assistant_id == system_id(first.graph_id)


def _content(version: Assistant, graph_id: str | None = None) -> Content:
    extra = extra_of(version.extra)
    kept = {name: extra[name] for name in _KEPT if said(extra, name)}
    # The server fills either from the other, and refuses both together.
    if "context" in kept and bytes(kept["context"]) == b"{}":
        del kept["context"]
    if "context" in kept and member(member(kept, "config"), "configurable"):
        del kept["context"]
    return {"graph_id": Raw(encoded(graph_id or version.graph_id)), **kept}


def _made_of(body: Content, before: Content) -> Content:
    """A version, from what is sent for it and the version before."""
    said_now = {name: v for name, v in body.items() if name == "name" or bytes(v) not in _EMPTY}
    now = {**before, **said_now}
    metadata = {**member(before, "metadata"), **member(body, "metadata")}
    if metadata:
        now["metadata"] = Raw(encoded(metadata))
    if "context" in body:
        config = {**member(now, "config"), "configurable": body["context"]}
        now["config"] = Raw(encoded(config))
    if member(member(now, "config"), "configurable"):
        now.pop("context", None)
    elif _context(before):
        now["context"] = Raw(encoded(_context(before)))
    return now


def _context(content: Content) -> dict[str, Raw]:
    """What the runs of a version are given: it stands in two places, or in either."""
    return dict(member(content, "context") or member(member(content, "config"), "configurable"))


def _text(content: Content, name: str) -> bytes | None:
    return canonical(content[name]) if name in content and bytes(content[name]) != b"{}" else None


def _canonical_pair(pair: tuple[Content, Content]) -> tuple[object, object]:
    one, other = pair
    names = sorted(one.keys() | other.keys())
    return [_text(one, n) for n in names], [_text(other, n) for n in names]
