"""What `lgx doctor` tells of names in the data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ormsgpack
import pytest

from lgx.testing import make_context

_SUFFIX = "is imported when the data is loaded"
_ONCE = (
    "is imported when the metadata is loaded by a saver from before "
    "langgraph-checkpoint-postgres 2.0.23 or langgraph-checkpoint-sqlite 3.0"
)


def _call(module: str, name: str) -> bytes:
    payload = ormsgpack.packb((module, name, "touch /lgx-was-here"))
    return b"\xc7" + bytes((len(payload), 0)) + payload


async def _imports(store: Any) -> list[tuple[str, str]]:
    context = make_context()
    async with store.source() as source:
        facts = (await source.probe(context)).facts
    assert context.budget.used == 0
    return [(fact.value, fact.level) for fact in facts if fact.name == "imports"]


async def test_every_name_is_told_wherever_it_stands(filled: Any) -> None:
    """In values, writes and metadata; those outside LangGraph's own list are warnings, and nothing
    is imported for them."""
    filled.sql(
        "INSERT INTO checkpoint_blobs VALUES ('chat', '', 'x', '1', 'msgpack', $1)",
        b"\x91" + _call("os", "system"),
    )
    filled.sql(
        "INSERT INTO checkpoint_writes VALUES "
        "('chat', '', 'c', 't', 0, 'x', 'msgpack', $1, ''), "
        "('chat', '', 'c', 't', 1, 'x', 'msgpack', $2, ''), "
        "('chat', '', 'c', 't', 2, 'x', 'msgpack+aes', 'x', ''), "
        "('chat', '', 'c', 't', 3, 'x', 'json', $3, '')",
        _call("antigravity", "fly"),
        b"\x92" + _call("this", "s"),
        b'{"lc": 2, "type": "constructor", "id": ["turtle", "Pen"]}',
    )
    filled.sql(
        """UPDATE checkpoints SET metadata = metadata || '{"writes": {"a": [{"lc": 2,
            "type": "constructor", "id": ["subprocess", "Popen"], "kwargs": {"args": "id"}}]}}'
            WHERE thread_id = 'chat'"""
    )

    imports = await _imports(filled)

    said, _, harmless = imports[0][0].partition(": ")
    assert said == f"{len(harmless.split(', '))} names that LangGraph knows to be harmless"
    assert {"builtins.set", "langgraph.types.Send", "uuid.UUID"} <= {*harmless.split(", ")}
    assert int(imports[0][0].split()[0]) > 10
    module = "tests.plugins.checkpointers.zoo"
    assert imports[1:-2] == [
        (f"antigravity.fly {_SUFFIX}", "warn"),
        (f"os.system {_SUFFIX}", "warn"),
        *((f"{module}.{name} {_SUFFIX}", "warn") for name in ("Colour", "Order", "Point")),
        (f"this.s {_SUFFIX}", "warn"),
        (f"turtle.Pen {_SUFFIX}", "warn"),
        (f"subprocess.Popen {_ONCE}", "warn"),
    ]
    assert imports[-2][0].startswith("1 values are encrypted")
    assert imports[-1][0].startswith("1 values cannot be read: a msgpack value is damaged")
    assert not {"antigravity", "this", "turtle"} & {*sys.modules}


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE checkpoint_blobs DROP COLUMN version",
        "ALTER TABLE checkpoint_writes DROP COLUMN task_path",
        "ALTER TABLE checkpoints DROP COLUMN checkpoint_id",
        "ALTER TABLE checkpoints ALTER metadata DROP DEFAULT, ALTER metadata TYPE json",
    ],
)
async def test_tables_of_every_age_are_looked_into(
    new_store: Callable[[], Any], change: str
) -> None:
    """Shallow ones, those without paths, and those whose JSON is as it was spelled."""
    store = new_store()
    with store.saver():
        pass
    store.sql(change)
    metadata = '{"writes": {"\\u006cc": 2, "type": "constructor", "id": ["os", "system"]}}'
    store.sql(
        "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint, metadata) "
        "SELECT 't', '', '{}', $1"
        if "checkpoint_id" in change
        else "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint, metadata) "
        "SELECT 't', '1', '{}', $1",
        metadata,
    )

    assert [value for value, level in await _imports(store) if level == "warn"] == [
        f"os.system {_ONCE}"
    ]


async def test_a_large_table_is_looked_into_a_page_at_a_time(new_store: Callable[[], Any]) -> None:
    """Whatever its size; names are told once."""
    store = new_store()
    with store.saver():
        pass
    store.sql(
        "INSERT INTO checkpoint_blobs SELECT 't' || n, '', 'a', '1', 'msgpack', "
        "$1 || decode(repeat('00', 100000), 'hex') FROM generate_series(1, 300) AS n",
        b"\x92" + _call("os", "system") + b"\xc6" + (100_000).to_bytes(4, "big"),
    )

    assert [value for value, level in await _imports(store) if level == "warn"] == [
        f"os.system {_SUFFIX}"
    ]
