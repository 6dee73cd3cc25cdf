"""A file of lines as the API's objects again, without anything of lgx."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from .truth import Key


@dataclass
class Lines:
    """What an NDJSON file holds; nothing in it came twice."""

    threads: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, dict[Key, dict[str, Any]]] = field(default_factory=dict)
    assistants: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    in_force: dict[str, int] = field(default_factory=dict)
    crons: dict[str, dict[str, Any]] = field(default_factory=dict)
    items: dict[tuple[tuple[str, ...], str], dict[str, Any]] = field(default_factory=dict)


def read_lines(path: Path) -> Lines:
    """All of the file.

    Raises:
        AssertionError: a record came twice, or a checkpoint after one of its children.
    """
    found = Lines()
    parents: set[tuple[str, str, str | None]] = set()
    with path.open(encoding="utf-8") as file:
        for line in file:
            fields = json.loads(line)
            match fields.pop("kind"):
                case "header":
                    pass
                case "thread":
                    _add(found.threads, fields["thread_id"], fields)
                case "checkpoint":
                    states = found.states.setdefault(fields["thread_id"], {})
                    namespace, parent = fields["checkpoint_ns"], fields["parent_checkpoint_id"]
                    place = namespace, fields["checkpoint_id"]
                    parents.add((fields["thread_id"], namespace, parent))
                    assert (fields["thread_id"], *place) not in parents, (
                        f"{place} comes after its child"
                    )
                    _add(states, place, _as_state(fields))
                case "assistant":
                    if fields.pop("latest"):
                        _add(found.in_force, fields["assistant_id"], fields["version"])
                    version = fields["assistant_id"], fields["version"]
                    _add(found.assistants, version, fields)
                case "cron":
                    _add(found.crons, fields["cron_id"], fields)
                case "store_item":
                    item = tuple(fields["namespace"]), fields["key"]
                    _add(found.items, item, fields)
                case other:
                    raise AssertionError(f"an export has no records of kind {other!r}")
    return found


def by_value(data: Any) -> Any:
    """The same with numbers as what their digits say: 1.5e300 is also written without power."""
    match data:
        case dict():
            return {key: by_value(item) for key, item in data.items()}
        case list():
            return [by_value(item) for item in data]
        case float():
            return Decimal(repr(data))
    return data


def _add(where: dict[Any, Any], key: object, value: object) -> None:
    assert key not in where, f"{key} came twice"
    where[key] = value


def _as_state(line: dict[str, Any]) -> dict[str, Any]:
    """A line names the place of a checkpoint once; the API three times."""
    place = {"thread_id": line.pop("thread_id"), "checkpoint_ns": line.pop("checkpoint_ns")}
    parent = line["parent_checkpoint_id"]
    return {
        "checkpoint": place | {"checkpoint_id": line["checkpoint_id"]},
        "parent_checkpoint": place | {"checkpoint_id": parent} if parent else None,
        **line,
    }
