"""The server's endpoints: a request in, an answer out, worded as the server words it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lgx.testing.stub.answers import (
    UUID_TEXT,
    Problem,
    body_of,
    contains,
    pagination,
    query_window,
    refuse,
    schema_error,
    sized,
    window,
)
from lgx.testing.stub.belongings import Belongings
from lgx.testing.stub.chains import Part, dump
from lgx.testing.stub.deployment import Deployment
from lgx.testing.stub.http import Request, Response, problem
from lgx.testing.stub.quirks import Quirks
from lgx.testing.stub.states import States
from lgx.testing.stub.threads import FIELDS, StubThread

__all__ = ["Api"]

_SORTABLE = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")


class Api:
    """Answers requests from a deployment: threads itself, all else through its parts."""

    def __init__(self, deployment: Deployment, quirks: Quirks, cache_bytes: int) -> None:
        self.deployment = deployment
        self.quirks = quirks
        states = States(self._find, quirks, cache_bytes)
        own = self._belongings = Belongings(deployment)
        self._fixed: dict[tuple[str, str], tuple[str, Callable[[Request], Response]]] = {
            ("GET", "/info"): ("info", self._info),
            ("GET", "/ok"): ("ok", lambda _: Response(b'{"ok":true,"services":{}}')),
            ("POST", "/threads/search"): ("search", self._search),
            ("POST", "/threads/count"): ("count", self._count),
            ("POST", "/assistants/search"): ("assistants", own.assistants),
            ("POST", "/runs/crons/search"): ("crons", own.crons),
            ("POST", "/store/namespaces"): ("namespaces", own.namespaces),
            ("POST", "/store/items/search"): ("store_items", own.items),
        }
        self._of_thread: dict[tuple[str, str], tuple[str, Callable[[Request, str], Response]]] = {
            ("GET", ""): ("thread", self._thread),
            ("DELETE", ""): ("delete", self._delete),
            ("PATCH", ""): ("update", self._update),
            ("GET", "history"): ("history", states.get),
            ("POST", "history"): ("history", states.post),
            ("GET", "state"): ("state", states.state),
            ("GET", "storage"): ("storage", self._storage),
            ("GET", "runs"): ("runs", self._runs),
        }

    # -- routing -----------------------------------------------------------------------

    def route(self, request: Request) -> Callable[[], Response]:
        """Sets the request's endpoint and returns what will answer it."""
        key = (request.method, request.path)
        if key in self._fixed:
            request.endpoint, fixed = self._fixed[key]
            return lambda: self._guarded(request, lambda: fixed(request))
        parts = request.path.split("/")
        if len(parts) in (3, 4) and parts[1] == "threads":
            action = parts[3] if len(parts) == 4 else ""
            if (request.method, action) in self._of_thread:
                request.endpoint, handler = self._of_thread[request.method, action]
                return lambda: self._guarded(request, lambda: handler(request, parts[2]))
        if len(parts) == 4 and parts[1] == "assistants" and parts[3] == "versions":
            request.endpoint = "assistant_versions"
            return lambda: self._guarded(
                request, lambda: self._belongings.versions(request, parts[2])
            )
        request.endpoint = "unknown"
        return lambda: self._unknown(request)

    def _unknown(self, request: Request) -> Response:
        known = any(path == request.path for _, path in self._fixed)
        if known or re.fullmatch(r"/threads/[^/]+(/history|/state|/state/\w+)?", request.path):
            return problem(405, "Method Not Allowed")
        return problem(404, "Not Found")

    def _guarded(self, request: Request, handler: Callable[[], Response]) -> Response:
        key = self.quirks.api_key
        if key is not None and request.headers.get("x-api-key") != key:
            status = self.quirks.auth_status
            return problem(status, "Unauthorized" if status == 401 else "Forbidden")
        try:
            return handler()
        except Problem as refused:
            return refused.response
        except ValueError:
            return problem(422, "Invalid JSON in request body")

    # -- server ------------------------------------------------------------------------

    def _info(self, request: Request) -> Response:
        if self.quirks.version is None:
            return problem(404, "Not Found")
        return Response(
            dump(
                {
                    "version": self.quirks.version,
                    "langgraph_py_version": "1.2.22",
                    "flags": {"assistants": True, "crons": True, "langsmith": False},
                    "host": {"kind": "self-hosted", "project_id": None, "revision_id": None},
                }
            )
        )

    # -- threads -----------------------------------------------------------------------

    def _selected(self, body: dict[str, Any]) -> Iterator[StubThread]:
        """Threads that pass a search's filters, in its order."""
        field, descending = "updated_at", True
        if body.get("sort_by") is not None and self.quirks.sort:
            field = body["sort_by"]
            if field not in _SORTABLE:
                raise schema_error(
                    f'"{field}" is not one of "thread_id", "status" or 3 other candidates',
                    "enum",
                    "sort_by",
                    f'"{field}"',
                )
            descending = str(body.get("sort_order") or "desc").lower() != "asc"
        ids: set[str] | None = None
        if body.get("ids") and self.quirks.ids:
            for thread_id in body["ids"]:
                if not UUID_TEXT.match(thread_id):
                    raise refuse(400, f"Invalid thread ID {thread_id}")
            ids = {thread_id.lower() for thread_id in body["ids"]}
        metadata, values = body.get("metadata") or {}, body.get("values") or {}
        status = body.get("status")
        if ids is None:
            threads = self.deployment.ordered(field, descending=descending)
        else:
            threads = self.deployment.ordered_among(ids, field, descending=descending)
        for thread in threads:
            if status and thread.status != status:
                continue
            if metadata and not contains(thread.metadata, metadata):
                continue
            if values:
                raise refuse(501, "the stub does not filter by values")
            yield thread

    def _search(self, request: Request) -> Response:
        body = body_of(request)
        limit, offset = window(body, most=1000)
        select = body.get("select") if self.quirks.select else None
        for name in select or ():
            if name not in FIELDS:
                raise schema_error(
                    f'"{name}" is not one of "thread_id", "created_at" or 7 other candidates',
                    "enum",
                    "select",
                    f'"{name}"',
                )
        unfiltered = not any(body.get(key) for key in ("ids", "metadata", "values", "status"))
        if unfiltered and (body.get("sort_by") in (None, *_SORTABLE)):
            field = (body.get("sort_by") if self.quirks.sort else None) or "updated_at"
            order = body.get("sort_order") if self.quirks.sort and body.get("sort_by") else None
            descending = str(order or "desc").lower() != "asc"
            every = self.deployment.ordered(field, descending=descending)
        else:
            every = list(self._selected(body))
        page = every[offset : offset + limit]
        parts: list[Part] = []
        for thread in page:
            parts.append(b"," if parts else b"[")
            parts += thread.parts(select)
        parts.append(b"]" if parts else b"[]")
        return sized(parts, headers=pagination(len(every), offset, limit, len(page)))

    def _count(self, request: Request) -> Response:
        if not self.quirks.count:
            return problem(405, "Method Not Allowed")
        return Response(b"%d" % sum(1 for _ in self._selected(body_of(request))))

    def _find(self, thread_id: str) -> StubThread:
        if not UUID_TEXT.match(thread_id):
            raise refuse(422, "Invalid thread ID: must be a UUID")
        thread = self.deployment.threads.get(thread_id.lower())
        if thread is None:
            raise refuse(404, f"Thread with ID {thread_id} not found")
        return thread

    def _thread(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        parts = thread.parts()
        if "ttl" in request.query.get("include", "") and thread.ttl is not None:
            parts[-1:] = [b',"ttl":', dump(thread.ttl), b"}"]
        return sized(parts)

    def _delete(self, request: Request, thread_id: str) -> Response:
        self.deployment.delete_thread(self._find(thread_id).thread_id)
        return Response(status=204)

    def _update(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        body = body_of(request)
        thread.update(
            metadata=body.get("metadata") or {}, **{k: body[k] for k in ("ttl",) if k in body}
        )
        return sized(thread.parts())

    def _storage(self, request: Request, thread_id: str) -> Response:
        if not self.quirks.storage:
            return problem(404, "Not Found")
        thread = self._find(thread_id)
        count = size = 0
        for chain in thread.chains.values():
            count += len(chain)
            if len(chain):
                size += len(chain) * sum(len(part) for part in chain.values_at(0))
        return Response(
            dump(
                {
                    "thread_id": thread.thread_id,
                    "total_bytes": size + 1000 * count,
                    "checkpoints": {"count": count, "bytes": 1000 * count},
                    "channel_values": {
                        "count": count,
                        "bytes": size,
                        "by_channel": {"messages": {"versions": count, "bytes": size}},
                    },
                    "pending_writes": {"count": 0, "bytes": 0},
                }
            )
        )

    def _runs(self, request: Request, thread_id: str) -> Response:
        limit, offset = query_window(request)
        runs = self._find(thread_id).runs or []
        return Response(dump(runs[::-1][offset : offset + limit]))
