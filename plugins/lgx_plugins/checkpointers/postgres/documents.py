"""Rows that are put by until their table's turn comes, in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from struct import Struct
from types import TracebackType

from lgx_plugins.files import explain_os_error
from lgx_plugins.postgres.copying import Row

__all__ = ["Documents"]

_KEEP = 4 << 20  # bytes that may stay in memory

_size = Struct(">Q")


class Documents:
    """Put by first, read then, once. A disk that is full or missing is a `FatalError`."""

    def __init__(self) -> None:
        with _on_disk():
            self._file = tempfile.SpooledTemporaryFile(_KEEP, prefix="lgx-documents-")  # noqa: SIM115 -- closed by __exit__

    def __enter__(self) -> Documents:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def put(self, row: Row) -> None:
        data = row if isinstance(row, bytes) else b"".join(row)
        with _on_disk():
            self._file.write(_size.pack(len(data)))
            self._file.write(data)

    def rows(self) -> Iterator[Row]:
        with _on_disk():
            self._file.seek(0)
        while True:
            with _on_disk():
                head = self._file.read(_size.size)
                if not head:
                    return
                row = self._file.read(_size.unpack(head)[0])
            yield row


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, tempfile.gettempdir()) from error
