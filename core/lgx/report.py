"""The report: what arrived, what did not and why. Written as one JSON document."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from lgx.provenance import Provenance
from lgx.threads import Loss

__all__ = ["Counts", "Failure", "Note", "Report", "Unmoved"]


class Counts(Struct, kw_only=True):
    """Threads, or checkpoints, by what became of them; `listed` is the sum of the others.

    Attributes:
        listed: known to exist.
        unchanged: stood in the target already, by its mark.
        written: arrived, whole.
        partial: of threads that arrived in part: for threads, those threads; for
            checkpoints, those of them that arrived.
        failed: known to exist and did not arrive.
        gone: deleted at the source between list and read.

    Of a run that was ended early `listed` is more: see `Report.not_reached`.
    """

    listed: int = 0
    unchanged: int = 0
    written: int = 0
    partial: int = 0
    failed: int = 0
    gone: int = 0


class Failure(Struct, frozen=True, kw_only=True):
    """Something that did not arrive whole, though the target could hold it."""

    thread_id: str | None
    what: str
    why: str


class Note(Struct, frozen=True, kw_only=True):
    """A fact worth knowing that is neither failure nor loss."""

    message: str
    thread_id: str | None = None


class Unmoved(Struct, frozen=True, kw_only=True):
    """A thread that a dry run would move."""

    thread_id: str
    version: str
    size_hint: int | None = None


class Report(Struct, kw_only=True):
    """Of one run.

    Attributes:
        failures: what the target could hold and did not get; any makes the exit code 3.
        losses: everything that is known to exist and is not in the target, the above
            and what no target of that kind can hold.
        extras: records written, by kind.
        extras_unchanged: records that stood in the target already, by kind.
        not_reached: threads of which nothing became anything because the run ended early: of as
            many as the source had told that there are, or else had listed by then. They are in
            none of the lists, so that only the whole run, done again, moves them.
        fidelity: `state` or `raw`; or, for a target that is rebuilt through its API, how
            many threads got how far.
        aborted: why the run ended before its end; None where it did not.
        would_move: of a dry run.
        quarantined: ids of threads that a validator kept out.
        provenance: by thread the times that it had where it came from, its id on the target
            where that is another, and of its checkpoints ids, times and runs, oldest first;
            None where the target gave none of them its own.
    """

    format: str = "lgx-report/1"
    source: str = ""
    sink: str = ""
    started_at: str = ""
    seconds: float = 0.0
    threads: Counts = msgspec.field(default_factory=Counts)
    checkpoints: Counts = msgspec.field(default_factory=Counts)
    extras: dict[str, int] = msgspec.field(default_factory=dict)
    extras_unchanged: dict[str, int] = msgspec.field(default_factory=dict)
    not_reached: int = 0
    failures: list[Failure] = msgspec.field(default_factory=list)
    losses: list[Loss] = msgspec.field(default_factory=list)
    notes: list[Note] = msgspec.field(default_factory=list)
    quarantined: list[str] = msgspec.field(default_factory=list)
    bytes: int = 0
    received: int = 0
    requests: int = 0
    retries: int = 0
    fidelity: dict[str, int] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    dry_run: bool = False
    would_move: list[Unmoved] = msgspec.field(default_factory=list)
    signal: int | None = None
    aborted: str | None = None
    provenance: Provenance | None = None

    @property
    def exit_code(self) -> int:
        """0 all arrived, 1 aborted, 3 something holdable is missing, 128 + N after a signal."""
        if self.signal is not None:
            return 128 + self.signal
        if self.aborted is not None:
            return 1
        return 3 if self.failures else 0

    def to_json(self) -> builtins.bytes:
        """Indented, with a newline at its end."""
        return b"".join(self.parts())

    def parts(self) -> Iterator[builtins.bytes]:
        """The same in pieces, of which the longest part, provenance, makes a line for each
        thread."""
        plain = msgspec.structs.replace(self, provenance=None)
        text = msgspec.json.format(msgspec.json.encode(plain), indent=2)
        if self.provenance is None:
            yield text + b"\n"
            return
        yield text.removesuffix(b"null\n}") + b"{"
        before = b"\n    "
        for line in self.provenance.lines():
            yield before + line
            before = b",\n    "
        yield b"\n  }\n}\n"
