"""Who writes an archive: an object that its holder replaces every few seconds.

It only tells others to stay away. What keeps a run that is taken for dead, and is not, from doing
harm is that it can no longer replace the journal or the manifest: see `S3Store`.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from lgx import LgxError, LockedError
from lgx_plugins.s3.objects import Objects, Stored
from lgx_plugins.s3.writes import ConflictError, check_conditions, write_object

__all__ = ["BEAT_SECONDS", "LOCK", "STALE_SECONDS", "Lease"]

LOCK = ".lgx-lock"
BEAT_SECONDS = 15.0
STALE_SECONDS = 60.0
"""A holder that has not been heard of for so long is dead."""

_TRIES = 5


class Holder(Struct, frozen=True, kw_only=True):
    """What the object says.

    Attributes:
        holder: for people.
        token: tells this lock from all others.
        machine: the system that runs the process, since its start; empty where that cannot be told.
        begun: when the process did, in the system's own count, since ids are used again.
        beat: counts replacements.
    """

    holder: str
    token: str
    machine: str = ""
    pid: int = 0
    begun: str = ""
    beat: int = 0


class Lease:
    """The right to write, from `acquire` to `release`, renewed by a thread of its own."""

    def __init__(
        self, objects: Objects, *, beat: float = BEAT_SECONDS, stale: float = STALE_SECONDS
    ) -> None:
        self._objects = objects
        self._beat = beat
        self._stale = stale
        self._holder = _holder()
        self._etag: str | None = None
        self._lost: str | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> None:
        """Takes the lock, also over from a holder that died, or raises.

        Raises:
            LockedError: another run holds it.
            UsageError: the store cannot keep two runs apart.
        """
        self._etag = self._take()
        try:
            check_conditions(self._objects, LOCK)
        except BaseException:
            self.release()
            raise
        self._end.clear()
        self._thread = threading.Thread(target=self._renew, name="lgx-s3-lock", daemon=True)
        self._thread.start()

    def _take(self) -> str:
        for _ in range(_TRIES):
            found = self._objects.get(LOCK)
            if found is not None:
                self._refuse(found)
            try:
                return write_object(
                    self._objects,
                    LOCK,
                    msgspec.json.encode(self._holder),
                    match=found.etag if found else None,
                    former=found.data if found else None,
                )
            except ConflictError:
                continue
        raise LockedError(
            f"{self._objects.place.url!r} is being taken by several runs at once; run again later"
        )

    def _refuse(self, found: Stored) -> None:
        """Raises unless the holder is dead."""
        holder = _decode(found.data)
        if _is_dead(holder) or found.age >= self._stale:
            return
        words = ""
        if holder.machine != self._holder.machine:  # else it is known to live
            left = max(1, round(self._stale - found.age))
            words = f" (if it was killed, its lock ends in {left} seconds)"
        raise LockedError(
            f"{self._objects.place.url!r} is being written by {holder.holder}; wait for it to end, "
            f"or write elsewhere{words}"
        )

    def check(self) -> None:
        """Raises where the lock is known to be another's by now.

        Raises:
            LockedError: this run was taken for dead.
        """
        if self._lost is not None:
            raise self.lost(self._lost)

    def lost(self, by: str | None = None) -> LockedError:
        """What to raise where another run has written."""
        if by is None:
            found = self._objects.get(LOCK)
            by = _decode(found.data).holder if found else "another run"
        return LockedError(
            f"{self._objects.place.url!r} was written by {by} while this run wrote to it; nothing "
            "of it is broken, and what this run committed before stands; wait for the other one to "
            "end, then run again"
        )

    def release(self) -> None:
        """Gives the lock back, if it is still this run's. May be called again."""
        thread, self._thread = self._thread, None
        self._end.set()
        if thread is not None:
            thread.join()
        etag, self._etag = self._etag, None
        if etag is None or self._lost is not None:
            return
        try:
            found = self._objects.get(LOCK)
            if found is not None and _decode(found.data).token == self._holder.token:
                self._objects.remove_this(LOCK, found.etag)
        except LgxError:
            return  # what stays behind ends by itself

    def _renew(self) -> None:
        """Replaces the object until told to end; one failure is no matter, only a lost lock is."""
        assert self._etag is not None
        etag, beat, data = self._etag, 0, msgspec.json.encode(self._holder)
        while not self._end.wait(self._beat):
            beat += 1
            former, data = (
                data,
                msgspec.json.encode(msgspec.structs.replace(self._holder, beat=beat)),
            )
            try:
                etag = write_object(self._objects, LOCK, data, match=etag, former=former)
            except ConflictError:
                found = self._found()
                if found is None or _decode(found.data).token != self._holder.token:
                    self._lost = _decode(found.data).holder if found else "another run"
                    return
                etag = found.etag
            except LgxError:
                continue

    def _found(self) -> Stored | None:
        try:
            return self._objects.get(LOCK)
        except LgxError:
            return None


def _holder() -> Holder:
    pid = os.getpid()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(
        holder=f"process {pid} on host {socket.gethostname()} since {now}",
        token=secrets.token_hex(16),
        machine=_machine(),
        pid=pid,
        begun=_begun(pid) or "",
    )


def _decode(data: bytes) -> Holder:
    try:
        holder = msgspec.json.decode(data, type=Holder)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Holder(holder="another program", token="")
    if not holder.holder.isprintable() or len(holder.holder) > 300:
        return msgspec.structs.replace(holder, holder="another process")
    return holder


def _is_dead(holder: Holder) -> bool:
    """Whether it ran on this very system and is not there any more."""
    if not holder.machine or holder.machine != _machine():
        return False
    return _begun(holder.pid) != holder.begun


def _machine() -> str:
    """Host, start of its system, and the set of processes that ids count in: a container has its
    own. Empty where that cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = Path("/proc/self/ns/pid").readlink()
    except (OSError, ValueError):
        return ""
    return f"{socket.gethostname()} {boot} {space}"


def _begun(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # What follows the program's name, which may hold anything: state, parent, …
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
