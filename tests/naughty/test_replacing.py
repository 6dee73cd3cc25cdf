"""A run that changes records, after one that did not: nothing of the first copy stays."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Raw

from lgx import (
    ANY_KIND,
    Checkpoint,
    Config,
    Record,
    RecordTransform,
    Registry,
    Run,
    StoreItem,
    Thread,
    Transform,
    UnknownRecord,
    Use,
    canonical,
    decode_line,
    encode_line,
    raw,
    run_async,
    use,
)

SECRET = "alice@example.com"


class Redact(RecordTransform[Config]):
    """Takes one text out of everything."""

    name = "redact"
    config_type = Config
    handles = ANY_KIND

    def apply(self, record: Record) -> Iterable[Record]:
        return (decode_line(encode_line(record).replace(SECRET.encode(), b"[out]")),)


class WithRedact(Registry):
    def transform(self, name: str) -> type[Transform[Any]]:
        return Redact if name == "redact" else super().transform(name)


def records(thread_id: str) -> list[Record]:
    said = raw({"messages": [{"type": "human", "content": f"I am {SECRET}"}]})
    return [
        Thread(thread_id=thread_id, metadata=raw({SECRET: SECRET}), values=said),
        *(
            Checkpoint(
                thread_id=thread_id,
                checkpoint_ns="",
                checkpoint_id=f"c{number}",
                values=said,
                metadata=raw({"n": number}),
                extra={"more": raw(SECRET)} if number else {"none": Raw(b"0")},
            )
            for number in range(4)
        ),
        Run(thread_id=thread_id, run_id="r", extra={"input": raw(SECRET)}),
        UnknownRecord(
            name="memo",
            thread_id=thread_id,
            body=raw({"kind": "memo", "thread_id": thread_id, "text": SECRET}),
        ),
        StoreItem(namespace=("users",), key=thread_id, value=raw(SECRET)),
    ]


async def test_what_was_copied_before_is_replaced(target: Use, tmp_path: Path) -> None:
    """The marks hold what shaped a copy. Each thread is written again, and the target then
    holds what one that saw only the second run holds; a third run changes nothing."""
    lines = [encode_line(record) for n in range(30) for record in records(f"t{n:02}")]
    (tmp_path / "in").write_bytes(
        b'{"kind":"header","format":"lgx-ndjson","version":1}\n' + b"\n".join(lines) + b"\n"
    )
    source, registry = use("ndjson", path=tmp_path / "in"), WithRedact()
    first = await run_async(source, target)
    assert (first.exit_code, first.threads.written) == (0, 30)
    for written in (30, 0):
        report = await run_async(source, target, transforms=["redact"], registry=registry)
        marked = target.name not in ("json", "ndjson")
        assert (report.exit_code, report.threads.written) == (0, written if marked else 30)
    reading = use(target.name, **{k: v for k, v in target.options.items() if k != "layout"})
    back = await run_async(reading, use("ndjson", path=tmp_path / "back"))
    assert back.exit_code == 0
    came = (tmp_path / "back").read_bytes().splitlines()[1:]
    assert [line for line in came if SECRET.encode() in line] == []
    assert sorted(map(canonical, came)) == sorted(
        canonical(line.replace(SECRET.encode(), b"[out]")) for line in lines
    )


async def test_no_table_holds_what_was_replaced(
    postgres_target: Any, postgres_server: Any, database: str, tmp_path: Path
) -> None:
    """Nor any other row of the schema, in either layout."""

    def holding(schema: str) -> list[str]:
        tables = postgres_server.execute(
            database, "SELECT tablename::text FROM pg_tables WHERE schemaname = $1", schema
        )
        condition = "WHERE strpos(t::text, $1) > 0"
        return sorted(
            table
            for (table,) in tables
            if postgres_server.execute(
                database, f"SELECT FROM {schema}.{table} AS t {condition}", SECRET
            )
        )

    (tmp_path / "in").write_bytes(b"\n".join(encode_line(record) for record in records("t")))
    source = use("ndjson", path=tmp_path / "in")
    for layout, values in (("plain", "checkpoints"), ("dedup", "channel_values")):
        target = postgres_target(layout=layout, schema=layout)
        await run_async(source, target)
        assert f"langgraph_{values}" in holding(layout)
        await run_async(source, target, transforms=["redact"], registry=WithRedact())
        assert holding(layout) == []
