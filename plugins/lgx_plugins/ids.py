"""Ids as bytes: they may be any string, also one that UTF-8 forbids."""

from __future__ import annotations

import hashlib

__all__ = ["id_bytes", "id_digest"]


def id_bytes(thread_id: str) -> bytes:
    """The bytes by which ids are compared and sorted."""
    return thread_id.encode("utf-8", "surrogatepass")


def id_digest(*parts: str) -> bytes:
    """16 bytes that stand for these strings where memory must not hold them: no two lists of
    strings share them."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = id_bytes(part)
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.digest()
