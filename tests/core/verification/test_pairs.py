"""The same data in several places: every two of them are equal, until one is changed."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

import lgx
from lgx import EXTRA_KINDS, Checkpoint, Record, Run, Thread, Use, encode_line, raw, use
from lgx.testing import PostgresServer, sample_extras, sample_threads

NAMES = ("json", "ndjson", "sqlite", "archive")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Use]:
    """All samples, written once and copied into each place."""
    folder = tmp_path_factory.mktemp("places")
    first = folder / "first.ndjson"
    lines = [encode_line(r) for records in sample_threads().values() for r in records]
    lines += [encode_line(record) for kind in EXTRA_KINDS for record in sample_extras(kind)]
    first.write_bytes(b"\n".join(lines) + b"\n")
    found = {name: use(name, path=folder / name) for name in NAMES}
    for place in found.values():
        assert lgx.run(use("ndjson", path=first), place).exit_code == 0
    return found


@pytest.mark.parametrize(("source", "sink"), [*permutations(NAMES, 2)])
def test_every_two_places_are_equal_after_a_run(
    places: dict[str, Use], source: str, sink: str
) -> None:
    """Ids of any sort, forks, namespaces, extras, runs, unknown kinds and fields."""
    found = lgx.verify(places[source], places[sink])

    assert (found.differences, found.left_out, found.aborted) == ([], [], None)
    assert found.threads.equal == len(sample_threads())
    assert found.records.equal == 12
    assert found.source is not None
    assert found.sink is not None
    assert found.source.digest == found.sink.digest
    assert found.equal


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_a_sample_is_the_same_of_every_place(places: dict[str, Use], seed: str) -> None:
    """Whatever the ids, and whether they can be asked for or have to be read past."""
    pairs = [(name, "ndjson" if name == "archive" else "archive") for name in NAMES]
    found = [lgx.verify(places[a], places[b], sample=4, seed=seed) for a, b in pairs]

    assert [(one.equal, one.threads.equal) for one in found] == [(True, 4)] * len(NAMES)
    assert len({side.digest for one in found for side in (one.source, one.sink) if side}) == 1


def test_postgresql_is_equal_as_well(places: dict[str, Use], database: str) -> None:
    """In both layouts, though JSONB writes numbers and keys its own way."""
    for layout in ("plain", "dedup"):
        sink = use("postgres", dsn=lgx.Secret(database), layout=layout, table_prefix=f"{layout}_")
        assert lgx.run(places["archive"], sink).exit_code == 0
        found = lgx.verify(places["archive"], sink)
        assert (found.differences, found.equal) == ([], True)


def test_an_archive_alone_checks_itself(places: dict[str, Use], tmp_path: Path) -> None:
    """A flipped bit is found and named, by exit code 1."""
    copy = use("archive", path=tmp_path / "copy")
    lgx.run(places["archive"], copy)

    sound = lgx.verify(copy)
    part = next((tmp_path / "copy" / "parts").glob("*.ndjson.zst"))
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    damaged = lgx.verify(copy)

    assert (sound.exit_code, sound.checks[-1].name) == (0, "content")
    assert damaged.exit_code == 1
    (damage,) = (fact for fact in damaged.checks if fact.level == "error")
    assert f"part '{part.name}'" in damage.value
    assert lgx.verify(places["json"], copy).exit_code == 4


def test_a_file_of_the_older_tool_is_compared_over_what_it_holds(
    places: dict[str, Use], tmp_path: Path
) -> None:
    """Status, config, subgraphs and the like are left out, and that is told."""
    document = {
        "threads": [
            {
                "thread_id": "t",
                "metadata": {"graph_id": "agent"},
                "values": {"n": 1},
                "history": [
                    {
                        "values": {"n": 1},
                        "next": [],
                        "tasks": [],
                        "metadata": {"source": "loop", "step": 1},
                        "created_at": "2026-01-01T12:00:00+00:00",
                        "checkpoint": {
                            "checkpoint_id": "c1",
                            "checkpoint_ns": "",
                            "thread_id": "t",
                        },
                        "parent_checkpoint": None,
                        "checkpoint_id": "c1",
                        "parent_checkpoint_id": None,
                    }
                ],
                "created_at": "2026-01-01T12:00:00+00:00",
                "updated_at": "2026-01-02T12:00:00+00:00",
            }
        ],
        "export_date": "2026-01-03",
        "source": "http://localhost",
        "total_threads": 1,
    }
    older = tmp_path / "threads_backup.json.gz"
    older.write_bytes(gzip.compress(json.dumps(document).encode()))
    whole = tmp_path / "whole.ndjson"
    records: list[Record] = [
        Thread(
            thread_id="t",
            created_at="2026-01-01T12:00:00+00:00",
            updated_at="2026-01-02T12:00:00+00:00",
            status="idle",
            metadata=raw({"graph_id": "agent"}),
            values=raw({"n": 1}),
            config=raw({}),
        ),
        Checkpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="c1",
            created_at="2026-01-01T12:00:00+00:00",
            values=raw({"n": 1.0}),
            next=raw([]),
            tasks=raw([]),
            metadata=raw({"step": 1, "source": "loop"}),
        ),
        Checkpoint(thread_id="t", checkpoint_ns="child:1", checkpoint_id="c2"),
        Run(thread_id="t", run_id="r"),
    ]
    whole.write_bytes(b"\n".join(map(encode_line, records)) + b"\n")

    found = lgx.verify(use("ndjson", path=whole), use("json", path=older))

    assert (found.differences, found.equal) == ([], True)
    assert [item.what for item in found.left_out] == [
        "1 run record of the source, ndjson",
        "1 subgraph checkpoint of the source, ndjson",
        "config, status of thread records of the source, ndjson",
    ]


def test_tables_of_another_program_are_compared_over_their_columns(
    places: dict[str, Use], tmp_path: Path
) -> None:
    """What they have no column for is left out."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            """
            CREATE TABLE langgraph_threads (thread_id TEXT, metadata TEXT, "values" TEXT);
            CREATE TABLE langgraph_checkpoints (thread_id TEXT, checkpoint_id TEXT, "values" TEXT);
            INSERT INTO langgraph_threads VALUES ('t', '{}', '{"n":1}');
            INSERT INTO langgraph_checkpoints VALUES ('t', 'c1', '{"n":1}');
            """
        )
    whole = tmp_path / "whole.ndjson"
    records: list[Record] = [
        Thread(thread_id="t", status="idle", metadata=raw({}), values=raw({"n": 1})),
        Checkpoint(
            thread_id="t", checkpoint_ns="", checkpoint_id="c1", values=raw({"n": 1}), next=raw([])
        ),
    ]
    whole.write_bytes(b"\n".join(map(encode_line, records)) + b"\n")

    found = lgx.verify(use("ndjson", path=whole), use("sqlite", path=path))

    assert (found.differences, found.equal) == ([], True)
    assert [item.what for item in found.left_out] == [
        "next of checkpoint records of the source, ndjson",
        "status of thread records of the source, ndjson",
    ]


def test_tables_of_the_older_tool_are_as_its_file(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """In PostgreSQL, over the columns that it made."""
    state = {
        "values": {"n": 1.50, "messages": []},
        "next": ["a"],
        "tasks": [],
        "metadata": {"source": "loop", "step": 1},
        "created_at": "2026-01-01T12:00:00+00:00",
        "checkpoint": {"checkpoint_id": "c1", "checkpoint_ns": "", "thread_id": "t"},
        "parent_checkpoint": None,
        "checkpoint_id": "c1",
        "parent_checkpoint_id": None,
    }
    times = {"created_at": "2026-01-01T12:00:00+00:00", "updated_at": "2026-01-02T12:00:00+00:00"}
    own = {"metadata": {"graph_id": "agent"}, "values": {"n": 1.5, "messages": []}}
    document = {"threads": [{"thread_id": "t", **own, "history": [state], **times}]}
    (tmp_path / "backup.json").write_text(json.dumps(document))
    postgres_server.execute(
        database,
        """
        CREATE TABLE langgraph_threads (
            thread_id TEXT PRIMARY KEY, metadata JSONB, "values" JSONB,
            created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ
        );
        CREATE TABLE langgraph_checkpoints (
            id SERIAL PRIMARY KEY, thread_id TEXT, checkpoint_id TEXT, parent_checkpoint_id TEXT,
            checkpoint_data JSONB, "values" JSONB, metadata JSONB, created_at TIMESTAMPTZ
        );
        INSERT INTO langgraph_threads VALUES (
            't', '{"graph_id": "agent"}', '{"n": 1.5, "messages": []}',
            '2026-01-01 12:00Z', '2026-01-02 12:00Z'
        );
        INSERT INTO langgraph_checkpoints VALUES (
            1, 't', 'c1', NULL, '{"checkpoint_id": "c1", "checkpoint_ns": "", "thread_id": "t"}',
            '{"n": 1.5, "messages": []}', '{"step": 1, "source": "loop"}', '2026-01-01 12:00Z'
        );
        """,
    )

    found = lgx.verify(
        use("json", path=tmp_path / "backup.json"),
        use("postgres", dsn=lgx.Secret(database)),
    )

    assert (found.differences, found.equal) == ([], True)
    assert [item.what for item in found.left_out] == [
        "next, tasks of checkpoint records of the source, json"
    ]


def test_options_that_only_writing_has_are_left_out(places: dict[str, Use], tmp_path: Path) -> None:
    """So that the sink of a run can be named as it was; what is no option of either is refused."""
    sink = use("archive", path=tmp_path / "copy", level=3, part_size=1 << 20)
    lgx.run(places["json"], sink)

    assert lgx.verify(places["json"], sink).equal
    with pytest.raises(lgx.UsageError, match="--sink archive has no option 'levels'"):
        lgx.verify(places["json"], use("archive", path=tmp_path / "copy", levels=3))
    with pytest.raises(lgx.UsageError, match="there is no archive at"):
        lgx.verify(places["json"], use("archive", path=tmp_path / "nothing"))
    with pytest.raises(lgx.UsageError, match="what was written to - is gone"):
        lgx.verify(places["json"], use("ndjson", path="-"))


# -- mutations ---------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def parts_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values within a value, its own first."""
    found = [path]
    if isinstance(value, dict):
        for key, item in value.items():
            found += parts_of(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += parts_of(item, (*path, number))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def rewritten(text: bytes) -> bytes:
    """Another spelling of the same value: keys turned round, blanks, numbers with an exponent."""

    def spell(value: Any) -> str:
        if isinstance(value, dict):
            items = [f"{json.dumps(k)} : {spell(v)}" for k, v in reversed(list(value.items()))]
            return "{ " + " , ".join(items) + " }"
        if isinstance(value, list):
            return "[ " + " , ".join(map(spell, value)) + " ]"
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value}0e-1" if value % 2 else f"{value}.0"
        return json.dumps(value)

    return spell(json.loads(text)).encode()


def records_of(draw: Any) -> list[Record]:
    """A thread of three checkpoints with values of any sort."""
    bulk: dict[str, Any] = {
        name: raw(draw(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=3)))
        for name in ("values", "metadata")
    }
    states: list[Record] = [
        Checkpoint(
            thread_id="t",
            checkpoint_ns=("", "", "child:1")[number],
            checkpoint_id=f"c{number}",
            parent_checkpoint_id="c0" if number == 1 else None,
            values=raw(draw(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=3))),
            tasks=raw(draw(JSON_VALUES)),
            next=raw(["a"]),
            metadata=raw({"step": number}),
        )
        for number in range(3)
    ]
    return [Thread(thread_id="t", status="idle", **bulk), *states]


def bulk_of(records: list[Record]) -> list[tuple[int, str]]:
    return [
        (number, name)
        for number, record in enumerate(records)
        for name in record.__struct_fields__
        if isinstance(getattr(record, name), Raw)
    ]


def write(path: Path, records: list[Record]) -> Use:
    path.write_bytes(b"\n".join(map(encode_line, records)) + b"\n")
    return use("ndjson", path=path)


MANY = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def check_mutation(data: st.DataObject, tmp_path: Path) -> None:
    records = records_of(data.draw)
    number, name = data.draw(st.sampled_from(bulk_of(records)))
    value = json.loads(bytes(getattr(records[number], name)))
    path = data.draw(st.sampled_from(parts_of(value)))
    new = data.draw(JSON_VALUES)
    text = raw(replaced(value, path, new))
    copy = list(records)
    copy[number] = msgspec.structs.replace(records[number], **{name: text})

    found = lgx.verify(write(tmp_path / "a", records), write(tmp_path / "b", copy))

    same = lgx.canonical(text) == lgx.canonical(getattr(records[number], name))
    assert found.equal is same
    if not same:
        assert [d.fields[0].split(".")[0] for d in found.differences] == [name]


@MANY
@given(data=st.data())
def test_one_thing_changed_anywhere_is_found(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever the data, and wherever in it; and the field is named."""
    check_mutation(data, tmp_path)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@settings(MANY, max_examples=3000)
@given(data=st.data())
def test_thousands_of_changes_are_found(data: st.DataObject, tmp_path: Path) -> None:
    """The same for longer."""
    check_mutation(data, tmp_path)


@MANY
@given(data=st.data())
def test_another_spelling_is_no_change(data: st.DataObject, tmp_path: Path) -> None:
    """Of all of it: the order of keys, blanks, numbers, escapes."""
    records = records_of(data.draw)
    copy = [
        msgspec.structs.replace(
            record,
            **{
                name: Raw(rewritten(bytes(getattr(record, name))))
                for place, name in bulk_of(records)
                if place == number
            },
        )
        for number, record in enumerate(records)
    ]

    found = lgx.verify(write(tmp_path / "a", records), write(tmp_path / "b", copy))

    assert (found.differences, found.equal) == ([], True)
    assert found.source is not None
    assert found.sink is not None
    assert found.source.digest == found.sink.digest


def test_the_helpers_do_what_they_say() -> None:
    """A spelling that is none would prove nothing."""
    check: Callable[[bytes], bytes] = lgx.canonical
    text = b'{"a":[1,2,{"b":0.5}],"c":"x"}'
    assert rewritten(text) != text
    assert check(rewritten(text)) == check(text)
