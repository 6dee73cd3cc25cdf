"""Scratch space: pieces of bytes on disk that are linked to chains."""

from __future__ import annotations

import struct
import tempfile

from lgx_plugins.files import explain_os_error

__all__ = ["Scratch"]

_HEAD = struct.Struct("<QQ")  # 1 + the offset of the piece before, or 0; the size


class Scratch:
    """Keeps pieces in an unlinked temporary file, so that memory holds one number a chain.

    A number names a chain by its last piece; 0 is the empty chain. Closed by its maker.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lgx-scratch-", buffering=1 << 20)  # noqa: SIM115 -- closed by close()
        self._end = 0
        self._appending = True

    def append(self, data: bytes, chain: int = 0) -> int:
        """Puts a piece at the end of a chain; the longer chain.

        Raises:
            FatalError: the disk that holds temporary files is full.
        """
        begin = self._end
        try:
            if not self._appending:
                self._file.seek(self._end)
                self._appending = True
            self._file.write(_HEAD.pack(chain, len(data)))
            self._file.write(data)
        except OSError as error:
            raise explain_os_error(error, tempfile.gettempdir()) from error
        self._end += _HEAD.size + len(data)
        return begin + 1

    def last(self, chain: int) -> tuple[bytes, int]:
        """The last piece of a chain that is not empty, and the chain before it."""
        before, size = self._head(chain)
        return self._file.read(size), before

    def pieces(self, chain: int) -> list[int]:
        """The chain up to each of its pieces, the first piece's first: see `last`."""
        found = []
        while chain:
            found.append(chain)
            chain = self._head(chain)[0]
        found.reverse()
        return found

    def _head(self, chain: int) -> tuple[int, int]:
        self._appending = False
        self._file.seek(chain - 1)
        before, size = _HEAD.unpack(self._file.read(_HEAD.size))
        return before, size

    def close(self) -> None:
        """May be called again."""
        self._file.close()
