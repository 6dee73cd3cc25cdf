"""The store in a directory:

manifest.json                            replaced as a whole, last
journal-00000007                         what was committed since the manifest
parts/00000012-0000-9f86d081884c7d65.ndjson.zst   records
parts/00000012-0000-9f86d081884c7d65.index.zst    what threads they are of
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from lgx import IntegrityError, UsageError
from lgx_plugins.archive.store import NewFile, Store
from lgx_plugins.files import (
    AtomicFile,
    check_name,
    explain_os_error,
    refuse_path,
    refuse_target,
    remove_leftovers,
    sync_directory,
)
from lgx_plugins.formats import check_source
from lgx_plugins.locks import TargetLock

__all__ = ["DirectoryStore"]

_MANIFEST = "manifest.json"
_PARTS = "parts"
_JOURNAL = re.compile(r"journal-([0-9]{8})")
_UNFINISHED = re.compile(r"\..*\.tmp")
_LOCK = ".lgx-lock"


class DirectoryStore(Store):
    """An archive in a directory of a local or network file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self._parts = path / _PARTS
        self._lock = TargetLock(path)

    def check(self, *, writing: bool) -> bool:
        check_name(self.path)
        if self.place.startswith("s3:/"):
            raise UsageError(
                f"{self.place!r} is a bucket's, not a directory's; the plugin for buckets is s3"
            )
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            if not writing:
                raise UsageError(
                    f"there is no archive at {self.place!r}: nothing has that name; check the path"
                ) from None
            self._check_parent()
            return False
        except OSError as error:
            raise refuse_path(error, self.path) from error
        if not stat.S_ISDIR(mode):
            if not writing:
                check_source(self.path, "archive")
            raise UsageError(f"{self.place!r} is not a directory; an archive needs one of its own")
        try:
            names = {entry.name for entry in self.path.iterdir()}
            if self._parts.is_symlink():
                raise UsageError(
                    f"{str(self._parts)!r} is a link; an archive holds its own parts: put the "
                    "directory itself there"
                )
            if _MANIFEST in names:
                return True
            if any(_JOURNAL.fullmatch(name) for name in names) or self._holds_parts(names):
                raise IntegrityError(
                    f"archive {self.place!r} has lost its manifest.json; restore it from a "
                    "copy, or make a new backup to another path"
                )
        except OSError as error:
            raise refuse_path(error, self.path) from error
        others = {n for n in names if n not in (_PARTS, _LOCK) and not _UNFINISHED.fullmatch(n)}
        if not writing:
            raise UsageError(f"{self.place!r} is not an archive: it has no manifest.json")
        if others:
            raise UsageError(
                f"{self.place!r} is not an archive and not empty (it holds {min(others)!r}); "
                "name a new or empty directory"
            )
        return False

    def _check_parent(self) -> None:
        parent = self.path.parent
        if self.path.is_symlink():
            raise UsageError(f"{self.place!r} is a link to nothing; name a directory")
        if not parent.is_dir():
            raise UsageError(
                f"the folder {str(parent)!r} does not exist; create it with: mkdir -p {parent}"
            )

    def _holds_parts(self, names: set[str]) -> bool:
        if _PARTS not in names or not self._parts.is_dir():
            return False
        return any(not _UNFINISHED.fullmatch(entry.name) for entry in self._parts.iterdir())

    def lock(self) -> None:
        self._make(self.path)
        self._lock.acquire()

    def _make(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return
        except OSError as error:
            raise refuse_target(error, path) from error
        sync_directory(path.parent)

    def unlock(self) -> None:
        self._lock.release()

    def files(self) -> dict[str, int]:
        try:
            with os.scandir(self._parts) as entries:
                return {
                    entry.name: entry.stat(follow_symlinks=False).st_size
                    for entry in entries
                    if not _UNFINISHED.fullmatch(entry.name) and not entry.is_symlink()
                }
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise explain_os_error(error, self._parts) from error

    def leftovers(self) -> list[str]:
        found = []
        for folder in (self.path, self._parts):
            with contextlib.suppress(FileNotFoundError):
                found += [e.name for e in folder.iterdir() if _UNFINISHED.fullmatch(e.name)]
        return sorted(found)

    def clear_leftovers(self) -> None:
        remove_leftovers(self.path / _MANIFEST)
        if self._parts.is_dir():
            remove_leftovers(self._parts / "part")

    def create(self, name: str | None) -> NewFile:
        self._make(self._parts)
        if self._parts.is_symlink():
            raise UsageError(f"{str(self._parts)!r} is a link; an archive holds its own parts")
        return _PartFile(self._parts)

    def open(self, name: str) -> BinaryIO:
        path = self._parts / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise IntegrityError(
                f"part {name!r} of archive {self.place!r} is missing; restore it from a "
                "copy, or make a new backup to another path"
            ) from None
        except OSError as error:
            raise explain_os_error(error, path) from error
        return os.fdopen(descriptor, "rb")

    def remove(self, names: list[str], *, durable: bool) -> None:
        try:
            for name in names:
                (self._parts / name).unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, self._parts) from error
        if names and durable:
            sync_directory(self._parts)

    def read_manifest(self) -> bytes | None:
        return self._read(self.path / _MANIFEST)

    def replace_manifest(self, data: bytes) -> None:
        with AtomicFile(self.path / _MANIFEST) as file:
            file.write(data)
            file.commit()

    def journals(self) -> list[int]:
        try:
            names = [entry.name for entry in self.path.iterdir()]
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        return sorted(int(match[1]) for match in map(_JOURNAL.fullmatch, names) if match)

    def read_journal(self, generation: int) -> bytes | None:
        return self._read(self._journal(generation))

    def append_journal(self, generation: int, line: bytes) -> None:
        path = self._journal(generation)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        try:
            created = not path.exists()
            descriptor = os.open(path, flags, 0o600)
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise explain_os_error(error, path) from error
        if created:
            sync_directory(self.path)

    def remove_journal(self, generation: int) -> None:
        path = self._journal(generation)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise explain_os_error(error, path) from error
        sync_directory(self.path)

    def _journal(self, generation: int) -> Path:
        return self.path / f"journal-{generation:08d}"

    def _read(self, path: Path) -> bytes | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise explain_os_error(error, path) from error
        try:
            with os.fdopen(descriptor, "rb") as file:
                return file.read()
        except OSError as error:
            raise explain_os_error(error, path) from error


class _PartFile:
    """A file in `parts/` that gets its name, which holds its digest, at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = AtomicFile(folder / "part")

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def commit(self, name: str) -> None:
        self._file.path = self._folder / name
        self._file.commit()

    def discard(self) -> None:
        self._file.discard()
