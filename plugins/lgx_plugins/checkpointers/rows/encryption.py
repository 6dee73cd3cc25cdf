"""What LangGraph's `EncryptedSerializer` has written, opened and sealed again with its key.

A value of type `msgpack+aes` is msgpack in AES-EAX: 16 bytes nonce, 16 bytes tag, the rest.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from lgx import Secret, ThreadError, UsageError, option

__all__ = ["AesKey", "Cipher", "is_encrypted"]

AesKey: TypeAlias = Annotated[
    Secret | None,
    option(
        "The key of encrypted checkpoints (16, 24 or 32 bytes), which only another layout of "
        "tables asks for; others get the bytes as they are.",
        example="env:LANGGRAPH_AES_KEY",
        env="LANGGRAPH_AES_KEY",
    ),
]
"""The option of every sink that changes the form of checkpoints, `aes_key`."""

_NONCE = 16
_HEAD = 32
_SUFFIX = "+aes"


def is_encrypted(type_: str | None) -> bool:
    """Whether a value of that type is encrypted, with whatever cipher."""
    return type_ is not None and "+" in type_


class Cipher:
    """Opens and seals values with one key, or says why it cannot."""

    def __init__(self, key: Secret | None) -> None:
        """
        Raises:
            UsageError: it cannot be a key.
        """
        self._key = None if key is None else key.reveal().encode()
        if self._key is not None and len(self._key) not in (16, 24, 32):
            raise UsageError(
                f"the key of encrypted checkpoints has {len(self._key)} bytes; AES takes 16, 24 "
                "or 32: correct LANGGRAPH_AES_KEY"
            )

    def open(self, type_: str, blob: bytes, what: str) -> tuple[str, bytes]:
        """The type and the bytes that were encrypted.

        Raises:
            ThreadError: there is no key, it is another one, or the cipher is not known.
            UsageError: the package that knows AES is not installed.
        """
        inner, _, cipher = type_.partition("+")
        if cipher != "aes":
            raise ThreadError(
                f"{what} is encrypted with {cipher!r}, which lgx does not know; copy the thread "
                "between tables of one layout, or into an archive"
            )
        aes = self._new(blob[:_NONCE], what)
        try:
            return inner, aes.decrypt_and_verify(blob[_HEAD:], blob[_NONCE:_HEAD])
        except ValueError:
            raise ThreadError(
                f"{what} was encrypted with another key than LANGGRAPH_AES_KEY, or is damaged; "
                "set the key that it was written with"
            ) from None

    def seal(self, type_: str, blob: bytes, what: str) -> tuple[str, bytes]:
        """The same the other way, with a nonce of its own.

        Raises:
            ThreadError, UsageError: as `open`.
        """
        aes = self._new(None, what)
        sealed, tag = aes.encrypt_and_digest(blob)
        return type_ + _SUFFIX, aes.nonce + tag + sealed

    def _new(self, nonce: bytes | None, what: str) -> Any:
        if self._key is None:
            raise ThreadError(
                f"{what} is encrypted, and tables of this layout hold it in another form; set "
                "LANGGRAPH_AES_KEY to its key"
            )
        try:
            from Crypto.Cipher import AES
        except ImportError:
            raise UsageError(
                "encrypted checkpoints need pycryptodome; run: pip install pycryptodome"
            ) from None
        return AES.new(self._key, AES.MODE_EAX, nonce=nonce)
