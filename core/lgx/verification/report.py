"""What a verification found. Written as one JSON document."""

from __future__ import annotations

import builtins
from typing import Literal

import msgspec
from msgspec import Struct

from lgx.facts import Fact
from lgx.report import Note
from lgx.threads import Loss

__all__ = ["MOST_DIFFERENCES", "Compared", "Difference", "LeftOut", "Side", "Verification"]

MOST_DIFFERENCES = 100_000
"""So many are listed; all are counted."""


class Compared(Struct, kw_only=True):
    """Threads, checkpoints or other records, by what the comparison said.

    Attributes:
        missing: in the source alone.
        additional: in the sink alone.
        unread: of threads: known to be on one side, where they could not be read whole.
    """

    equal: int = 0
    different: int = 0
    missing: int = 0
    additional: int = 0
    unread: int = 0


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A thread that is not the same on both sides, or one of the deployment's own records.

    Attributes:
        thread_id: at the source where it is there; None for what belongs to the deployment.
        what: different: see `first`; missing: the sink lacks it; additional: the source does;
            doubled: it stands more than once on a side; unread: it could not be read.
        first: in words, where the first difference lies, without any value.
        namespace, checkpoint_id: of the checkpoint that differs first, if one does.
        fields: which of its fields differ; `values.messages` is the channel `messages`.
        checkpoints: how many of its checkpoints differ or are on one side alone.
        fidelity: how far the thread was rebuilt, where it was; then ids and times count for
            nothing, and checkpoints are compared in the order of the history.
    """

    thread_id: str | None
    what: Literal["different", "missing", "additional", "doubled", "unread"]
    first: str
    namespace: str | None = None
    checkpoint_id: str | None = None
    fields: tuple[str, ...] = ()
    checkpoints: int = 0
    fidelity: str | None = None


class LeftOut(Struct, frozen=True, kw_only=True):
    """Something that was not compared, and why that is no difference."""

    what: str
    why: str


class Side(Struct, kw_only=True):
    """One of the places.

    Attributes:
        plugin: the name by which it was given.
        identity: of the place: a URL, an archive's id, a path.
        place: as it was given, by the options that it cannot do without; empty where these are
            secrets.
        threads, checkpoints, records: that were read; the last: of all other kinds.
        digest: of all that was compared, 64 hexadecimal digits; equal on any two machines for
            equal content. Ids and times are part of it, so that a rebuilt thread has another,
            and digests of two sides tell nothing where there are such.
        unread: what is known to be there and could not be read.
        bytes: of records.
        received: bytes over the wire or from files, where that is known.
    """

    plugin: str = ""
    identity: str = ""
    place: str = ""
    threads: int = 0
    checkpoints: int = 0
    records: int = 0
    digest: str = ""
    unread: list[Loss] = msgspec.field(default_factory=list)
    bytes: int = 0
    received: int = 0
    requests: int = 0
    retries: int = 0
    versions: dict[str, str] = msgspec.field(default_factory=dict)


class Verification(Struct, kw_only=True):
    """Of two places, or of one alone: the other side is None then.

    Attributes:
        equal: whether nothing differs; None where one side was looked at alone, or the
            comparison did not come to its end.
        level: at which checkpointers were compared: rows, byte by byte; contents, what rows of
            different layouts say; states, as the API shows them. None: no side is one.
        records: of all other kinds than threads and checkpoints.
        replayed: threads that were rebuilt by a server, by how far.
        differences: by thread id, then threads of which nothing was read, then what belongs to
            the deployment; at most `MOST_DIFFERENCES`.
        unlisted: how many more there are.
        left_out: what one side has no room for, or a rebuilt thread cannot have.
        checks: what a place says about itself, where one is looked at alone.
        seed: what a sample was chosen by: the same threads again with the same one.
        aborted: why it did not come to its end.
    """

    format: str = "lgx-verification/1"
    started_at: str = ""
    seconds: float = 0.0
    equal: bool | None = None
    level: Literal["rows", "contents", "states"] | None = None
    source: Side | None = None
    sink: Side | None = None
    threads: Compared = msgspec.field(default_factory=Compared)
    checkpoints: Compared = msgspec.field(default_factory=Compared)
    records: Compared = msgspec.field(default_factory=Compared)
    replayed: dict[str, int] = msgspec.field(default_factory=dict)
    differences: list[Difference] = msgspec.field(default_factory=list)
    unlisted: int = 0
    left_out: list[LeftOut] = msgspec.field(default_factory=list)
    checks: list[Fact] = msgspec.field(default_factory=list)
    notes: list[Note] = msgspec.field(default_factory=list)
    sample: int | None = None
    seed: str | None = None
    signal: int | None = None
    aborted: str | None = None

    @property
    def exit_code(self) -> int:
        """0 equal, or whole; 1 differences, damage, or something unread; 4 it could not be told;
        128 + N after a signal."""
        if self.signal is not None:
            return 128 + self.signal
        if self.aborted is not None:
            return 4
        sides = [side for side in (self.source, self.sink) if side is not None]
        wrong = (
            self.differences
            or any(side.unread for side in sides)
            or any(fact.level == "error" for fact in self.checks)
        )
        return 1 if wrong else 0

    def to_json(self) -> builtins.bytes:
        """Indented, with a newline at its end."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"
