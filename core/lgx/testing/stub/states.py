"""Histories and states: which states an answer holds, and what breaks the server."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lgx.testing.stub.answers import (
    UUID_TEXT,
    body_of,
    contains,
    refuse,
    schema_error,
    shown,
    sized,
    window,
)
from lgx.testing.stub.chains import Chain, Part
from lgx.testing.stub.http import Request, Response
from lgx.testing.stub.quirks import Quirks
from lgx.testing.stub.threads import StubThread

__all__ = ["States"]

_EMPTY_STATE = (
    b'{"values":{},"next":[],"tasks":[],"metadata":null,"created_at":null,"checkpoint":null,'
    b'"parent_checkpoint":null,"interrupts":[],"checkpoint_id":null,"parent_checkpoint_id":null}'
)
_BROKEN = object()


class States:
    """Answers what concerns a thread's states; keeps encoded pages, up to so many bytes."""

    def __init__(
        self, find_thread: Callable[[str], StubThread], quirks: Quirks, cache_bytes: int
    ) -> None:
        self._find_thread = find_thread
        self.quirks = quirks
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._cache: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def _broken(self) -> Response:
        return Response(
            b"Internal Server Error",
            500,
            content_type="text/plain; charset=utf-8",
            drop=self.quirks.drops_after_500,
        )

    def _graph_known(self, thread: StubThread) -> bool:
        """Whether the thread has a graph; one that is not deployed is an error."""
        graph = thread.metadata.get("graph_id")
        if graph is None:
            return False
        if graph not in self.quirks.graphs:
            expected = ", ".join(f"'{name}'" for name in self.quirks.graphs)
            raise refuse(404, f"Graph '{graph}' not found. Expected one of: [{expected}]")
        return True

    def get(self, request: Request, thread_id: str) -> Response:
        thread = self._find_thread(thread_id)
        text = request.query.get("limit", "1")
        try:
            limit = int(text)
        except ValueError:
            raise refuse(422, f"Invalid limit {text}") from None
        before = request.query.get("before") if self.quirks.before != "none" else None
        return self._states(thread, "", limit, before, None, None)

    def post(self, request: Request, thread_id: str) -> Response:
        if not UUID_TEXT.match(thread_id):
            raise refuse(422, "Invalid thread ID: must be a UUID")
        body = body_of(request)
        limit, _ = window(body, most=1000, default=1)
        place = body.get("checkpoint") or {}
        for key, value in place.items():
            if not isinstance(value, (str, dict)):
                raise schema_error(
                    f'{shown(value)} is not of type "string"', "type", key, shown(value)
                )
        before = self._cursor(body.get("before"))
        if before is _BROKEN:
            self._find_thread(thread_id)
            return self._broken()
        assert before is None or isinstance(before, str)
        thread = self._find_thread(thread_id)
        namespace, state_id = place.get("checkpoint_ns", ""), place.get("checkpoint_id")
        return self._states(thread, namespace, limit, before, state_id, body.get("metadata"))

    def _cursor(self, before: Any) -> object:
        """The checkpoint id of a POST's `before`, or that it breaks the server."""
        mode = self.quirks.before
        if before is None or mode == "none":
            return None
        if isinstance(before, str):
            if mode == "lenient":
                return before
            raise schema_error(
                f'"{before}" is not of type "object"', "type", "before", f'"{before}"'
            )
        inner = before.get("configurable")
        if isinstance(inner, dict) and "checkpoint_id" in inner and mode != "get":
            return inner["checkpoint_id"]
        if mode == "lenient":
            return before.get("checkpoint_id")
        return _BROKEN

    def _states(
        self,
        thread: StubThread,
        namespace: str,
        limit: int,
        before: str | None,
        state_id: str | None,
        metadata: dict[str, Any] | None,
    ) -> Response:
        if not self._graph_known(thread):
            return Response(b"[]")
        chain = thread.chain(namespace)
        if chain is None or limit <= 0:
            return Response(b"[]")
        positions = _positions(chain, limit, before, state_id, metadata)
        if thread.poisoned and any(
            (chain.namespace, chain.step_at(position)) in thread.poisoned for position in positions
        ):
            return self._broken()
        key = (
            thread.thread_id,
            thread.created_at,
            thread.version,
            chain.namespace,
            tuple(positions[:1]),
            len(positions),
        )
        cacheable = metadata is None and self._cache_bytes > 0
        if cacheable and key in self._cache:
            self._cache.move_to_end(key)
            return Response(self._cache[key])
        parts: list[Part] = []
        for position in positions:
            parts.append(b"," if parts else b"[")
            parts += chain.parts_at(position)
        parts.append(b"]" if parts else b"[]")
        response = sized(parts)
        if cacheable and response.pieces is None and response.size < self._cache_bytes // 4:
            self._keep(key, response.body)
        return response

    def _keep(self, key: tuple[object, ...], body: bytes) -> None:
        self._cache[key] = body
        self._cached += len(body)
        while self._cached > self._cache_bytes:
            self._cached -= len(self._cache.popitem(last=False)[1])

    def state(self, request: Request, thread_id: str) -> Response:
        thread = self._find_thread(thread_id)
        if not self._graph_known(thread):
            return Response(_EMPTY_STATE)
        chain = thread.chain("")
        if chain is None or not len(chain):
            return Response(_EMPTY_STATE)
        if thread.poisoned and ("", chain.step_at(0)) in thread.poisoned:
            return self._broken()
        return sized(chain.parts_at(0))


def _positions(
    chain: Chain,
    limit: int,
    before: str | None,
    state_id: str | None,
    metadata: dict[str, Any] | None,
) -> list[int] | range:
    """Which states a history answer holds, newest first."""
    if state_id is not None:
        position = chain.position_of(state_id)
        return [] if position is None else [position]
    start = 0 if before is None else chain.first_before(before)
    if not metadata:
        return range(start, min(len(chain), start + limit))
    step = metadata.get("step")
    candidates = (
        chain.positions_of_step(step) if isinstance(step, int) else range(start, len(chain))
    )
    found = []
    for position in candidates:
        if position >= start and contains(chain.metadata_at(position), metadata):
            found.append(position)
            if len(found) == limit:
                break
    return found
