"""What endpoints share: refusals in the server's words, pages, and answers in parts."""

from __future__ import annotations

import re
from typing import Any

from lgx.testing.stub.chains import Part, dump
from lgx.testing.stub.http import Request, Response, problem

__all__ = [
    "UUID_TEXT",
    "Problem",
    "body_of",
    "contains",
    "listed",
    "pagination",
    "query_window",
    "refuse",
    "schema_error",
    "shown",
    "sized",
    "window",
]

UUID_TEXT = re.compile(
    r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\Z"
)
_IN_ONE_PIECE = 2 << 20  # larger bodies are made while they are sent


class Problem(Exception):  # noqa: N818 -- an answer, not an error of ours
    def __init__(self, response: Response) -> None:
        self.response = response


def refuse(status: int, detail: str) -> Problem:
    return Problem(problem(status, detail))


def schema_error(message: str, keyword: str, place: str, shown: str) -> Problem:
    schema = "".join(f'["{part}"]' for part in ("properties", place))
    return refuse(
        422,
        f'{message}\n\nFailed validating "{keyword}" in schema{schema}\n\n'
        f'On instance["{place}"]:\n    {shown}',
    )


def contains(held: Any, wanted: Any) -> bool:
    """Containment as PostgreSQL defines it for JSONB."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(
            key in held and contains(held[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(held, list) and all(
            any(contains(item, value) for item in held) for value in wanted
        )
    return type(held) is type(wanted) and bool(held == wanted)


def shown(value: Any) -> str:
    return dump(value).decode()


def body_of(request: Request) -> dict[str, Any]:
    body = request.json()
    if not isinstance(body, dict):
        raise refuse(422, f'{shown(body)} is not of type "object"')
    return body


def window(body: dict[str, Any], *, most: int, default: int = 10) -> tuple[int, int]:
    """A body's limit and offset, refused where the schema does."""
    limit, offset = body.get("limit"), body.get("offset")
    limit = default if limit is None else limit
    offset = 0 if offset is None else offset
    for name, value in (("limit", limit), ("offset", offset)):
        if type(value) is not int:
            raise schema_error(
                f'{shown(value)} is not of type "integer"', "type", name, shown(value)
            )
    if limit < 1:
        raise schema_error(f"{limit} is less than the minimum of 1", "minimum", "limit", str(limit))
    if limit > most:
        raise schema_error(
            f"{limit} is greater than the maximum of {most}", "maximum", "limit", str(limit)
        )
    if offset < 0:
        raise schema_error(
            f"{offset} is less than the minimum of 0", "minimum", "offset", str(offset)
        )
    return limit, offset


def query_window(request: Request) -> tuple[int, int]:
    try:
        return int(request.query.get("limit", "10")), int(request.query.get("offset", "0"))
    except ValueError:
        raise refuse(422, "Invalid limit or offset") from None


def pagination(total: int, offset: int, limit: int, came: int) -> dict[str, str]:
    """The server's headers; its "total" is not one."""
    if total > offset + limit:
        return {
            "x-pagination-total": str(offset + limit + 1),
            "x-pagination-next": str(offset + limit),
        }
    return {"x-pagination-total": str(came + offset)}


def listed(every: list[dict[str, Any]], limit: int, offset: int) -> Response:
    page = every[offset : offset + limit]
    return Response(dump(page), headers=pagination(len(every), offset, limit, len(page)))


def sized(parts: list[Part], headers: dict[str, str] | None = None) -> Response:
    """Joined where it is small; otherwise in the pieces that it was made of."""
    size = sum(len(part) for part in parts)
    if size <= _IN_ONE_PIECE:
        return Response(b"".join(parts), headers=headers)
    return Response(pieces=parts, size=size, headers=headers)
