"""One thread of a server, as replay builds it: over HTTP, and nothing twice."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from lgx import Checkpoint, Context, RetryableError, ThreadError, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import Answer, RefusedError, UnknownFateError, excerpt
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import KEY, Label
from lgx_plugins.cloud.restore.threads import Built
from lgx_plugins.replay import Edge, Topology
from lgx_plugins.replay import RefusedError as RefusedUpdateError

__all__ = ["HttpTarget", "TakenError"]

T = TypeVar("T")

_PATIENCE = 2  # internal errors that an update may cause before it counts as refused


class TakenError(ThreadError):
    """A thread has that id already, and this run did not make it."""


class _Place(Struct):
    checkpoint_id: str


class _Updated(Struct):
    checkpoint: _Place


class _Node(Struct):
    id: str


class _Edge(Struct):
    source: str
    target: str
    conditional: bool = False


class _Graph(Struct):
    nodes: list[_Node]
    edges: list[_Edge]


class HttpTarget:
    """Fulfils `lgx_plugins.replay.Target`.

    What it makes bears a label that says so until the caller changes it: whatever ends this
    process, what is left behind is known for what it is.
    """

    def __init__(
        self,
        client: Client,
        history: HistoryReader,
        holdings: Holdings,
        context: Context,
        *,
        thread_id: str,
        metadata: Mapping[str, Raw],
        label: Label,
        graph_id: str | None,
        ttl: Raw | None,
        body_bytes: int,
    ) -> None:
        """
        Args:
            metadata: of the thread; without a label.
            label: what is to stand in its place while the thread is being built.
            ttl: the thread's time to live, as a server takes it.
        """
        self.body_bytes = body_bytes
        self._client = client
        self._history = history
        self._holdings = holdings
        self._context = context
        self._thread_id = thread_id
        self._path = path_of(thread_id)
        self._metadata = metadata
        self._label = label
        self._graph_id = graph_id
        self._ttl = ttl
        self._attempt = ""

    # -- writing ----------------------------------------------------------------------

    async def create(self, supersteps: Sequence[bytes]) -> None:
        """Tried again where its fate is not known, after what it may have made was removed.

        Raises:
            TakenError: the id is another's.
            RefusedUpdateError: see `Target`.
        """
        self._attempt = uuid.uuid4().hex
        label = msgspec.structs.replace(self._label, unfinished=self._attempt)
        body: dict[str, object] = {
            "thread_id": self._thread_id,
            "metadata": {**self._metadata, KEY: label},
            "if_exists": "raise",
        }
        if self._ttl is not None:
            body["ttl"] = self._ttl
        content = _with_supersteps(body, supersteps)
        what = f"creation of thread {self._thread_id}"
        tries = failures = 0

        async def call() -> Answer:
            nonlocal tries, failures
            tries += 1
            if tries > 1:
                await self._remove_own()
            try:
                return await self._client.ask("POST", "/threads", content, opening=b"{", what=what)
            except RefusedError as error:
                if error.status == 409:
                    raise TakenError(str(error)) from error
                raise _refusal(error) from error
            except RetryableError as error:
                failures += error.status == 500
                if failures >= _PATIENCE:
                    raise RefusedUpdateError(str(error)) from error
                raise

        async with self._room(len(content)):
            answer = await self._context.request(call, what=what, bulk=True)
        _check_thread(answer.body)

    async def go_on(self, supersteps: Sequence[bytes]) -> None:
        content = _with_supersteps(
            {"thread_id": self._thread_id, "if_exists": "do_nothing"}, supersteps
        )
        async with self._room(len(content)):
            answer = await self._send("/threads", content, "continuation")
        _check_thread(answer.body)

    async def branch(self, parent_id: str, update: bytes) -> str:
        place = {"checkpoint": {"checkpoint_id": parent_id, "checkpoint_ns": ""}}
        content = msgspec.json.encode(place)[:-1] + b"," + update[1:]
        async with self._room(len(content)):
            answer = await self._send(f"{self._path}/state", content, "branch")
        return self._decoded(answer.body, _Updated, "branch").checkpoint.checkpoint_id

    async def remove(self) -> None:
        what = f"removal of thread {self._thread_id}"
        try:
            await self._client.light(self._context, "DELETE", self._path, opening=None, what=what)
        except RefusedError as error:
            if error.status != 404:
                raise

    async def finish(self, label: Label) -> Built:
        """Says what the thread is, in place of its being built; gives it as it stands now."""
        answer = await self._client.light(
            self._context,
            "PATCH",
            self._path,
            {"metadata": {KEY: label}},
            opening=b"{",
            what=f"mark of thread {self._thread_id}",
        )
        return self._decoded(answer.body, Built, "thread")

    async def _send(self, path: str, content: bytes, what: str) -> Answer:
        try:
            return await self._client.send(
                self._context,
                "POST",
                path,
                content,
                opening=b"{",
                what=f"{what} of thread {self._thread_id}",
            )
        except RefusedError as error:
            raise _refusal(error) from error
        except UnknownFateError as error:
            if error.status == 500:
                raise RefusedUpdateError(str(error)) from error
            raise

    async def _remove_own(self) -> None:
        """Removes the thread if this attempt made it; another's is not touched."""
        holding = (await self._holdings.ask([self._thread_id])).get(self._thread_id)
        if holding is None:
            return
        if holding.label is None or holding.label.unfinished != self._attempt:
            raise TakenError("somebody else made a thread of that id meanwhile")
        try:
            await self._client.ask("DELETE", self._path, opening=None, what="removal of a thread")
        except RefusedError as error:
            if error.status != 404:
                raise

    @asynccontextmanager
    async def _room(self, size: int) -> AsyncIterator[None]:
        await self._context.budget.take(size)
        try:
            yield
        finally:
            self._context.budget.give_page(size)

    # -- reading ----------------------------------------------------------------------

    async def head(self) -> str:
        page = await self._history.page(self._thread_id, "", self._context, limit=1)
        self._context.budget.give_page(page.taken)
        if not page.rows:
            raise ThreadError("the target gives no history of a thread that was just built")
        return page.rows[0].checkpoint_id

    async def history(self) -> AsyncIterator[Checkpoint]:
        """
        Raises:
            RetryableError, ThreadError: it cannot be had whole.
        """
        limit = self._history.limit_for(None)
        try:
            page = await self._history.page(self._thread_id, "", self._context, limit=limit)
        except RefusedError as error:
            if error.status == 404 and not await self._holdings.find(
                [self._thread_id], self._context
            ):
                return  # it was refused before anything was made of it
            raise
        while page.rows:
            rows, size = page.rows, len(page.body)
            try:
                for row in rows:
                    yield row
            finally:
                self._context.budget.give_page(page.taken)
            last = rows[-1]
            if last.parent_checkpoint_id is None and len(rows) < limit:
                return
            step = size // len(rows) + 1
            limit = self._history.limit_for(step)
            page = await self._history.after(
                self._thread_id, "", self._context, last=last, limit=limit, expected=limit * step
            )
        self._context.budget.give_page(page.taken)

    async def topology(self) -> Topology | None:
        if self._graph_id is None:
            return None
        path = f"/assistants/{quote(self._graph_id, safe='')}/graph"
        try:
            answer = await self._client.light(
                self._context, "GET", path, opening=b"{", what=f"graph {self._graph_id!r}"
            )
            graph = self._decoded(answer.body, _Graph, "graph")
        except (ThreadError, RetryableError):
            return None  # some graphs cannot be drawn; replay does without
        return Topology(
            nodes=frozenset(node.id for node in graph.nodes),
            edges=tuple(Edge(e.source, e.target, e.conditional) for e in graph.edges),
        )

    def _decoded(self, body: bytes, kind: type[T], what: str) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ThreadError(f"the target's answer about a {what} is malformed: {error}") from None


def _with_supersteps(body: dict[str, object], supersteps: Sequence[bytes]) -> bytes:
    head = msgspec.json.encode(body)
    if not supersteps:
        return head
    return b'%b,"supersteps":[%b]}' % (head[:-1], b",".join(supersteps))


def _refusal(error: RefusedError) -> ThreadError:
    """What a refusal means for replay: only the body's content may be mended by another."""
    return RefusedUpdateError(str(error)) if error.status in (400, 404, 422) else error


def _check_thread(body: bytes) -> None:
    """An answer of success that is no thread tells of steps that were not taken."""
    fields = split_object(body)
    if "thread_id" not in fields:
        raise RefusedUpdateError(f"the target answered with success, and said: {excerpt(body)}")
