"""The server's endpoints: a request in, an answer out, worded as the server words it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from lgx.testing.stub.chains import Chain, Part, dump
from lgx.testing.stub.deployment import Deployment
from lgx.testing.stub.http import Request, Response, problem
from lgx.testing.stub.quirks import Quirks
from lgx.testing.stub.threads import FIELDS, StubThread

__all__ = ["Api"]

_UUID = re.compile(
    r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z"
)
_SORTABLE = ("thread_id", "status", "created_at", "updated_at", "state_updated_at")
_IN_ONE_PIECE = 2 << 20  # larger bodies are made while they are sent
_EMPTY_STATE = (
    b'{"values":{},"next":[],"tasks":[],"metadata":null,"created_at":null,"checkpoint":null,'
    b'"parent_checkpoint":null,"interrupts":[],"checkpoint_id":null,"parent_checkpoint_id":null}'
)


class _Problem(Exception):  # noqa: N818 -- an answer, not an error of ours
    def __init__(self, response: Response) -> None:
        self.response = response


def _refuse(status: int, detail: str) -> _Problem:
    return _Problem(problem(status, detail))


def _schema_error(message: str, keyword: str, place: str, shown: str) -> _Problem:
    schema = "".join(f'["{part}"]' for part in ("properties", place))
    return _refuse(
        422,
        f'{message}\n\nFailed validating "{keyword}" in schema{schema}\n\n'
        f'On instance["{place}"]:\n    {shown}',
    )


class Api:
    """Answers requests from a deployment. `route` names the endpoint, `answer` answers."""

    def __init__(self, deployment: Deployment, quirks: Quirks, cache_bytes: int) -> None:
        self.deployment = deployment
        self.quirks = quirks
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._cache: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._fixed: dict[tuple[str, str], tuple[str, Callable[[Request], Response]]] = {
            ("GET", "/info"): ("info", self._info),
            ("GET", "/ok"): ("ok", lambda _: Response(b'{"ok":true,"services":{}}')),
            ("POST", "/threads/search"): ("search", self._search),
            ("POST", "/threads/count"): ("count", self._count),
            ("POST", "/assistants/search"): ("assistants", self._assistants),
            ("POST", "/runs/crons/search"): ("crons", self._crons),
            ("POST", "/store/namespaces"): ("namespaces", self._namespaces),
            ("POST", "/store/items/search"): ("store_items", self._items),
        }
        self._of_thread: dict[tuple[str, str], tuple[str, Callable[[Request, str], Response]]] = {
            ("GET", ""): ("thread", self._thread),
            ("DELETE", ""): ("delete", self._delete),
            ("PATCH", ""): ("update", self._update),
            ("GET", "history"): ("history", self._history_get),
            ("POST", "history"): ("history", self._history_post),
            ("GET", "state"): ("state", self._state),
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
            return lambda: self._guarded(request, lambda: self._versions(request, parts[2]))
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
        except _Problem as refused:
            return refused.response
        except ValueError:
            return problem(422, "Invalid JSON in request body")

    def _broken(self) -> Response:
        return Response(
            b"Internal Server Error",
            500,
            content_type="text/plain; charset=utf-8",
            drop=self.quirks.drops_after_500,
        )

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
                raise _schema_error(
                    f'"{field}" is not one of "thread_id", "status" or 3 other candidates',
                    "enum",
                    "sort_by",
                    f'"{field}"',
                )
            descending = str(body.get("sort_order") or "desc").lower() != "asc"
        ids: set[str] | None = None
        if body.get("ids") and self.quirks.ids:
            for thread_id in body["ids"]:
                if not _UUID.match(thread_id):
                    raise _refuse(400, f"Invalid thread ID {thread_id}")
            ids = {thread_id.lower() for thread_id in body["ids"]}
        metadata, values = body.get("metadata") or {}, body.get("values") or {}
        status = body.get("status")
        for thread in self.deployment.ordered(field, descending=descending):
            if ids is not None and thread.thread_id not in ids:
                continue
            if status and thread.status != status:
                continue
            if metadata and not _contains(thread.metadata, metadata):
                continue
            if values:
                raise _refuse(501, "the stub does not filter by values")
            yield thread

    def _search(self, request: Request) -> Response:
        body = _object(request)
        limit, offset = _window(body, most=1000)
        select = body.get("select") if self.quirks.select else None
        for name in select or ():
            if name not in FIELDS:
                raise _schema_error(
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
        return _sized(parts, headers=_pagination(len(every), offset, limit, len(page)))

    def _count(self, request: Request) -> Response:
        if not self.quirks.count:
            return problem(405, "Method Not Allowed")
        return Response(b"%d" % sum(1 for _ in self._selected(_object(request))))

    def _find(self, thread_id: str) -> StubThread:
        if not _UUID.match(thread_id):
            raise _refuse(422, "Invalid thread ID: must be a UUID")
        thread = self.deployment.threads.get(thread_id.lower())
        if thread is None:
            raise _refuse(404, f"Thread with ID {thread_id} not found")
        return thread

    def _thread(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        parts = thread.parts()
        if "ttl" in request.query.get("include", "") and thread.ttl is not None:
            parts[-1:] = [b',"ttl":', dump(thread.ttl), b"}"]
        return _sized(parts)

    def _delete(self, request: Request, thread_id: str) -> Response:
        self.deployment.delete_thread(self._find(thread_id).thread_id)
        return Response(status=204)

    def _update(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        body = _object(request)
        thread.update(
            metadata=body.get("metadata") or {}, **{k: body[k] for k in ("ttl",) if k in body}
        )
        return _sized(thread.parts())

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
        limit, offset = _query_window(request)
        runs = self._find(thread_id).runs or []
        return Response(dump(runs[::-1][offset : offset + limit]))

    # -- states ------------------------------------------------------------------------

    def _graph_known(self, thread: StubThread) -> bool:
        """Whether the thread has a graph; one that is not deployed is an error."""
        graph = thread.metadata.get("graph_id")
        if graph is None:
            return False
        if graph not in self.quirks.graphs:
            expected = ", ".join(f"'{name}'" for name in self.quirks.graphs)
            raise _refuse(404, f"Graph '{graph}' not found. Expected one of: [{expected}]")
        return True

    def _history_get(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        text = request.query.get("limit", "1")
        try:
            limit = int(text)
        except ValueError:
            raise _refuse(422, f"Invalid limit {text}") from None
        before = request.query.get("before") if self.quirks.before != "none" else None
        return self._states(thread, "", limit, before, None, None)

    def _history_post(self, request: Request, thread_id: str) -> Response:
        if not _UUID.match(thread_id):
            raise _refuse(422, "Invalid thread ID: must be a UUID")
        body = _object(request)
        limit, _ = _window(body, most=1000, default=1)
        place = body.get("checkpoint") or {}
        for key, value in place.items():
            if not isinstance(value, (str, dict)):
                raise _schema_error(
                    f'{_shown(value)} is not of type "string"', "type", key, _shown(value)
                )
        before = self._cursor(body.get("before"))
        if before is _BROKEN:
            self._find(thread_id)
            return self._broken()
        assert before is None or isinstance(before, str)
        thread = self._find(thread_id)
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
            raise _schema_error(
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
        response = _sized(parts)
        if cacheable and response.pieces is None and response.size < self._cache_bytes // 4:
            self._keep(key, response.body)
        return response

    def _keep(self, key: tuple[object, ...], body: bytes) -> None:
        self._cache[key] = body
        self._cached += len(body)
        while self._cached > self._cache_bytes:
            self._cached -= len(self._cache.popitem(last=False)[1])

    def _state(self, request: Request, thread_id: str) -> Response:
        thread = self._find(thread_id)
        if not self._graph_known(thread):
            return Response(_EMPTY_STATE)
        chain = thread.chain("")
        if chain is None or not len(chain):
            return Response(_EMPTY_STATE)
        if thread.poisoned and ("", chain.step_at(0)) in thread.poisoned:
            return self._broken()
        return _sized(chain.parts_at(0))

    # -- the deployment's own ------------------------------------------------------------

    def _assistants(self, request: Request) -> Response:
        body = _object(request)
        limit, offset = _window(body, most=1000)
        every = [versions[-1] for versions in self.deployment.assistants.values()]
        every.sort(key=lambda item: str(item["created_at"]), reverse=True)
        every = [
            item
            for item in every
            if body.get("graph_id") in (None, item["graph_id"])
            and _contains(item["metadata"], body.get("metadata") or {})
        ]
        return _listed(every, limit, offset)

    def _versions(self, request: Request, assistant_id: str) -> Response:
        limit, offset = _window(_object(request), most=1000)
        versions = self.deployment.assistants.get(assistant_id)
        if versions is None:
            return problem(404, f"Assistant {assistant_id} not found")
        page = versions[::-1][offset : offset + limit]
        return Response(
            dump([{k: v for k, v in item.items() if k != "updated_at"} for item in page])
        )

    def _crons(self, request: Request) -> Response:
        limit, offset = _window(_object(request), most=1000)
        return _listed(self.deployment.crons[::-1], limit, offset)

    def _namespaces(self, request: Request) -> Response:
        body = _object(request)
        limit, offset = _window(body, most=1 << 60, default=100)
        prefix = tuple(body.get("prefix") or ())
        depth = body.get("max_depth")
        found = sorted(
            {
                namespace[:depth]
                for namespace, _ in self.deployment.items
                if namespace[: len(prefix)] == prefix
            }
        )
        return Response(
            dump({"namespaces": [list(item) for item in found[offset : offset + limit]]})
        )

    def _items(self, request: Request) -> Response:
        body = _object(request)
        limit, offset = _window(body, most=1 << 60)
        prefix = tuple(body.get("namespace_prefix") or ())
        found = [
            item
            for (namespace, _), item in self.deployment.items.items()
            if namespace[: len(prefix)] == prefix
        ][offset : offset + limit]
        if body.get("refresh_ttl", True) is not False:
            for item in found:
                item.refreshed += 1
        return Response(dump({"items": [item.fields() for item in found]}))


_BROKEN = object()


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
        if position >= start and _contains(chain.metadata_at(position), metadata):
            found.append(position)
            if len(found) == limit:
                break
    return found


def _contains(held: Any, wanted: Any) -> bool:
    """Containment as PostgreSQL defines it for JSONB."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(
            key in held and _contains(held[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(held, list) and all(
            any(_contains(item, value) for item in held) for value in wanted
        )
    return type(held) is type(wanted) and bool(held == wanted)


def _shown(value: Any) -> str:
    return dump(value).decode()


def _object(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise _refuse(422, f'{_shown(body)} is not of type "object"')
    return body


def _window(body: dict[str, Any], *, most: int, default: int = 10) -> tuple[int, int]:
    """A body's limit and offset, refused where the schema does."""
    limit, offset = body.get("limit"), body.get("offset")
    limit = default if limit is None else limit
    offset = 0 if offset is None else offset
    for name, value in (("limit", limit), ("offset", offset)):
        if type(value) is not int:
            raise _schema_error(
                f'{_shown(value)} is not of type "integer"', "type", name, _shown(value)
            )
    if limit < 1:
        raise _schema_error(
            f"{limit} is less than the minimum of 1", "minimum", "limit", str(limit)
        )
    if limit > most:
        raise _schema_error(
            f"{limit} is greater than the maximum of {most}", "maximum", "limit", str(limit)
        )
    if offset < 0:
        raise _schema_error(
            f"{offset} is less than the minimum of 0", "minimum", "offset", str(offset)
        )
    return limit, offset


def _query_window(request: Request) -> tuple[int, int]:
    try:
        return int(request.query.get("limit", "10")), int(request.query.get("offset", "0"))
    except ValueError:
        raise _refuse(422, "Invalid limit or offset") from None


def _pagination(total: int, offset: int, limit: int, came: int) -> dict[str, str]:
    """The server's headers; its "total" is not one."""
    if total > offset + limit:
        return {
            "x-pagination-total": str(offset + limit + 1),
            "x-pagination-next": str(offset + limit),
        }
    return {"x-pagination-total": str(came + offset)}


def _listed(every: list[dict[str, Any]], limit: int, offset: int) -> Response:
    page = every[offset : offset + limit]
    return Response(dump(page), headers=_pagination(len(every), offset, limit, len(page)))


def _sized(parts: list[Part], headers: dict[str, str] | None = None) -> Response:
    """Joined where it is small; otherwise in the pieces that it was made of."""
    size = sum(len(part) for part in parts)
    if size <= _IN_ONE_PIECE:
        return Response(b"".join(parts), headers=headers)
    return Response(pieces=parts, size=size, headers=headers)
