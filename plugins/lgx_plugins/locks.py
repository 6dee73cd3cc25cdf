"""Locks on targets: of two runs into one place, one waits outside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from lgx import LockedError
from lgx_plugins.files import (
    explain_os_error,
    refuse_target,
    shortened,
)

__all__ = ["TargetLock"]


class TargetLock:
    """Keeps a second run off a target; the kernel frees it when its holder dies.

    A file `NAME.lgx-lock` beside the target, or `.lgx-lock` inside it where the target is
    a directory, tells who writes. It is removed at release; one that a killed process
    left behind locks nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock or raises at once.

        Raises:
            LockedError: another process, or another lock of this one, holds it.
            UsageError: the lock file may not be created there.
            FatalError: it cannot be.
        """
        assert self._descriptor is None, "acquired twice"
        self._file = _lock_file(self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        while self._descriptor is None:
            try:
                descriptor = os.open(self._file, flags, 0o600)
            except OSError as error:
                raise refuse_target(error, self._file) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_file(descriptor, self._file):  # not one that its holder just removed
                    _write_holder(descriptor)
                    self._descriptor = descriptor
            except BlockingIOError:
                raise LockedError(
                    f"{str(self.path)!r} is being written by {_holder(descriptor)}; "
                    "wait for it to end, or write elsewhere"
                ) from None
            except OSError as error:
                raise explain_os_error(error, self._file) from error
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def release(self) -> None:
        """Removes the file and gives the lock back. May be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        try:
            # While the lock is held: whoever opened the file before finds it gone and starts
            # anew. Where removing fails, what stays behind locks nothing.
            with contextlib.suppress(OSError):
                if _is_file(descriptor, self._file):
                    self._file.unlink()
        finally:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _lock_file(path: Path) -> Path:
    if path.is_dir():
        return path / ".lgx-lock"
    suffix = ".lgx-lock"
    return path.with_name(shortened(path.name, len(suffix)) + suffix)


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether that name still stands for the open file."""
    try:
        named = path.lstat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _write_holder(descriptor: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = f"process {os.getpid()} on host {socket.gethostname()} since {now}\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip()
    return text if text.isprintable() and text else "another process"
