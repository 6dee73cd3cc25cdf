"""What a checkpointer's data would make LangGraph import, for `lgx doctor`: whoever loads a
checkpoint runs what it names."""

from __future__ import annotations

from lgx import Fact, ThreadError
from lgx_plugins.checkpointers.rows.encryption import is_encrypted
from lgx_plugins.checkpointers.serde import UNTOLD, Name, environment_key, names, unsafe

__all__ = ["Imports"]

_MOST = 200
"""So many names are shown; data may hold any number."""


class Imports:
    """Gathers names from values, one after the other; nothing is imported."""

    def __init__(self) -> None:
        """
        Raises:
            UsageError: LANGGRAPH_AES_KEY can be no key.
        """
        self._key = environment_key()
        self._names: set[Name] = set()
        self._encrypted = 0
        self._unreadable = 0
        self._why = ""

    def add(self, type_: str | None, blob: bytes | None) -> None:
        """Looks into one value."""
        if is_encrypted(type_) and self._key is None:
            self._encrypted += 1
            return
        try:
            self._names |= names(type_, blob, self._key)
        except ThreadError as error:
            self._unreadable += 1
            self._why = self._why or str(error)

    def facts(self) -> tuple[Fact, ...]:
        """Of what was found: a warning for each name that LangGraph does not know to be harmless,
        and for values that could not be looked into."""
        strange = unsafe(self._names)
        known = len(self._names) - len(strange)
        facts = [Fact(name="imports", value=f"{known} names that LangGraph knows to be harmless")]
        facts += [
            Fact(name="imports", value=_shown(name), level="warn") for name in strange[:_MOST]
        ]
        if len(strange) > _MOST:
            more = f"{len(strange) - _MOST} more names"
            facts.append(Fact(name="imports", value=more, level="warn"))
        if self._encrypted:
            value = (
                f"{self._encrypted} values are encrypted, and were not looked into; set "
                "LANGGRAPH_AES_KEY to their key"
            )
            facts.append(Fact(name="imports", value=value, level="warn"))
        if self._unreadable:
            value = f"{self._unreadable} values cannot be read: {self._why}"
            facts.append(Fact(name="imports", value=value, level="warn"))
        return tuple(facts)


def _shown(name: Name) -> str:
    if name == UNTOLD:
        return "a constructor that LangGraph does not write: what it imports cannot be told"
    module, attribute = (repr(part)[1:-1] for part in name)
    return f"{module}.{attribute} is imported when the data is loaded"
