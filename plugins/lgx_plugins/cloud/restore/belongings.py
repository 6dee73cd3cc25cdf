"""What belongs to a deployment, as bodies that make it again: helpers of assistants and crons."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct, UnsetType

from lgx import Loss, split_object

__all__ = ["Restored", "encoded", "extra_of", "member", "said", "system_id"]

_GRAPHS = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


class Restored(Struct, frozen=True):
    """What became of the records of one kind.

    Attributes:
        losses: what could not be restored, or was left as it is; holdable or not.
        records: how many are there now.
        unchanged: how many of them were there before, as they are.
    """

    losses: list[Loss]
    records: int
    unchanged: int


def system_id(graph_id: str) -> str:
    """The id of the assistant that each server makes by itself for a graph."""
    return str(uuid.uuid5(_GRAPHS, graph_id))


def extra_of(fields: dict[str, Raw] | UnsetType) -> Mapping[str, Raw]:
    """The fields of a record that lgx does not type."""
    return {} if isinstance(fields, UnsetType) else fields


def said(fields: Mapping[str, Raw], name: str) -> bool:
    """Whether it is there, and not null."""
    return name in fields and bytes(fields[name]) != b"null"


def member(fields: Mapping[str, Raw], name: str) -> Mapping[str, Raw]:
    """An object among the fields; empty where there is none."""
    return split_object(fields[name]) if said(fields, name) else {}


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value)
