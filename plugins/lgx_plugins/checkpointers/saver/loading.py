"""From records to objects, as a checkpointer takes them: names in the data are the danger here."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

from lgx import RawCheckpoint, ThreadError
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.rows.forms import stored_metadata
from lgx_plugins.checkpointers.serde import SAFE, UNTOLD, Document, Name, meaning

__all__ = ["Allowed", "Loader", "metadata_of"]


class Allowed:
    """The names beyond LangGraph's list of harmless ones that the user lets data import."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = frozenset(
            one.strip() for given in modules for one in given.split(",") if one.strip()
        )
        self.everything = "all" in self._modules

    def refused(self, names: set[Name]) -> set[Name]:
        if self.everything:
            return set()
        return {name for name in names - SAFE if not self._covers(name)}

    def _covers(self, name: Name) -> bool:
        if name == UNTOLD:
            return False
        module = name[0]
        return module in self._modules or any(
            module.startswith(f"{allowed}.") for allowed in self._modules
        )


class Loader:
    """Loads values whose names are allowed, and nothing else."""

    def __init__(self, allowed: Allowed, cipher: Cipher, serde: Any) -> None:
        """`serde`: the checkpointer's, for what only it knows."""
        self._allowed = allowed
        self._cipher = cipher
        self._serde = serde
        self._found: set[Name] = set()  # those that were looked for already, and are there

    def refused(self, type_: str | None, blob: bytes | None, what: str) -> set[Name]:
        """The names that loading a value would import, and that may not be.

        Raises:
            ThreadError: it cannot be told.
        """
        kind, data = self._opened(type_, blob, what)
        if self._allowed.everything and kind == "pickle":
            return set()
        return self._allowed.refused(Document.parse(kind, data).names())

    def value(self, type_: str | None, blob: bytes | None, what: str) -> Any:
        """
        Raises:
            ThreadError: it cannot be loaded as it was.
        """
        kind, data = self._opened(type_, blob, what)
        if kind == "pickle":
            if not self._allowed.everything:
                raise ThreadError(f"{what} is a pickle, which only --sink-allow-modules all loads")
            return self._loaded(self._serde, kind, data, what)
        names = Document.parse(kind, data).names()
        refused = self._allowed.refused(names)
        if refused:
            raise ThreadError(f"{what} names {_listed(refused)}, which may not be imported")
        if kind not in ("msgpack", "null", "bytes", "bytearray"):
            return self._loaded(self._serde, kind, data, what)
        for name in names - self._found:
            self._check(name, what)
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

        # No more than what was found in the bytes, whatever the bytes say to that serializer.
        given = {(module, name.partition(".")[0]) for module, name in names}
        serializer = JsonPlusSerializer(
            allowed_msgpack_modules=True if UNTOLD in names else given | names
        )
        value = self._loaded(serializer, kind, data, what)
        if kind == "msgpack":
            self._compare(serializer, value, data, what)
        return value

    def _opened(self, type_: str | None, blob: bytes | None, what: str) -> tuple[str, bytes]:
        if type_ is None:
            raise ThreadError(f"{what} has no type, so nobody can tell what its bytes mean")
        if is_encrypted(type_):
            return self._cipher.open(type_, blob or b"", what)
        return type_, blob or b""

    def _loaded(self, serializer: Any, kind: str, data: bytes, what: str) -> Any:
        try:
            return serializer.loads_typed((kind, data))
        except Exception as error:
            raise ThreadError(
                f"{what} cannot be loaded ({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error

    def _check(self, name: Name, what: str) -> None:
        """LangGraph puts what it has instead of an object whose class is not there."""
        module, path = name
        if name != UNTOLD:
            try:
                found: Any = importlib.import_module(module)
                for part in path.split("."):
                    found = getattr(found, part)
            except (ImportError, AttributeError) as error:
                if name in SAFE and module == "pathlib._local":
                    return  # LangGraph finds it in another place
                raise ThreadError(
                    f"{what} needs {module}.{path}, which cannot be imported here ({error}); "
                    "install it beside lgx"
                ) from error
        self._found.add(name)

    def _compare(self, serializer: Any, value: Any, data: bytes, what: str) -> None:
        try:
            kind, again = serializer.dumps_typed(value)
        except Exception as error:
            raise ThreadError(f"{what} was loaded, and cannot be written again: {error}") from error
        if again == data or (kind == "msgpack" and meaning(again) == meaning(data)):
            return
        before, after = Document.parse("msgpack", data).names(), Document.parse(kind, again).names()
        lost = before - after - SAFE
        if lost:
            raise ThreadError(
                f"{what} does not come back as it is: objects of {_listed(lost)} cannot be made "
                "from what is stored; see whether the classes have changed since"
            )


def metadata_of(record: RawCheckpoint, what: str) -> Any:
    """
    Raises:
        ThreadError: it is no object.
    """
    stored = stored_metadata(record)
    if stored is None:
        return {}
    try:
        found = json.loads(stored)
    except (ValueError, RecursionError) as error:
        raise ThreadError(f"the metadata of {what} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ThreadError(f"the metadata of {what} is no object, which a checkpointer needs")
    return found


def _listed(names: set[Name]) -> str:
    return ", ".join(".".join(name) for name in sorted(names))
