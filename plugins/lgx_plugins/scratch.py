"""Scratch space: pieces of bytes that are linked to chains, on disk where they are many."""

from __future__ import annotations

import struct
import tempfile

from lgx_plugins.files import explain_os_error

__all__ = ["Scratch"]

_HEAD = struct.Struct("<QQ")  # the chain before the piece; the size of the piece
_KEEP = 4 << 20  # bytes that may stay in memory


class Scratch:
    """Keeps pieces in an unlinked temporary file, so that memory holds one number a chain.

    A number names a chain by its last piece; 0 is the empty chain. Closed by its maker.
    """

    def __init__(self) -> None:
        self._new()

    def _new(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_KEEP, prefix="lgx-scratch-")  # noqa: SIM115 -- closed by close()
        self._end = 0

    def append(self, data: bytes, chain: int = 0) -> int:
        """Puts a piece at the end of a chain; the longer chain.

        Raises:
            FatalError: the disk that holds temporary files is full.
        """
        begin = self._end
        try:
            self._file.seek(self._end)
            self._file.write(_HEAD.pack(chain, len(data)))
            self._file.write(data)
        except OSError as error:
            raise explain_os_error(error, tempfile.gettempdir()) from error
        self._end += _HEAD.size + len(data)
        return begin + 1

    def last(self, chain: int) -> bytes:
        """The last piece of a chain that is not empty."""
        size = self._head(chain)[1]
        return self._file.read(size)

    def pieces(self, chain: int) -> list[int]:
        """The chain up to each of its pieces, the first piece's first: see `last`."""
        found = []
        while chain:
            found.append(chain)
            chain = self._head(chain)[0]
        found.reverse()
        return found

    def _head(self, chain: int) -> tuple[int, int]:
        self._file.seek(chain - 1)
        before, size = _HEAD.unpack(self._file.read(_HEAD.size))
        return before, size

    def clear(self) -> None:
        """Forgets everything, and gives the disk back."""
        self._file.close()
        self._new()

    def close(self) -> None:
        """May be called again."""
        self._file.close()
