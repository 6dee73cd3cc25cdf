"""A file of lines as the API's objects again, without anything of lgx."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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
    found = Lines()
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
                    parent = fields["parent_checkpoint_id"]
                    assert parent is None or (fields["checkpoint_ns"], parent) in states, (
                        "a parent comes before its children"
                    )
                    key = fields["checkpoint_ns"], fields["checkpoint_id"]
                    _add(states, key, _as_state(fields))
                case "assistant":
                    if fields.pop("latest"):
                        _add(found.in_force, fields["assistant_id"], fields["version"])
                    key = fields["assistant_id"], fields["version"]
                    _add(found.assistants, key, fields)
                case "cron":
                    _add(found.crons, fields["cron_id"], fields)
                case "store_item":
                    key = tuple(fields["namespace"]), fields["key"]
                    _add(found.items, key, fields)
                case other:
                    raise AssertionError(f"an export has no records of kind {other!r}")
    return found


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
