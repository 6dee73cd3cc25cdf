"""Whether the store holds the bytes that were sent: by what it says of them in its answer.

Each upload bears a checksum, by which the store compares what arrived. Not every store does;
so the checksum and the ETag of the answer are compared once more here.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

__all__ = ["Checksums", "Sums"]

_ETAG = re.compile(r'"?([0-9a-f]{32})(?:-([0-9]+))?"?')


class Sums(NamedTuple):
    """Of the bytes of one request: MD5, and the chosen checksum where that is another one."""

    size: int
    md5: bytes
    chosen: bytes | None


class Checksums:
    """One algorithm: what goes with requests, and what their answers have to say."""

    def __init__(self, algorithm: Literal["sha256", "crc32", "md5"]) -> None:
        self._algorithm = algorithm
        self._field = f"Checksum{algorithm.upper()}"

    def of(self, data: bytes) -> Sums:
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        chosen = None if self._algorithm == "md5" else self._sum(data)
        return Sums(len(data), md5, chosen)

    def _sum(self, data: bytes) -> bytes:
        if self._algorithm == "crc32":
            return zlib.crc32(data).to_bytes(4, "big")
        return hashlib.sha256(data).digest()

    def sent(self, sums: Sums) -> dict[str, str]:
        """Parameters of a request that bears these bytes."""
        if sums.chosen is None:
            return {"ContentMD5": _text(sums.md5)}
        return {self._field: _text(sums.chosen)}

    def announced(self) -> dict[str, str]:
        """Parameters of the request that begins an upload of several."""
        return {} if self._algorithm == "md5" else {"ChecksumAlgorithm": self._algorithm.upper()}

    def listed(self, sums: Sums) -> dict[str, str]:
        """What the request that completes the upload says of each of its parts."""
        return {} if sums.chosen is None else {self._field: _text(sums.chosen)}

    def agrees(self, answer: Mapping[str, Any], sums: Sums) -> bool | None:
        """Whether the answer says that these bytes arrived; None where it says nothing."""
        said = answer.get(self._field)
        return _all(
            None if said is None or sums.chosen is None else said == _text(sums.chosen),
            _etag_agrees(answer, sums.md5, None),
        )

    def agrees_whole(self, answer: Mapping[str, Any], parts: Sequence[Sums]) -> bool | None:
        """The same of an upload in parts, whose checksum is one of the checksums of these."""
        said = answer.get(self._field)
        chosen = [part.chosen for part in parts if part.chosen is not None]
        same = None
        if said is not None and chosen and "-" in said:  # without, it is of another kind
            same = said == f"{_text(self._sum(b''.join(chosen)))}-{len(parts)}"
        md5 = hashlib.md5(b"".join(part.md5 for part in parts), usedforsecurity=False).digest()
        return _all(same, _etag_agrees(answer, md5, len(parts)))


def _etag_agrees(answer: Mapping[str, Any], md5: bytes, parts: int | None) -> bool | None:
    """An ETag is an MD5 unless the store encrypts by KMS, or has ETags of its own kind."""
    if str(answer.get("ServerSideEncryption", "")).startswith("aws:kms"):
        return None
    match = _ETAG.fullmatch(str(answer.get("ETag", "")))
    if match is None or match[2] != (None if parts is None else str(parts)):
        return None
    return match[1] == md5.hex()


def _all(*verdicts: bool | None) -> bool | None:
    given = [verdict for verdict in verdicts if verdict is not None]
    return all(given) if given else None


def _text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
