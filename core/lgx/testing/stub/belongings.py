"""What belongs to the deployment rather than to a thread: assistants, crons, the store."""

from __future__ import annotations

from lgx.testing.stub.answers import body_of, contains, listed, window
from lgx.testing.stub.chains import dump
from lgx.testing.stub.deployment import Deployment
from lgx.testing.stub.http import Request, Response, problem

__all__ = ["Belongings"]


class Belongings:
    """Answers what concerns them."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def assistants(self, request: Request) -> Response:
        body = body_of(request)
        limit, offset = window(body, most=1000)
        every = [versions[-1] for versions in self.deployment.assistants.values()]
        every.sort(key=lambda item: str(item["created_at"]), reverse=True)
        every = [
            item
            for item in every
            if body.get("graph_id") in (None, item["graph_id"])
            and contains(item["metadata"], body.get("metadata") or {})
        ]
        return listed(every, limit, offset)

    def versions(self, request: Request, assistant_id: str) -> Response:
        limit, offset = window(body_of(request), most=1000)
        versions = self.deployment.assistants.get(assistant_id)
        if versions is None:
            return problem(404, f"Assistant {assistant_id} not found")
        page = versions[::-1][offset : offset + limit]
        return Response(
            dump([{k: v for k, v in item.items() if k != "updated_at"} for item in page])
        )

    def crons(self, request: Request) -> Response:
        limit, offset = window(body_of(request), most=1000)
        return listed(self.deployment.crons[::-1], limit, offset)

    def namespaces(self, request: Request) -> Response:
        body = body_of(request)
        limit, offset = window(body, most=1 << 60, default=100)
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

    def items(self, request: Request) -> Response:
        body = body_of(request)
        limit, offset = window(body, most=1 << 60)
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
