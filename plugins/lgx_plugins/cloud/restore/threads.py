"""What of a thread's record a server takes back, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw, Struct, UnsetType

from lgx import Loss, Thread, canonical, raw, split_object
from lgx_plugins.cloud.restore.label import KEY, without_label

__all__ = ["RESERVED", "Built", "missing", "thread_metadata", "thread_ttl"]

RESERVED = frozenset(
    {"thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"}
)
"""Keys of metadata that servers set by themselves, and strip from what they are given."""

_UNATTAINABLE = ("error", "busy")


class Built(Struct, frozen=True):
    """A thread's record as the server gives it once it is built."""

    status: str | None = None
    metadata: Raw = Raw(b"{}")


def thread_metadata(thread: Thread | None, graph_id: str | None) -> dict[str, Raw]:
    """What the thread is created with; the graph's id is the target's."""
    if thread is None or isinstance(thread.metadata, UnsetType):
        fields: dict[str, Raw] = {}
    else:
        fields = without_label(thread.metadata)
    for name in RESERVED:
        fields.pop(name, None)
    if graph_id is not None:
        fields["graph_id"] = raw(graph_id)
    return fields


def thread_ttl(thread: Thread | None) -> Raw | None:
    """The time to live, as creating a thread takes it; a restored thread's begins anew."""
    if thread is None or isinstance(thread.extra, UnsetType) or "ttl" not in thread.extra:
        return None
    said = thread.extra["ttl"]
    if not bytes(said).startswith(b"{"):
        return None
    fields = split_object(said)
    minutes = fields.get("ttl_minutes", fields.get("ttl"))
    if minutes is None:
        return None
    return raw({"ttl": minutes, "strategy": fields.get("strategy", "delete")})


def missing(
    thread_id: str, thread: Thread | None, sent: Mapping[str, Raw], built: Built
) -> list[Loss]:
    """What the record lacks of its source, once all of the history is there."""
    losses: list[Loss] = []

    def lost(what: str, why: str, *, holdable: bool = True) -> None:
        losses.append(Loss(what=what, why=why, thread_id=thread_id, holdable=holdable))

    held = split_object(built.metadata)
    lacking = sorted(
        name
        for name, value in sent.items()
        if name not in held or canonical(bytes(held[name])) != canonical(bytes(value))
    )
    if lacking:
        names = ", ".join(repr(name) for name in lacking[:3])
        lost(f"metadata {names}", "the server did not keep it as it was given")
    surplus = held.keys() - sent.keys() - RESERVED - {KEY}
    if surplus:
        why = "the server, or a hook of it, added it by itself"
        lost(f"the absence of metadata {min(surplus)!r}", why, holdable=False)
    if thread is not None and thread.status is not None and thread.status != built.status:
        lost(
            f"status {thread.status}",
            f"servers take no status; by its next nodes this one calls it {built.status}",
            holdable=thread.status not in _UNATTAINABLE and built.status != "interrupted",
        )
    return losses
