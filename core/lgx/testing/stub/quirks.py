"""How servers differ: older versions, other runtimes, deployments with a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Quirks"]


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """Deviations from langgraph-api 0.16.7 in its in-memory runtime, which is the default.

    Attributes:
        storage: whether `GET /threads/{id}/storage` exists.
        count: whether `POST /threads/count` exists.
        sort: whether `sort_by` and `sort_order` are obeyed.
        ids: whether the `ids` of a search are obeyed.
        select: whether the `select` of a search is obeyed.
        before: which cursors a history takes. `strict`: only
            `{"configurable": {"checkpoint_id": …}}`, and an id in a GET; `lenient`: every
            documented shape; `get`: none in a POST; `none`: none at all (ignored).
        api_key: refused without it, with `auth_status`.
        graphs: deployed; a thread of another one has no history.
        version: of the server; None: no `GET /info`.
        drops_after_500: the connection ends after an internal error, unannounced.
    """

    storage: bool = True
    count: bool = True
    sort: bool = True
    ids: bool = True
    select: bool = True
    before: Literal["strict", "lenient", "get", "none"] = "strict"
    api_key: str | None = None
    auth_status: int = 403
    graphs: tuple[str, ...] = ("agent",)
    version: str | None = "0.16.7"
    drops_after_500: bool = True
