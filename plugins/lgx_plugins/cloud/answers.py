"""What an answer means: which failures may pass, which never will, and what to do then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec
from msgspec import Struct

from lgx import RetryableError, ThreadError

__all__ = [
    "Answer",
    "RefusedError",
    "TooLargeError",
    "UnknownFateError",
    "check_content",
    "excerpt",
    "failure",
    "http_date",
]

_PASSING = frozenset({408, 425, 429})
_OUTAGES = frozenset({502, 503, 504})


class Answer(Struct, frozen=True):
    """A checked body: JSON of the kind that was expected, as bytes.

    `date` is the header: when the server says that it gave the answer.
    """

    body: bytes
    date: str | None = None


class RefusedError(ThreadError):
    """The server understood and said no (a status of 4xx); asking again is of no use."""

    def __init__(self, message: str, *, status: int, detail: str) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class UnknownFateError(ThreadError):
    """A change was sent, and no answer tells whether it was made."""

    def __init__(self, message: str, *, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class TooLargeError(ThreadError):
    """The answer grew past the bound that the caller set; the rest was not read."""


def failure(status: int, headers: Mapping[str, str], body: bytes, what: str) -> Exception:
    """The error that a status other than 2xx stands for."""
    detail = _detail(headers, body)
    if 300 <= status < 400:
        return RetryableError(
            f"the server redirects the {what} to {headers.get('location', 'nowhere')!r} "
            f"(status {status}); redirects are not followed: give the URL of the API itself, "
            "and a key if that is a login page",
            status=status,
        )
    if status in _PASSING or status >= 500:
        return RetryableError(
            f"the server answered {status}: {detail}",
            retry_after=_retry_after(headers.get("retry-after")),
            throttled=status == 429,
            outage=status in _OUTAGES,
            status=status,
        )
    return RefusedError(
        f"the server refused the {what} with {status}: {detail}", status=status, detail=detail
    )


def check_content(
    status: int, headers: Mapping[str, str], body: bytes, *, opening: bytes, what: str
) -> None:
    """Sees to it that a 2xx answer is JSON of the kind that was asked for, to its last byte.

    What is not is an error, never "nothing there": proxies and login pages answer 200 too.

    Args:
        opening: `[` where a list is expected, `{` an object, nothing: a number.

    Raises:
        RetryableError: something else came, or the end is missing.
    """
    text = body.strip()
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text:
        problem = f"an empty answer (status {status})"
    elif kind != "application/json" and not kind.endswith("+json"):
        problem = f"{kind or 'an untyped answer'} in place of JSON; is this a LangGraph server?"
    elif not opening:
        if text.isdigit():
            return
        problem = f"{excerpt(text)} in place of a number"
    elif not text.startswith(opening):
        wanted = "a list" if opening == b"[" else "an object"
        problem = f"{excerpt(text)} in place of {wanted}"
    elif not text.endswith(b"]" if opening == b"[" else b"}"):
        problem = f"JSON that is cut short after {len(body)} bytes"
    else:
        return
    raise RetryableError(f"the server gave, as {what}, {problem}", status=status)


def http_date(text: str | None) -> datetime | None:
    """A time from an HTTP header, None where it is missing or malformed."""
    if text is None:
        return None
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _retry_after(text: str | None) -> float | None:
    """Seconds from a Retry-After header: a number or a date."""
    if text is None:
        return None
    try:
        seconds = float(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        when = http_date(text)
    return None if when is None else max(0.0, (when - datetime.now(UTC)).total_seconds())


def _detail(headers: Mapping[str, str], body: bytes) -> str:
    """What an error answer says, in one line."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        said = None
    if isinstance(said, dict):
        said = said.get("detail") or said.get("message") or said.get("error") or said
    if said is None:
        if "html" in headers.get("content-type", ""):
            return "an HTML page"
        said = body.decode("utf-8", "replace")
    text = " ".join(str(said).split())
    return text[:300] or "nothing more"


def excerpt(text: bytes) -> str:
    """The first bytes of an answer, for a message; short, as it may be somebody's data."""
    shown = text[:60].decode("utf-8", "replace")
    return repr(shown) + ("…" if len(text) > 60 else "")
