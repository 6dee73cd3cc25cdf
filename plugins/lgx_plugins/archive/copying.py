"""A part at a time, copied from its store to where it may be read again and again."""

from __future__ import annotations

import os
import shutil
import tempfile
from types import TracebackType
from typing import BinaryIO, ClassVar, Self

from lgx import FatalError
from lgx_plugins.archive.manifest import DATA_SUFFIX
from lgx_plugins.archive.store import Files
from lgx_plugins.files import explain_os_error

__all__ = ["LocalCopy"]

_CHUNK = 1 << 20


class LocalCopy(Files):
    """Gives a store's files, parts from a temporary copy that stays until the next one's."""

    reads_twice: ClassVar[bool] = True
    reads_at_once: ClassVar[int] = 1

    def __init__(self, store: Files) -> None:
        self._store = store
        self.place = store.place
        self._name: str | None = None
        self._copy: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._drop()

    def open(self, name: str) -> BinaryIO:
        if not name.endswith(DATA_SUFFIX):
            return self._store.open(name)
        if name != self._name:
            self._drop()
            self._fill(name)
        assert self._copy is not None
        try:
            again = os.fdopen(os.dup(self._copy.fileno()), "rb")
            again.seek(0)
        except OSError as error:
            raise _no_room(error) from error
        return again

    def _fill(self, name: str) -> None:
        with self._store.open(name) as file:
            try:
                self._copy = tempfile.TemporaryFile(prefix="lgx-part-")  # noqa: SIM115 -- closed by _drop
                shutil.copyfileobj(file, self._copy, _CHUNK)
                self._copy.flush()
            except OSError as error:
                raise _no_room(error) from error
        self._name = name

    def _drop(self) -> None:
        copy, self._copy, self._name = self._copy, None, None
        if copy is not None:
            copy.close()


def _no_room(error: OSError) -> FatalError:
    return explain_os_error(error, tempfile.gettempdir())
