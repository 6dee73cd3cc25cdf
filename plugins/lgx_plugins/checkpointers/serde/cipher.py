"""Values that LangGraph's `EncryptedSerializer` has encrypted: types such as "msgpack+aes"."""

from __future__ import annotations

import os
from typing import Any

from lgx import ThreadError, UsageError

__all__ = ["KEY_VARIABLE", "checked", "decrypt", "encrypt", "environment_key", "parts"]

KEY_VARIABLE = "LANGGRAPH_AES_KEY"

_SIZES = (16, 24, 32)
_PART = 16  # bytes of the nonce, and of the tag after it


def environment_key() -> bytes | None:
    """The key that LangGraph itself would take; None where there is none.

    Raises:
        UsageError: it has a length that no AES key has.
    """
    text = os.environ.get(KEY_VARIABLE)
    return None if text is None else checked(text.encode())


def checked(key: bytes) -> bytes:
    """A key that AES takes.

    Raises:
        UsageError: it has a length that none has.
    """
    if len(key) not in _SIZES:
        raise UsageError(
            f"the key of encrypted values has {len(key)} bytes, and AES takes 16, 24 or 32; "
            f"correct {KEY_VARIABLE}"
        )
    return key


def parts(kind: str) -> tuple[str, str | None]:
    """The type of what was encrypted, and the cipher; None where nothing was."""
    inner, plus, cipher = kind.partition("+")
    return inner, cipher if plus else None


def decrypt(cipher: str, data: bytes, key: bytes | None, what: str = "a value") -> bytes:
    """What was encrypted.

    Args:
        what: how errors name it.

    Raises:
        ThreadError: no key or another key, a cipher that is not AES, or bytes that were changed.
    """
    if cipher != "aes":
        raise ThreadError(
            f"{what} is encrypted by {cipher!r}, and lgx reads only 'aes'; copy it as it is, into "
            "tables of its own layout or an archive"
        )
    if key is None:
        raise ThreadError(
            f"{what} is encrypted; set {KEY_VARIABLE} to its key, or copy it as it is, into tables "
            "of its own layout or an archive"
        )
    if len(data) < 2 * _PART:
        raise ThreadError(
            f"{what} is encrypted in {len(data)} bytes, fewer than its nonce and tag; "
            "restore it from elsewhere"
        )
    nonce, tag, rest = data[:_PART], data[_PART : 2 * _PART], data[2 * _PART :]
    try:
        plain: bytes = _aes(key, nonce).decrypt_and_verify(rest, tag)
    except ValueError:
        raise ThreadError(
            f"{what} was encrypted with another key than {KEY_VARIABLE}, or was changed since; "
            "set the key that it was written with"
        ) from None
    return plain


def encrypt(data: bytes, key: bytes) -> bytes:
    """The same as `EncryptedSerializer` does, with a nonce of its own."""
    cipher = _aes(key, None)
    text, tag = cipher.encrypt_and_digest(data)
    return bytes(cipher.nonce + tag + text)


def _aes(key: bytes, nonce: bytes | None) -> Any:
    try:
        from Crypto.Cipher import AES
    except ImportError as error:
        raise UsageError(
            "encrypted values need pycryptodome; run: pip install pycryptodome"
        ) from error
    return AES.new(checked(key), AES.MODE_EAX, nonce=nonce)
