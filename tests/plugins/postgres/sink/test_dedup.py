"""The layout that keeps each different value once: the same to every reader, and much smaller."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import Query, Record, Secret, ThreadRef, UsageError, raw
from lgx.testing import make_context
from lgx_plugins.postgres import PostgresSource
from lgx_plugins.postgres.config import PostgresSourceConfig

WORDS = ("thread", "state", "message", "tool", "result", "answer", "question", "model", "agent")


def _message(dice: random.Random, number: int) -> dict[str, Any]:
    return {
        "id": f"{dice.getrandbits(128):032x}",
        "type": ("human", "ai", "tool")[number % 3],
        "content": " ".join(dice.choice(WORDS) for _ in range(40)),
        "additional_kwargs": {},
        "response_metadata": {"finish_reason": "stop"},
    }


def history(shop: Any, thread_id: str, turns: int) -> list[Record]:
    """A conversation as LangGraph keeps it: every step repeats all messages so far."""
    dice = random.Random(thread_id)
    messages: list[dict[str, Any]] = []
    records = shop.thread(thread_id, 0)
    head, *rest = records
    steps = []
    for number in range(turns):
        messages.append(_message(dice, number))
        values = {"messages": messages, "topic": "weather", "step": number, "vector": [0.5] * 50}
        steps += [
            shop.checkpoint(thread_id, 2 * number, values=raw(values)),
            shop.checkpoint(thread_id, 2 * number + 1, values=raw({**values, "done": True})),
        ]
    return [head, *steps, *rest]


async def test_both_layouts_give_the_same_records(shop: Any, lines: Any) -> None:
    """Through the source, and through the queries that people wrote for the plain one."""
    records = history(shop, "t", 20)
    query = (
        "SELECT checkpoint_id, values -> 'messages' -> -1 ->> 'content', "
        "jsonb_array_length(values -> 'messages'), metadata ->> 'step' "
        "FROM {} WHERE thread_id = 't' AND checkpoint_ns = '' ORDER BY position"
    )
    await shop.write(records, layout="dedup", table_prefix="d_")
    await shop.write(records)
    assert await shop.read(table_prefix="d_") == await shop.read() == {"t": lines(records)}
    rows = shop.sql(query.format("d_checkpoints"))
    assert rows == shop.sql(query.format("langgraph_checkpoints"))
    assert len(rows) == 40


async def test_every_value_is_kept_once(shop: Any) -> None:
    """Each message one row, each list of messages one, whatever repeats them."""
    await shop.write(history(shop, "t", 20), layout="dedup")
    assert shop.sql(
        "SELECT count(*), count(elements), sum(cardinality(elements)) FROM langgraph_channel_values"
    ) == [(20 + 20 + 20 + 3, 20, 210)]


ODD = [
    None,
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b'[{"id":"a","text":"' + b"x" * 100 + b'"},{"id":"b"}]',
    b'{"":{"":[]},"a":null}',
    b'{"a":1,"a":2}',
    rb'{"nul\u0000":"\u0000","half":["\ud800 and a text that is long enough for an element"]}',
    rb'{"\ud800":1}',
    '{"\ufdd0":"\ufdd00000","l":["\ufdd0json:1 and a text that is long enough for one"]}'.encode(),
    b'{"power":1e99999,"other":[1e99999]}',
    b'{"l":[1e99999,"and a text that is long enough to be kept by element, and so long"]}',
    b'{"deep":' + b"[" * 3000 + b"]" * 3000 + b"}",
    b'{"long":' + b"7" * 140_000 + b"}",
]


async def test_odd_values_come_back(shop: Any, lines: Any) -> None:
    """No object, no value, keys that come twice, what JSONB refuses: beside plain ones."""
    records = [
        shop.thread("t", 0)[0],
        *(
            shop.checkpoint("t", number, **({} if text is None else {"values": Raw(text)}))
            for number, text in enumerate(ODD)
        ),
    ]
    records[1] = msgspec.structs.replace(records[1], values=msgspec.UNSET)
    await shop.write(records, shop.thread("n"), layout="dedup")
    assert await shop.read() == {"t": lines(records), "n": lines(shop.thread("n"))}


async def test_one_more_step_writes_what_is_new(shop: Any, lines: Any) -> None:
    """Its row, its message, and the list that holds it; nothing else is touched."""
    await shop.write(history(shop, "t", 30), layout="dedup")
    rows = shop.written("checkpoint_rows")
    values = dict(shop.sql("SELECT hash, xmin::text FROM langgraph_channel_values"))
    records = history(shop, "t", 31)
    await shop.write(records, version="2", layout="dedup")
    assert len(shop.written("checkpoint_rows").items() - rows.items()) == 2
    now = dict(shop.sql("SELECT hash, xmin::text FROM langgraph_channel_values"))
    assert len(now.items() - values.items()) == 3
    assert await shop.read() == {"t": lines(records)}


async def test_values_go_with_the_last_checkpoint_that_has_them(shop: Any, lines: Any) -> None:
    """A thread that was replaced keeps no value of its earlier copy; a removed one none."""
    await shop.write(history(shop, "t", 10), history(shop, "u", 4), layout="dedup")
    short = history(shop, "t", 3)
    await shop.write(short, version="2", layout="dedup")
    fresh = "SELECT count(*) FROM langgraph_channel_values AS v JOIN langgraph_threads AS t "
    fresh += "ON t.id = v.thread WHERE t.thread_id = 't'"
    assert shop.sql(fresh) == [(3 + 3 + 3 + 3,)]
    assert await shop.read() == {"t": lines(short), "u": lines(history(shop, "u", 4))}
    async with shop.sink(layout="dedup") as sink:
        await sink.forget(["t", "u"])
    assert shop.sql("SELECT count(*) FROM langgraph_channel_values") == [(0,)]


async def test_the_layout_of_a_target_stays(shop: Any) -> None:
    """It is what a run takes that asks for none. Another one is refused by name; tables that
    hold no checkpoint yet become what is asked for."""
    await shop.write(layout="plain")
    await shop.write(shop.thread("t"), layout="dedup")
    with pytest.raises(UsageError, match=r"hold checkpoints in the layout 'dedup'.*leave out"):
        await shop.write(shop.thread("u"), layout="plain")
    await shop.write(shop.thread("t"))
    assert shop.sql("SELECT count(*) > 0 FROM langgraph_channel_values") == [(True,)]
    await shop.write(shop.thread("t"), table_prefix="p_")
    with pytest.raises(UsageError, match="hold checkpoints in the layout 'plain'"):
        await shop.write(shop.thread("u"), layout="dedup", table_prefix="p_")
    assert set(await shop.read()) == set(await shop.read(table_prefix="p_")) == {"t"}


async def test_a_value_that_somebody_removed_is_missed(shop: Any) -> None:
    """It fails the query that needs it, and does not pass for null."""
    await shop.write(history(shop, "t", 3), layout="dedup")
    shop.sql("DELETE FROM langgraph_channel_values WHERE elements IS NULL AND value ? 'content'")
    with pytest.raises(Exception, match="invalid input syntax for type json"):
        shop.sql("SELECT values FROM langgraph_checkpoints")


async def test_an_edit_by_hand_is_a_new_version(shop: Any) -> None:
    """The source over this layout notices what changed, as it does in the plain one."""

    async def versions() -> list[str]:
        async with PostgresSource(PostgresSourceConfig(dsn=Secret(shop.dsn))) as source:
            return [
                ref.version
                async for ref in source.list(Query(), make_context())
                if isinstance(ref, ThreadRef)
            ]

    await shop.write(history(shop, "t", 3), layout="dedup")
    before = await versions()
    assert await versions() == before
    shop.sql("UPDATE langgraph_checkpoint_rows SET metadata = '{}' WHERE position = 1")
    assert await versions() != before


async def test_threads_that_repeat_little_are_told_apart(shop: Any) -> None:
    """Where the layout takes more than the values themselves, it is not praised."""
    await shop.write(history(shop, "t", 1), layout="dedup")
    (note,) = [note.message for note in shop.context.notes.values()]
    assert note.endswith("they repeat little, and would do better in the plain layout")


async def test_the_saving_is_measured_and_told(shop: Any) -> None:
    """A conversation of 100 turns takes a small part of what it takes in the plain layout; the
    report says what the values are and what they take."""
    await shop.write(history(shop, "t", 100), layout="dedup")
    (note,) = [note.message for note in shop.context.notes.values()]
    assert note.startswith("the values of 200 checkpoints are 4.2 MB of JSON and take 0.")
    assert note.endswith(" times less for the values alone")
    async with shop.sink(layout="dedup") as sink:
        facts = {fact.name: fact.value for fact in (await sink.probe(shop.context)).facts}
    assert facts["dedup"] == note
    await shop.write(history(shop, "t", 100), table_prefix="p_")
    size = "SELECT pg_total_relation_size('{}')"
    plain = shop.sql(size.format("p_checkpoints"))[0][0]
    kept = sum(
        shop.sql(size.format(f"langgraph_{name}"))[0][0]
        for name in ("checkpoint_rows", "channel_values")
    )
    assert kept * 2 < plain
