"""What of a thread's record a server takes back, and what it keeps to itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from lgx import Checkpoint, Loss, Thread, ThreadError, canonical, digest, raw, split_object
from lgx_plugins.cloud.restore.label import KEY, Label, is_labelled, label_of

__all__ = [
    "RESERVED",
    "Built",
    "Sent",
    "Tip",
    "expected",
    "graph_of",
    "is_configured",
    "missing",
    "sent_of",
    "thread_ttl",
    "tip_of",
]

RESERVED = frozenset(
    {"thread_id", "assistant_id", "run_id", "cron_id", "counters_since_delta_snapshot"}
)
"""Keys of metadata that servers set by themselves, and strip from what they are given."""

_UNATTAINABLE = ("error", "busy")
_NOTHING = (b"null", b"{}", b"[]")
_NO_CONFIG = Raw(b'{"configurable":{}}')


class Built(Struct, frozen=True):
    """A thread's record as the server gives it, but for its values."""

    thread_id: str = ""
    status: str | None = None
    metadata: Raw = Raw(b"{}")
    interrupts: Raw = Raw(b"{}")
    created_at: str | None = None
    state_updated_at: str | None = None

    @property
    def label(self) -> Label | None:
        """What lgx keeps there; None where it has not written the thread."""
        return label_of(split_object(self.metadata), self.thread_id)

    @property
    def graph_id(self) -> str | None:
        text = split_object(self.metadata).get("graph_id", Raw(b"null"))
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            return msgspec.json.decode(text, type=str | None)
        return None

    @property
    def own_metadata(self) -> dict[str, Raw]:
        """Without what servers and lgx keep there for themselves."""
        fields = split_object(self.metadata)
        return {name: v for name, v in fields.items() if name not in RESERVED and name != KEY}

    @property
    def metadata_digest(self) -> str:
        return digest(raw(self.own_metadata))


class Sent(Struct, frozen=True):
    """A thread's metadata as it is given to a server, without a label.

    Attributes:
        kept_back: names of what servers would not take, and set by themselves.
        taken: whether what stood under lgx's own key was none of its labels, and has no place.
    """

    fields: dict[str, Raw]
    kept_back: frozenset[str] = frozenset()
    taken: bool = False


class Tip(Struct, frozen=True):
    """What a thread's newest checkpoint says of the thread.

    Attributes:
        due: whether nodes are to run next; None where it does not say.
        asks: whether a question waits there.
        there: whether there is one: a thread may have come with checkpoints of subgraphs alone.
    """

    due: bool | None = False
    asks: bool = False
    there: bool = False


class _Task(Struct):
    interrupts: Raw = Raw(b"[]")


_tasks = msgspec.json.Decoder(list[_Task])


def tip_of(newest: Checkpoint | None) -> Tip:
    """`newest`: of the root namespace; None where there is none."""
    if newest is None:
        return Tip()
    due = None if isinstance(newest.next, UnsetType) else _says(newest.next)
    tasks: list[_Task] = []
    if _says(newest.tasks):
        # What is malformed fails the thread where its tasks are needed.
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            tasks = _tasks.decode(newest.tasks)  # type: ignore[arg-type]  # says what it is
    asks = _says(newest.interrupts) or any(_says(task.interrupts) for task in tasks)
    return Tip(due, asks, there=True)


def expected(thread: Thread | None, sent: Sent, tip: Tip) -> Built:
    """A thread's record as a server will have it, as far as the source tells: not where a node
    is due of which no history tells."""
    status = None if tip.due is None else "interrupted" if tip.due else "idle"
    if thread is not None and thread.status == "interrupted" and not tip.due:
        status = None
    return Built(status=status, metadata=raw(sent.fields))


def graph_of(thread: Thread | None) -> str | None:
    """The graph that a thread belongs to; None where it names none.

    Raises:
        ThreadError: what it names is none.
    """
    if thread is None or isinstance(thread.metadata, UnsetType):
        return None
    said = split_object(thread.metadata).get("graph_id")
    try:
        return None if said is None else msgspec.json.decode(said, type=str | None)
    except msgspec.ValidationError:
        raise ThreadError("its metadata names as graph_id what is no text") from None


def sent_of(thread: Thread | None, graph_id: str | None) -> Sent:
    """What the thread is created with; the graph's id is the target's.

    Raises:
        ThreadError: it is half of a copy itself.
    """
    fields: dict[str, Raw] = {}
    if thread is not None and not isinstance(thread.metadata, UnsetType):
        fields = split_object(thread.metadata)
    kept_back = fields.keys() & RESERVED
    label = None if thread is None else label_of(fields, thread.thread_id)
    if label is not None and label.unfinished:
        raise ThreadError(
            "it is labelled unfinished where it comes from: a run that built it there was cut "
            "short; complete that first"
        )
    taken = KEY in fields and not is_labelled(fields)
    for name in (*kept_back, KEY):
        fields.pop(name, None)
    if graph_id is not None:
        fields["graph_id"] = raw(graph_id)
    return Sent(fields, frozenset(kept_back), taken)


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


def is_configured(thread: Thread | None) -> bool:
    """Whether runs have left settings there for those that follow, which servers take from
    nobody."""
    config = UNSET if thread is None else thread.config
    return _says(config) and not _same(config, _NO_CONFIG)


def missing(
    thread_id: str,
    thread: Thread | None,
    sent: Sent,
    built: Built,
    tip: Tip = Tip(),  # noqa: B008  # which nobody changes
    *,
    bare: bool = False,
    exact: bool = False,
) -> list[Loss]:
    """What the record lacks of its source, once all of the history is there.

    Args:
        built: the target's record; or what is `expected`, for what is told beforehand.
        tip: of the source's history.
        bare: whether the thread came without a history of its own, and without a word about
            that.
        exact: whether all of the history that a server takes is there: what follows from it
            is then the server's to say.
    """
    losses: list[Loss] = []

    def lost(what: str, why: str, *, holdable: bool = True) -> None:
        losses.append(Loss(what=what, why=why, thread_id=thread_id, holdable=holdable))

    held = split_object(built.metadata)
    lacking = unlike(sent.fields, held)
    if lacking:
        names = ", ".join(map(repr, lacking[:3])) + " …" * (len(lacking) > 3)
        lost(f"metadata {names}", "the server did not keep it as it was given")
    surplus = built.own_metadata.keys() - sent.fields.keys()
    if surplus:
        why = "the target added it by itself, or had it before"
        lost(f"the absence of metadata {min(surplus)!r}", why, holdable=False)
    if sent.taken:
        why = "lgx keeps its own mark under that key, and found something else there"
        lost(f"metadata {KEY!r}", why, holdable=False)
    for name in sorted(sent.kept_back):
        why = "servers set it by themselves, and strip it: no search by it finds the thread there"
        lost(f"metadata {name!r}", why, holdable=False)
    if _asks(thread, tip) and not _says(built.interrupts):
        why = "servers show them again, under new ids, when it is run once without an input"
        lost("its pending interrupts", why, holdable=False)
    if thread is None:
        return losses
    if is_configured(thread):
        why = "no server takes the settings that runs leave there for those that follow"
        lost("its config", why, holdable=False)
    if bare and _says(thread.values):
        why = "no history came with them, and servers take values as steps of one alone"
        lost("its values", why)
    told = built.status is not None or thread.status in _UNATTAINABLE
    if thread.status is not None and thread.status != built.status and told:
        called = (
            "each tells its own" if built.status is None else f"this one calls it {built.status}"
        )
        lost(
            f"status {thread.status}",
            f"servers take no status; by its next nodes {called}",
            holdable=not exact
            and thread.status not in _UNATTAINABLE
            and built.status != "interrupted",
        )
    return losses


def _asks(thread: Thread | None, tip: Tip) -> bool:
    """Whether a question waits: older files have it in the history alone."""
    if thread is None or isinstance(thread.interrupts, UnsetType):
        return tip.asks
    return _says(thread.interrupts)


def unlike(sent: Mapping[str, Raw], held: Mapping[str, Raw]) -> list[str]:
    """The keys that are not held as they were sent."""
    return sorted(
        name for name, value in sent.items() if name not in held or not _same(held[name], value)
    )


def _same(one: Raw | UnsetType, other: Raw) -> bool:
    return not isinstance(one, UnsetType) and canonical(bytes(one)) == canonical(bytes(other))


def _says(value: Raw | UnsetType) -> bool:
    return not isinstance(value, UnsetType) and bytes(value).strip() not in _NOTHING
