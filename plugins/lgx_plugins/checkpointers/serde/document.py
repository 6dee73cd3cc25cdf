"""One serialized value of a checkpointer: what it says, and the same with other texts in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from lgx import ThreadError
from lgx_plugins.checkpointers.serde import (
    cipher,
    imports,
    jsonform,
    reading,
    strings,
    tags,
    writing,
)
from lgx_plugins.checkpointers.serde.strings import Text
from lgx_plugins.checkpointers.serde.text import encode_tree

__all__ = ["Document", "Text"]

_TYPES = ("null", "empty", "bytes", "bytearray", "msgpack", "json")


class Document:
    """The type and the bytes that a serializer wrote, read without trusting them.

    Nothing is parsed before it is asked for; each method raises `ThreadError` where the bytes do
    not hold what their type says.
    """

    def __init__(self, kind: str, blob: bytes, key: bytes | None, inner: str, data: bytes) -> None:
        self.type = kind
        self.blob = blob
        self._key = key
        self._inner = inner
        self._data = data

    @classmethod
    def parse(cls, kind: str | None, blob: bytes | None, key: bytes | None = None) -> Document:
        """
        Args:
            kind: the type that is kept beside the bytes.
            blob: None stands for no bytes, as databases have it.
            key: of AES, for encrypted values.

        Raises:
            ThreadError: a type that cannot be read, or no key that fits.
        """
        if kind is None:
            raise ThreadError("a value has no type, so nobody can tell what its bytes mean")
        inner, name = cipher.parts(kind)
        if inner == "pickle":
            raise ThreadError(
                "a value is a pickle, which runs what the data names when it is read; "
                "lgx never does that: copy the thread raw"
            )
        if inner not in _TYPES:
            raise ThreadError(
                f"a value has the type {kind!r}, which is none of {', '.join(_TYPES)}; "
                "copy the thread raw"
            )
        stored = b"" if blob is None else blob
        data = stored if name is None else cipher.decrypt(name, stored, key)
        if data and inner in ("null", "empty"):
            raise ThreadError(f"a value of the type {inner!r} has {len(data)} bytes, not none")
        return cls(kind, stored, key, inner, data)

    def to_json(self) -> bytes:
        """The value as neutral JSON."""
        if self._inner == "msgpack":
            return reading.to_json(self._data)
        if self._inner == "json":
            return jsonform.to_json(self._data)
        if self._inner == "null":
            return b"null"
        if self._inner == "empty":
            return encode_tree({tags.TAG: "empty"})
        return encode_tree(tags.binary(self._data, self._inner))

    def names(self) -> set[imports.Name]:
        """The modules and names that loading the value would make LangGraph import."""
        found: set[imports.Name] = set()
        self.gather_names(found)
        return found

    def gather_names(self, found: set[imports.Name]) -> None:
        """Adds them to those found, and raises only then: of a damaged value LangGraph imports
        what it comes to before the damage, and beside it."""
        if self._inner == "msgpack":
            imports.gather(self._data, found)
        elif self._inner == "json":
            jsonform.gather(self._data, found)

    def strings(self) -> Iterator[Text]:
        """All texts in the order of the bytes, keys included."""
        if self._inner == "msgpack":
            return strings.strings(self._data)
        if self._inner == "json":
            return jsonform.strings(self._data)
        return iter(())

    def replaced(self, changes: Mapping[Text, str]) -> bytes:
        """The bytes with other texts in the place of some; all other bytes stay as they are.

        Where nothing changes, the very same bytes. Encrypted values are encrypted again, with a
        new nonce.

        Args:
            changes: by what `strings` gave.

        Raises:
            ThreadError: two keys of one map would become the same, or a text is none of this
                document's.
        """
        if not changes:
            return self.blob
        if any(text.is_key for text in changes):
            self._check_keys({text.start: new for text, new in changes.items()})
        if self._inner == "json":
            data = jsonform.replaced(self._data, changes)
        elif self._inner == "msgpack":
            data = strings.replaced(self._data, changes)
        else:
            raise ThreadError(f"a value of the type {self._inner!r} has no texts to be replaced")
        return self._sealed(data)

    def encoded(self, neutral: bytes) -> tuple[str, bytes | None]:
        """The type and the bytes of what `to_json` gave, changed or not.

        Unchanged, they are those that were read. Otherwise they are what LangGraph's
        serializer would write today, encrypted if the value was.
        """
        if neutral == self.to_json():
            return self.type, self.blob if self._inner != "empty" else None
        kind, data = writing.encode(neutral)
        name = cipher.parts(self.type)[1]
        if name is None or data is None:
            return kind, data
        return f"{kind}+{name}", self._sealed(data)

    def _check_keys(self, changes: Mapping[int, str]) -> None:
        """Looks whether the keys of each map stay different from one another."""
        keys: dict[tuple[int, str], bool] = {}
        for text in self.strings():
            if text.owner is None:
                continue
            changed = text.start in changes
            key = text.owner, changes[text.start] if changed else text.value
            if key in keys and (changed or keys[key]):
                raise ThreadError(
                    f"two keys of one map would become {json.dumps(key[1])}, and one of their "
                    "values be lost; leave keys as they are, or make different texts of them"
                )
            keys[key] = changed

    def _sealed(self, data: bytes) -> bytes:
        if cipher.parts(self.type)[1] is None:
            return data
        assert self._key is not None
        return cipher.encrypt(data, self._key)
