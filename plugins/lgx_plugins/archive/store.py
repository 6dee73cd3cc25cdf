"""Where an archive lies: the few operations that a directory and an object store share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO, Protocol

__all__ = ["NewFile", "Store"]


class NewFile(Protocol):
    """A file that is being written and has no name yet."""

    def write(self, data: bytes) -> None:
        """Adds bytes; a failure is final, the file can then only be discarded."""

    def commit(self, name: str) -> None:
        """Makes the file durable under its name, which nobody reads before this returns."""

    def discard(self) -> None:
        """Lets go of what was not committed. Does nothing after `commit`."""


class Store(ABC):
    """Holds one archive: immutable files, one manifest, and journals between manifests.

    All methods block; they are called from worker threads, those that write by one
    thread at a time and, but for `lock` itself, only while the lock is held. Each raises
    `FatalError` where the place fails. A name is never made from what data says.
    """

    place: str
    """What messages call it: a path or URL, without secrets."""

    @abstractmethod
    def check(self, *, writing: bool) -> bool:
        """Whether an archive stands here; creates nothing.

        Raises:
            UsageError: what stands here is something else, or nothing can be put here.
        """

    @abstractmethod
    def lock(self) -> None:
        """Creates the empty place if it is missing, and keeps other writers off it.

        Raises:
            LockedError: another run writes here; the message says who.
        """

    @abstractmethod
    def unlock(self) -> None:
        """Gives the lock back. May be called without one."""

    @abstractmethod
    def files(self) -> dict[str, int]:
        """Names and sizes of the immutable files, unfinished ones left out."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """Names of unfinished files, for messages; a writer at work has some, too."""

    @abstractmethod
    def clear_leftovers(self) -> None:
        """Removes unfinished files."""

    @abstractmethod
    def create(self) -> NewFile:
        """Begins a new immutable file."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """An immutable file, seekable; closed by the caller.

        Raises:
            IntegrityError: there is no such file.
        """

    @abstractmethod
    def remove(self, names: list[str], *, durable: bool) -> None:
        """Removes immutable files that nothing refers to; those that are not there are passed."""

    @abstractmethod
    def read_manifest(self) -> bytes | None:
        """The manifest as it stands."""

    @abstractmethod
    def replace_manifest(self, data: bytes) -> None:
        """Puts a new manifest in the old one's place, durably: readers see one or the other."""

    @abstractmethod
    def journals(self) -> list[int]:
        """The generations that have a journal."""

    @abstractmethod
    def read_journal(self, generation: int) -> bytes | None:
        """All lines of a journal; a last line may be torn."""

    @abstractmethod
    def append_journal(self, generation: int, line: bytes) -> None:
        """Adds a line (newline included) durably; the first one creates the journal."""

    @abstractmethod
    def remove_journal(self, generation: int) -> None:
        """Removes a journal, if it is there."""
