"""Where an archive lies: the few operations that a directory and an object store share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO, ClassVar, Protocol

__all__ = ["Files", "NewFile", "Store"]


class NewFile(Protocol):
    """A file that is being written and does not stand under its name yet."""

    def write(self, data: bytes) -> None:
        """Adds bytes; a failure is final, the file can then only be discarded."""

    def commit(self, name: str) -> None:
        """Makes the file durable under its name; nobody reads it before `Store.settle`, by whose
        end it is."""

    def discard(self) -> None:
        """Lets go of what was not committed. Does nothing after `commit`."""


class Files(ABC):
    """What can be read of an archive's parts, from any thread and by many at once."""

    place: str
    """What messages call it: a path or URL, without secrets."""

    reads_twice: ClassVar[bool] = True
    """Whether a part may be read once to compare it with its digest, and again for what is in
    it. Where that costs too much, each thread is compared with its own digest alone."""

    reads_at_once: ClassVar[int] = 1
    """How many files are worth reading at once."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """An immutable file, seekable; closed by the caller.

        Raises:
            IntegrityError: there is no such file.
        """


class Store(Files):
    """Holds one archive: immutable files, one manifest, and journals between manifests.

    All methods block; they are called from worker threads, those that write by one
    thread at a time and, but for `lock` itself, only while the lock is held. Each raises
    `FatalError` where the place fails. A name is never made from what data says.
    """

    exclusive: ClassVar[bool] = True
    """Whether the lock alone keeps other writers from writing. Where it does not, a writer
    that lost its lock unawares is stopped at its next commit: what it wrote until then stays as
    files that no manifest lists, which are leftovers here and would be damage elsewhere."""

    names_first: ClassVar[bool] = False
    """Whether a part's name has to be known when its file is begun: it then holds digits drawn
    by lot in place of the digest's, so that no two writers ever name one file."""

    journal_bytes: ClassVar[int | None] = None
    """A journal of this size is folded into the manifest during the run; None: only by the end."""

    def close(self) -> None:
        """Lets go of connections. Called last, also where nothing was opened, or again."""
        return

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

    def fence(self, generation: int) -> None:
        """Makes sure that nobody else can add to this journal, or begin it, any more.

        Called by the lock's holder before it removes what another writer may have left; the
        journal ends with a torn line afterwards. Nothing to do where the lock is exclusive.
        """
        return

    @abstractmethod
    def files(self) -> dict[str, int] | None:
        """Names and sizes of the immutable files, unfinished ones left out; None where this
        place may not be listed."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """Names of unfinished files, for messages; a writer at work has some, too."""

    @abstractmethod
    def clear_leftovers(self) -> None:
        """Removes unfinished files."""

    @abstractmethod
    def create(self, name: str | None) -> NewFile:
        """Begins a new immutable file.

        Args:
            name: that it will be committed under, where it is known; always with `names_first`.
        """

    def settle(self) -> None:
        """Waits until each committed file is durable, and raises what one failed with.

        Called before a journal refers to them. Nothing to do where `commit` waits itself.
        """
        return

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
