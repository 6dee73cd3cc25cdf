"""Text that is written after text that comes later: kept on disk until its turn."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from lgx_plugins.files import explain_os_error

__all__ = ["Aside"]

_PIECE = 1 << 20


class _Writable(Protocol):
    def write(self, data: bytes, /) -> None: ...


class Aside:
    """An unlinked temporary file beside the target. Closed by its maker."""

    def __init__(self, folder: Path) -> None:
        """Raises:
        FatalError: no file can be created there.
        """
        self._folder = folder
        self.empty = True
        try:
            self._file = tempfile.TemporaryFile("w+b", _PIECE, dir=folder, prefix="lgx-aside-")  # noqa: SIM115 -- closed by close()
        except OSError as error:
            raise explain_os_error(error, folder) from error

    def write(self, data: bytes) -> None:
        """Raises:
        FatalError: the disk is full.
        """
        self.empty = False
        try:
            self._file.write(data)
        except OSError as error:
            raise explain_os_error(error, self._folder) from error

    def move_to(self, target: _Writable) -> None:
        """Writes everything there. Called once, last."""
        try:
            self._file.seek(0)
            while piece := self._file.read(_PIECE):
                target.write(piece)
        except OSError as error:
            raise explain_os_error(error, self._folder) from error

    def close(self) -> None:
        """May be called again."""
        with suppress(OSError):  # of a last flush to a full disk: nobody wants it
            self._file.close()
