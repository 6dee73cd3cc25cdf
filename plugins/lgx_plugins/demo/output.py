"""The directory that the demo writes to; it replaces there what the demo made, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from lgx import UsageError

__all__ = ["Output"]

_LABEL = ".made-by-lgx-demo"
_TEXT = "lgx demo wrote threads.db and archive/ here, and replaces them when it runs again.\n"


class Output:
    """The files of one demo, under a directory of the user's choice."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.database = directory / "threads.db"
        self.archive = directory / "archive"

    def prepare(self) -> None:
        """Makes the directory, or empties it of what an earlier demo made.

        Raises:
            UsageError: it holds something else, or cannot be written.
        """
        label = self.directory / _LABEL
        try:
            self._check(label)
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            label.write_text(_TEXT, encoding="utf-8")
            label.chmod(0o600)
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
            if self.archive.is_symlink():
                self.archive.unlink()
            elif self.archive.exists():
                shutil.rmtree(self.archive)
        except OSError as error:
            raise UsageError(
                f"cannot write to {str(self.directory)!r}: {error.strerror or error}; "
                "name another directory with --output"
            ) from error

    def _check(self, label: Path) -> None:
        if not self.directory.exists() or label.is_file():
            return
        if not self.directory.is_dir():
            raise UsageError(
                f"{str(self.directory)!r} is not a directory; name another one with --output"
            )
        if any(self.directory.iterdir()):
            raise UsageError(
                f"{str(self.directory)!r} holds files that are not of a demo; "
                "name another directory with --output"
            )
