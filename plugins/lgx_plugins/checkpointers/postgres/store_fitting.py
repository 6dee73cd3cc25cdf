"""Items as a store in PostgreSQL would hold them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import msgspec

from lgx import ThreadError
from lgx_plugins.checkpointers.postgres.store_tables import StoreTables
from lgx_plugins.checkpointers.stores.decisions import Fitted
from lgx_plugins.checkpointers.stores.items import Item
from lgx_plugins.checkpointers.stores.vectors import Vector
from lgx_plugins.postgres.cells import escape_json, instant, needs_escape, time_text

__all__ = ["fit", "microseconds"]

_INT4 = range(-(1 << 31), 1 << 31)
_INFINITE = {"infinity": (1 << 63) - 1, "-infinity": -(1 << 63)}
_MARK = "\ufdd0".encode()
_ELSEWHERE = "SQLite, an archive or an ndjson file can"


def fit(item: Item, tables: StoreTables, no_vectors: str | None) -> Fitted:
    """
    Args:
        no_vectors: why none are taken; None where those that fit are.

    Raises:
        ThreadError: it cannot be held.
    """
    for what, text in (("namespace", item.prefix), ("key", item.key)):
        if not _is_text(text):
            raise ThreadError(
                f"PostgreSQL cannot hold its {what}, which has a NUL or a lone surrogate; "
                f"{_ELSEWHERE}"
            )
    value = item.value
    if _MARK not in value and needs_escape(value) and escape_json(value) != value:
        raise ThreadError(
            "PostgreSQL's JSONB cannot hold its value, which has a NUL, a lone surrogate or a "
            f"number that is too large; {_ELSEWHERE}"
        )
    without: list[tuple[str, str, bool]] = []
    changed: dict[str, object] = {"others": ()}
    for name in ("created_at", "updated_at", "expires_at"):
        time = getattr(item, name)
        if time is None:
            continue
        since = microseconds(time)
        if since is None:
            raise ThreadError(f"its {name} is {time[:80]!r}, which is no time")
        changed[name] = time_text(since) or time
    if not tables.expiry:
        if item.expires:
            why = "the table has no columns for it; run the store's setup() there, which adds them"
            without.append(("expiry", why, True))
        changed |= {"expires_at": None, "ttl_minutes": None}
    elif item.ttl_minutes is not None:
        minutes = _minutes(item.ttl_minutes)
        if Decimal(minutes) != Decimal(item.ttl_minutes):
            why = "PostgresStore keeps whole minutes; when it expires is kept exactly"
            without.append(("fractions of ttl_minutes", why, False))
        changed["ttl_minutes"] = str(minutes)
    vectors, left = _vectors(item, tables, no_vectors)
    changed["vectors"] = vectors
    return Fitted(msgspec.structs.replace(item, **changed), left, tuple(without))


def _minutes(text: str) -> int:
    minutes = round(Decimal(text))
    if minutes not in _INT4:
        raise ThreadError(f"its time to live of {text} minutes is more than its column can hold")
    return minutes


def _vectors(
    item: Item, tables: StoreTables, no_vectors: str | None
) -> tuple[dict[str, Vector], Counter[str]]:
    taken: dict[str, Vector] = {}
    left: Counter[str] = Counter()
    for field, vector in item.vectors.items():
        why = no_vectors or _unfit(field, vector, tables)
        if why is None:
            taken[field] = vector
        else:
            left[why] += 1
    return taken, left


def _unfit(field: str, vector: Vector, tables: StoreTables) -> str | None:
    """Why a vector cannot be held."""
    column = tables.vectors
    if column is None:  # in a dry run: a table for them would be made, if it can be
        return None
    if vector.type != column.type or column.dimensions not in (None, vector.dimensions):
        return (
            f"they are of {vector.dimensions} dimensions of {vector.type}, and the target's table "
            f"holds {column}"
        )
    if not vector.finite or not _is_text(field):
        return "PostgreSQL cannot hold their numbers or the name of their field"
    for time in (vector.created_at, vector.updated_at):
        if time is not None and microseconds(time) is None:
            return "their times are none"
    return None


def microseconds(text: str) -> int | None:
    """A time since 2000, as TIMESTAMPTZ counts; None where it is none."""
    return _INFINITE.get(text) or instant(text)


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
