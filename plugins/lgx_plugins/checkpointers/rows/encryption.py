"""What LangGraph's `EncryptedSerializer` has written, opened and sealed again with its key."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from lgx import Secret, ThreadError, option
from lgx_plugins.checkpointers.serde import cipher

__all__ = ["AesKey", "Cipher", "is_encrypted"]

AesKey: TypeAlias = Annotated[
    Secret | None,
    option(
        "The key of encrypted checkpoints (16, 24 or 32 bytes), which another layout of tables "
        "and states ask for; others get the bytes as they are.",
        example="env:LANGGRAPH_AES_KEY",
        env="LANGGRAPH_AES_KEY",
    ),
]
"""The option of whatever changes the form of checkpoints, `aes_key`."""


def is_encrypted(type_: str | None) -> bool:
    """Whether a value of that type is encrypted, with whatever cipher."""
    return type_ is not None and cipher.parts(type_)[1] is not None


class Cipher:
    """Opens and seals values with one key, or says why it cannot.

    Attributes:
        key: its bytes.
    """

    def __init__(self, key: Secret | None) -> None:
        """
        Raises:
            UsageError: it cannot be a key.
        """
        self.key = None if key is None else cipher.checked(key.reveal().encode())

    def open(self, type_: str, blob: bytes, what: str) -> tuple[str, bytes]:
        """The type and the bytes that were encrypted.

        Raises:
            ThreadError: there is no key, it is another one, or the cipher is not known.
            UsageError: the package that knows AES is not installed.
        """
        inner, name = cipher.parts(type_)
        assert name is not None, "only what is encrypted is opened"
        return inner, cipher.decrypt(name, blob, self.key, what)

    def seal(self, type_: str, blob: bytes, what: str) -> tuple[str, bytes]:
        """The same the other way, with a nonce of its own.

        Raises:
            ThreadError: there is no key.
            UsageError: as `open`.
        """
        if self.key is None:
            raise ThreadError(f"{what} is to be encrypted; set {cipher.KEY_VARIABLE} to its key")
        return f"{type_}+aes", cipher.encrypt(blob, self.key)
