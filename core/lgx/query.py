"""Which threads a run is about."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Raw, Struct, UnsetType

from lgx.canonical import Node, canonical, tree
from lgx.errors import ThreadError, UsageError
from lgx.jsontext import split_object
from lgx.records import Thread

__all__ = ["Query", "parse_time"]


def parse_time(text: str) -> datetime:
    """An ISO 8601 time or date; without an offset it is UTC."""
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time; write it as 2026-11-20 or 2026-11-20T08:00:00+00:00"
        ) from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


class Query(Struct, frozen=True, kw_only=True):
    """Filters over threads; all of them hold at once, an empty one admits everything.

    Attributes:
        thread_ids: these alone.
        metadata: each key of the thread's metadata contains this JSON value.
        status: one of idle, busy, interrupted, error.
        since: `updated_at` not before; ISO 8601.
        until: `updated_at` before; ISO 8601.
        as_of: the state at that moment, for sources that keep earlier ones.
        limit: at most so many threads; the engine counts, a source may stop early.
        extras: whether the deployment's own records (assistants, crons, store) are wanted.
        kinds: the kinds of records that will be used, empty for all; set by the engine, so
            that a source need not read what nobody takes. A source that has checkpoints in
            both forms gives states where `checkpoint` is among them, and rows otherwise; where
            `checkpoint_write` stands beside it, checkpoints that hold all that the rows say, in
            fields of `extra`: so two layouts can be compared.
    """

    thread_ids: tuple[str, ...] = ()
    metadata: dict[str, Raw] = {}
    status: str | None = None
    since: str | None = None
    until: str | None = None
    as_of: str | None = None
    limit: int | None = None
    extras: bool = True
    kinds: frozenset[str] = frozenset()

    @property
    def filtered(self) -> bool:
        """Whether some threads may be left out."""
        return bool(
            self.thread_ids
            or self.metadata
            or self.status
            or self.since
            or self.until
            or self.limit is not None
        )

    def admits(self, thread: Thread) -> bool:
        """Whether a thread passes the filters; for sources that cannot filter themselves.

        Raises:
            ThreadError: its `updated_at` is not a time, and the window asks for one.
        """
        if self.thread_ids and thread.thread_id not in self.thread_ids:
            return False
        if self.status and thread.status != self.status:
            return False
        if not self.admits_time(thread.updated_at):
            return False
        if not self.metadata:
            return True
        if isinstance(thread.metadata, UnsetType):
            return False
        try:
            held = split_object(thread.metadata)
        except ThreadError:
            return False  # not an object
        return all(
            key in held and _text_contains(held[key], value) for key, value in self.metadata.items()
        )

    def admits_time(self, updated_at: str | None) -> bool:
        """Whether `updated_at` lies in the window; a thread without one passes no window.

        Raises:
            ThreadError: `updated_at` is not a time.
        """
        if not (self.since or self.until):
            return True
        if updated_at is None:
            return False
        try:
            when = parse_time(updated_at)
        except UsageError:
            # It is the data that is at fault, not the user's option.
            raise ThreadError(
                f"the thread's updated_at {updated_at[:80]!r} is not a time, so that no window "
                "of time can be applied to it; leave out --since and --until"
            ) from None
        if self.since and when < parse_time(self.since):
            return False
        return not (self.until and when >= parse_time(self.until))


def _text_contains(held: Raw, wanted: Raw) -> bool:
    try:
        return _contains(tree(held), tree(wanted))
    except RecursionError:  # a filter nested past hundreds of levels is compared as a whole
        return canonical(held) == canonical(wanted)


def _contains(held: Node, wanted: Node) -> bool:
    """Containment as PostgreSQL's `@>` defines it for JSONB, which is what the server uses."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(
            key in held and _contains(held[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(held, list) and all(
            any(_contains(item, value) for item in held) for value in wanted
        )
    return held == wanted
