"""What is told of a checkpointer: in reports, and by `lgx doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lgx import Fact
from lgx_plugins.checkpointers.named import shown
from lgx_plugins.checkpointers.saver.access import Access

__all__ = ["PATHS", "facts_of", "note_of_serializer", "versions_of"]

PATHS = (
    "the interface of a checkpointer does not show the paths of tasks (task_path) nor the numbers "
    "of their writes: the order of the writes is kept, the paths are not, and numbers are counted "
    "anew"
)
"""What every run from a checkpointer is told once."""

_PACKAGE = "langgraph-checkpoint"
_OWN = (
    "langgraph.checkpoint.serde.jsonplus.JsonPlusSerializer",
    "langgraph.checkpoint.serde.encrypted.EncryptedSerializer",
)


def versions_of(access: Access) -> Mapping[str, str]:
    try:
        found = version(_PACKAGE)
    except PackageNotFoundError:  # it is there, and nobody says which it is
        found = "unknown"
    return {"saver": access.name, _PACKAGE: found}


def facts_of(access: Access, serde: Any) -> tuple[Fact, ...]:
    way = "async" if access.asynchronous else "sync"
    facts = [
        Fact(name="checkpointer", value=f"{access.name}, used by its {way} methods"),
        Fact(name="package", value=f"{_PACKAGE} {versions_of(access)[_PACKAGE]}"),
        Fact(name="serializer", value=shown(serde)),
    ]
    foreign = note_of_serializer(serde)
    if foreign is not None:
        facts.append(Fact(name="serializer", value=foreign, level="warn"))
    return tuple(facts)


def note_of_serializer(serde: Any) -> str | None:
    """What is to be known of one that is not LangGraph's."""
    name = shown(serde)
    if name in _OWN:
        return None
    return (
        f"the checkpointer's serializer is {name}, and not LangGraph's own: a copy in another "
        "place can be read only by a checkpointer that has the same one"
    )
