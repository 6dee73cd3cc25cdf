"""Plain requests to a server, without anything of lgx."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

State = dict[str, Any]
"""One entry of a history, as the server gives it."""

_PAGE = 500


class Server:
    """A server, by its URL; answers that are errors are raised, with what they say."""

    def __init__(self, url: str) -> None:
        # A server that answered 500 drops the connection, so none is used twice.
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        # Without certificates, whose reading costs more than the requests.
        self._client = httpx.AsyncClient(base_url=url, limits=limits, timeout=100, verify=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def answer(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Whatever the server answers, errors too."""
        return await self._client.request(method, path, json=body)

    async def _value(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.answer(method, path, body)
        assert answer.status_code in (200, 204), f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    async def get(self, path: str) -> Any:
        return await self._value("GET", path)

    async def post(self, path: str, body: Any) -> Any:
        return await self._value("POST", path, body)

    async def put(self, path: str, body: Any) -> Any:
        return await self._value("PUT", path, body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._value("PATCH", path, body)

    async def delete(self, path: str) -> Any:
        return await self._value("DELETE", path)

    async def history(self, thread_id: str) -> list[State]:
        """The checkpoints of the root namespace, newest first."""
        states = await self.reached(thread_id)
        assert states is not None, f"the history of {thread_id} is out of reach"
        return states

    async def reached(self, thread_id: str) -> list[State] | None:
        """The same; None where the server cannot give the whole of it."""
        states: list[State] = []
        before: dict[str, Any] = {}
        while True:
            body = {"limit": _PAGE, **before}
            answer = await self.answer("POST", f"/threads/{thread_id}/history", body)
            if answer.status_code != 200:
                return None
            page = answer.json()
            states += page
            if len(page) < _PAGE:
                return states
            last = page[-1]["checkpoint"]["checkpoint_id"]
            before = {"before": {"configurable": {"checkpoint_id": last}}}
