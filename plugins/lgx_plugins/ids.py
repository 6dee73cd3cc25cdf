"""Ids as bytes: they may be any string, also one that UTF-8 forbids."""

from __future__ import annotations

import hashlib

__all__ = ["id_bytes", "id_digest", "is_text"]


def id_bytes(thread_id: str) -> bytes:
    """The bytes by which ids are compared and sorted."""
    return thread_id.encode("utf-8", "surrogatepass")


def is_text(thread_id: str) -> bool:
    """Whether UTF-8 has bytes for it, as it has for all but lone surrogates: those who have
    only text cannot hold any other."""
    try:
        thread_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def id_digest(*parts: str) -> bytes:
    """16 bytes that stand for these strings where memory must not hold them: no two lists of
    strings share them."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = id_bytes(part)
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.digest()
