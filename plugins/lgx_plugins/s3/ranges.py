"""A part that is read: by ranges, so that no more of it is in memory than was asked for."""

from __future__ import annotations

import io

from lgx import FatalError, IntegrityError
from lgx_plugins.s3.failures import is_missing, status_of
from lgx_plugins.s3.objects import Objects, read_body

__all__ = ["RangeReader"]

_MOST_AHEAD = 4 << 20


class RangeReader(io.RawIOBase):
    """An object as a file. Read on from where it was, it fetches more at a time, up to 4 MiB."""

    def __init__(self, objects: Objects, name: str, part: str) -> None:
        self._objects = objects
        self._name = name
        self._part = part
        self._at = 0
        self._buffer = b""
        self._ahead = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        self._at, self._buffer, self._ahead = offset, b"", 0
        return offset

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As many bytes as there are up to `size`, in contrast to a raw file's."""
        assert size >= 0, "never a whole part"
        if len(self._buffer) < size:
            missing = size - len(self._buffer)
            fetched = self._fetch(self._at + len(self._buffer), max(missing, self._ahead))
            self._ahead = min(max(2 * self._ahead, missing), _MOST_AHEAD)
            self._buffer += fetched
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self._at += len(data)
        return data

    def _fetch(self, start: int, size: int) -> bytes:
        return self._objects.ask(f"read {self._name}", lambda: self._ask(start, size))

    def _ask(self, start: int, size: int) -> bytes:
        from botocore.exceptions import ClientError

        try:
            answer = self._objects.client.get_object(
                **self._objects.where(self._name), Range=f"bytes={start}-{start + size - 1}"
            )
        except ClientError as error:
            if status_of(error) == 416:
                return b""
            if is_missing(error):
                raise self._missing() from None
            raise
        if "ContentRange" in answer:
            return read_body(answer)
        if start == 0:
            return read_body(answer, size)
        answer["Body"].close()
        raise FatalError(
            f"the store of {self._objects.place.url!r} does not answer with ranges of objects; "
            "copy the archive into a directory and read it there"
        )

    def _missing(self) -> IntegrityError:
        return IntegrityError(
            f"part {self._part!r} of archive {self._objects.place.url!r} is missing; restore it "
            "from a copy, or make a new backup to another path"
        )
