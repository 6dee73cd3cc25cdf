"""Files that stand whole under their name or not at all, and locks on what is being written.

A name of the user's is never opened for writing: bytes go to a temporary file beside it,
which takes the name once they are on the disk. All of it is synchronous; call it through
`run_blocking` where it may wait for a disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from lgx import FatalError, LgxError, UsageError

__all__ = [
    "AtomicFile",
    "check_name",
    "check_target",
    "explain_os_error",
    "refuse_path",
    "refuse_target",
    "remove_leftovers",
    "sync_directory",
]

_NAME_BYTES = 255
_TAIL = re.compile(r"\.[0-9a-f]{16}\.tmp")
_TAIL_BYTES = 1 + 1 + 16 + 4  # the dot before the name, and the tail

_BEGIN_BYTES = 8 << 20  # written meanwhile
_FULL = (errno.ENOSPC, errno.EDQUOT)
_USERS = (
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
_WHY = {
    errno.EFBIG: "is larger than files may be here; raise the limit (ulimit -f), or go elsewhere",
    errno.EROFS: "cannot be written: the file system is read-only; write elsewhere",
    errno.EACCES: "cannot be opened: permission denied; change its mode, or run as its owner",
    errno.EPERM: "cannot be changed: the operation is not permitted; look at its owner and flags",
    errno.EISDIR: "is a directory; name a file",
    errno.ENOTDIR: "cannot be reached: a part of the path is not a directory; correct the path",
    errno.ENOENT: "does not exist; create it (or the folder that it lies in), or correct the path",
    errno.EEXIST: "exists already; name another, or remove it",
    errno.ELOOP: "is a symbolic link, or lies behind a loop of them; name the file itself",
    errno.ENAMETOOLONG: "has too long a name; choose a shorter one",
    errno.EIO: "cannot be read or written: the disk reports an error; check the disk",
    errno.ESTALE: "has gone from its network file system; mount it again",
    errno.EMFILE: "cannot be opened: too many files are open; raise the limit (ulimit -n)",
    errno.ENOLCK: "cannot be locked: its file system has no locks; write to a local disk",
    errno.EOPNOTSUPP: "cannot be locked: its file system has no locks; write to a local disk",
    errno.EPIPE: "was closed by its reader; nothing more can be written to it",
}


def explain_os_error(error: OSError, path: Path | str) -> FatalError:
    """What to raise in place of an error that the operating system gave for `path`.

    Never raises; an error number without a sentence of its own keeps the system's words.
    """
    name = str(path)
    if error.errno in _FULL:
        return FatalError(f"no space is left for {name!r}; free some, or write elsewhere")
    why = _WHY.get(error.errno or 0)
    if why is None:
        words = (error.strerror or str(error) or type(error).__name__).lower()
        why = f"cannot be read or written: {words}; see to that and run again"
    return FatalError(f"{name!r} {why}")


def refuse_path(error: OSError, path: Path | str) -> LgxError:
    """The same before anything was begun: it is the user's path that cannot be used.

    A disk that is full or failing, and files that are too many, are FatalErrors even then.
    """
    if error.errno == errno.ENOENT:
        return UsageError(f"{str(path)!r} does not exist; check the path")
    closed = _closed_folder(Path(path)) if error.errno == errno.EACCES else None
    if closed is not None:
        return UsageError(
            f"the folder {str(closed)!r} cannot be entered: permission denied; "
            "name another path, or run as its owner"
        )
    fatal = explain_os_error(error, path)
    return UsageError(str(fatal)) if error.errno in _USERS else fatal


def _closed_folder(path: Path) -> Path | None:
    """The first folder on the way that may not be entered: what lies in it may not even be
    there."""
    with contextlib.suppress(OSError):
        for folder in reversed(path.parents):
            if folder.is_dir() and not os.access(folder, os.X_OK, effective_ids=True):
                return folder
    return None


def refuse_target(error: OSError, path: Path) -> LgxError:
    """The same of a file that could not be created: where it is its folder that forbids it,
    the folder is named."""
    folder = path.parent
    if error.errno == errno.EROFS:
        return UsageError(
            f"the folder {str(folder)!r} cannot be written to: its file system is read-only; "
            "write elsewhere"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        with contextlib.suppress(OSError):
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                return UsageError(
                    f"the folder {str(folder)!r} cannot be written to: permission denied; "
                    "write elsewhere, or run as its owner"
                )
    return refuse_path(error, path)


def check_name(path: Path) -> None:
    """Refuses what no file can have for a name.

    Raises:
        UsageError: it holds a NUL character, or one that the file system has no bytes for.
    """
    if "\0" in str(path):
        raise UsageError(f"path {str(path)!r} holds a NUL character; correct it")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise UsageError(
            f"path {str(path)!r} holds a character that no file name can; correct it"
        ) from None


def check_target(path: Path) -> None:
    """Refuses what cannot become a file under that name; creates and opens nothing.

    Raises:
        UsageError: a directory or device stands there, the folder is missing, or the place
            may not be looked at.
    """
    check_name(path)
    parent = path.parent
    try:
        if not parent.is_dir():
            raise UsageError(
                f"the folder {str(parent)!r} does not exist; create it with: mkdir -p {parent}"
            )
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise refuse_path(error, path) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{str(path)!r} is a directory; name a file in it")
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise UsageError(f"{str(path)!r} is not a regular file; name a file, or - where allowed")


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable.

    Raises:
        FatalError: it failed; what was renamed in it may be lost by a power cut.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise explain_os_error(error, path) from error


class AtomicFile:
    """A file that appears under its name with `commit`, complete and durable, or never.

    Until then it is `.NAME.RANDOM.tmp` in the same directory, of mode 0600; what stood
    under the name stays readable. A symbolic link under the name is replaced, not followed.
    As a context manager it discards what was not committed.
    """

    def __init__(self, path: Path) -> None:
        """Creates the temporary file.

        Raises:
            FatalError: it cannot be created; the message names the cause.
        """
        self.path = path
        self.size = 0
        self._begun = 0
        stem = shortened(path.name, _TAIL_BYTES)
        self.temporary = path.with_name(f".{stem}.{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            self._descriptor: int | None = os.open(self.temporary, flags, 0o600)
        except FileNotFoundError as error:
            raise explain_os_error(error, path.parent) from error
        except OSError as error:
            raise explain_os_error(error, path) from error

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Writes all of it, unbuffered: give large pieces.

        Raises:
            FatalError: the disk is full or failed; the file can then only be discarded.
        """
        assert self._descriptor is not None, "written after commit or discard"
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += os.write(self._descriptor, view[done:])
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        self.size += done
        if self.size - self._begun >= _BEGIN_BYTES:
            self._begin(self._descriptor)
        return done

    def _begin(self, descriptor: int) -> None:
        """Lets the system begin to write to the disk, so that `commit` has little to wait for.

        Linux begins when it is told that pages will not be needed; those that are not on the
        disk yet stay in memory all the same. Elsewhere the advice is lost, and nothing else.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # advice: a file system need not know it
                length = self.size - self._begun
                os.posix_fadvise(descriptor, self._begun, length, os.POSIX_FADV_DONTNEED)
        self._begun = self.size

    def flush(self) -> None:
        """Does nothing: no bytes are held back. For writers that wrap this file."""

    def commit(self) -> None:
        """Brings the bytes to the disk and puts the file under its name.

        Called once, last. A failed fsync is final: the system may have dropped the bytes that
        it could not write, and a second fsync would not say so.

        Raises:
            FatalError: the file does not stand under its name, or (when the directory's
                fsync failed) may not survive a power cut; the temporary file is gone.
        """
        assert self._descriptor is not None, "committed after commit or discard"
        try:
            os.fsync(self._descriptor)
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
            self.temporary.rename(self.path)
        except OSError as error:
            self._remove()
            raise explain_os_error(error, self.path) from error
        sync_directory(self.path.parent)

    def discard(self) -> None:
        """Removes the temporary file. Does nothing after `commit` or a first `discard`."""
        if self._descriptor is not None:
            self._remove()

    def _remove(self) -> None:
        """The first error is the one to tell: those of cleaning up would only hide it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        with contextlib.suppress(OSError):
            self.temporary.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()


def remove_leftovers(path: Path) -> int:
    """Removes temporary files that killed writers of `path` left behind; their number.

    Only the holder of the target's lock may call it: an `AtomicFile` in use looks the same.
    """
    removed = 0
    prefix = f".{shortened(path.name, _TAIL_BYTES)}"
    try:
        for entry in path.parent.iterdir():
            rest = entry.name[len(prefix) :]
            if entry.name.startswith(prefix) and _TAIL.fullmatch(rest):
                entry.unlink()
                removed += 1
    except OSError as error:
        raise explain_os_error(error, path.parent) from error
    return removed


def shortened(name: str, room: int) -> str:
    """The name, or where it leaves no room for so many bytes more, a digest in its place."""
    encoded = os.fsencode(name)
    if len(encoded) + room <= _NAME_BYTES:
        return name
    return hashlib.sha256(encoded).hexdigest()
