"""What a checkpointer's data would make LangGraph import, for `lgx doctor`: whoever loads a
checkpoint runs what it names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lgx import Fact, Secret, ThreadError
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.serde import UNTOLD, Document, Name, unsafe

__all__ = ["HARMLESS_TYPES", "Imports"]

HARMLESS_TYPES = ("null", "empty", "bytes", "bytearray")
"""Values of these name nothing, and need not be looked into."""

_MOST = 200
"""So many names are shown; data may hold any number."""

_KEPT = 50_000
"""So many are kept."""

_LONGEST = 100
"""Characters of a name that are shown."""

_LOADED = "is imported when the data is loaded"
_LOADED_ONCE = (
    "is imported when the metadata is loaded by a saver from before "
    "langgraph-checkpoint-postgres 2.0.23 or langgraph-checkpoint-sqlite 3.0"
)


class Imports:
    """Gathers names from values, one after the other; nothing is imported."""

    def __init__(self, key: Secret | None) -> None:
        """
        Args:
            key: of encrypted values.

        Raises:
            UsageError: it can be no key.
        """
        self._key = Cipher(key).key
        self._names: set[Name] = set()
        self._of_metadata: set[Name] = set()
        self._encrypted = 0
        self._unreadable = 0
        self._why = ""

    def add(self, type_: str | None, blob: bytes | None) -> None:
        """Looks into one value."""
        if is_encrypted(type_) and self._key is None:
            self._encrypted += 1
            return
        self._look(lambda: Document.parse(type_, blob, self._key), self._names)

    def add_metadata(self, text: bytes) -> None:
        """Looks into the metadata of one checkpoint, which older savers load as they do values of
        the type "json"."""
        if b'"lc"' in text or b"\\u00" in text:
            self._look(lambda: Document.parse("json", text), self._of_metadata)

    def _look(self, parse: Callable[[], Document], names: set[Name]) -> None:
        found: set[Name] = set()
        try:
            parse().gather_names(found)
        except ThreadError as error:
            self._unreadable += 1
            self._why = self._why or str(error)
        if len(names) < _KEPT:
            names |= found

    def facts(self) -> tuple[Fact, ...]:
        """Of what was found: the names that LangGraph knows to be harmless, a warning for each
        other one, and for values that could not be looked into."""
        shown = [(name, _LOADED) for name in unsafe(self._names)]
        known = sorted(self._names - {name for name, _ in shown})
        shown += [(name, _LOADED_ONCE) for name in unsafe(self._of_metadata - self._names)]
        facts = [Fact(name="imports", value=_harmless(known))]
        facts += [_warning(_text(name, when)) for name, when in shown[:_MOST]]
        if len(shown) > _MOST:
            least = "at least " if len(self._names) >= _KEPT else ""
            facts.append(_warning(f"{least}{len(shown) - _MOST} more names"))
        if self._encrypted:
            facts.append(
                _warning(
                    f"{self._encrypted} values are encrypted, and were not looked into; set "
                    "LANGGRAPH_AES_KEY to their key"
                )
            )
        if self._unreadable:
            facts.append(_warning(f"{self._unreadable} values cannot be read: {self._why}"))
        return tuple(facts)


def _warning(value: str) -> Fact:
    return Fact(name="imports", value=value, level="warn")


def _harmless(names: Sequence[Name]) -> str:
    count = f"{len(names)} name{'' if len(names) == 1 else 's'} that LangGraph knows to be harmless"
    if not names:
        return count
    listed = ", ".join(".".join(map(_shown, name)) for name in names[:_MOST])
    return f"{count}: {listed}{', …' if len(names) > _MOST else ''}"


def _text(name: Name, when: str) -> str:
    if name == UNTOLD:
        return "a constructor that LangGraph does not write: what it imports cannot be told"
    module, attribute = (_shown(part) for part in name)
    return f"{module}.{attribute} {when}"


def _shown(part: str) -> str:
    text = repr(part[:_LONGEST])[1:-1]
    return text if len(part) <= _LONGEST else f"{text}…"
