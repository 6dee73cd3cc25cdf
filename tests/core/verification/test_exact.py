"""Threads that were copied: every field counts, and the first difference is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from lgx import Record, Run, UnknownRecord, encode_line, raw
from lgx.testing import sample_extras, sample_threads
from lgx.testing.memory import MemorySource
from lgx.verification.report import Compared


def changed(number: int, **fields: Any) -> Callable[[list[Record]], list[Record]]:
    """The thread with other fields in one of its records."""

    def change(records: list[Record]) -> list[Record]:
        copy = list(records)
        copy[number] = msgspec.structs.replace(copy[number], **fields)
        return copy

    return change


STATE = {"n": 1, "messages": [{"type": "human", "content": "hi"}]}
CHANGES = [
    pytest.param(
        changed(2, values=raw({**STATE, "messages": []})),
        "checkpoint 2 (c0001) of namespace '': values.messages differs",
        id="a channel",
    ),
    pytest.param(
        changed(2, values=raw({"n": 1})),
        "checkpoint 2 (c0001) of namespace '': values.messages differs",
        id="no channel",
    ),
    pytest.param(
        changed(2, values=raw({**STATE, "other": None})),
        "checkpoint 2 (c0001) of namespace '': values.other differs",
        id="a channel more",
    ),
    pytest.param(
        changed(2, values=raw([STATE])),
        "checkpoint 2 (c0001) of namespace '': values, values.messages, values.n differ",
        id="no object",
    ),
    pytest.param(
        changed(1, next=Raw(b"[]"), tasks=raw([{"id": "1"}]), interrupts=raw([1]), created_at=None),
        "checkpoint 1 (c0000) of namespace '': created_at, interrupts, next and 1 more differ",
        id="several fields",
    ),
    pytest.param(
        changed(3, interrupts=UNSET),
        "checkpoint 3 (c0002) of namespace '': interrupts differs",
        id="no field",
    ),
    pytest.param(
        changed(3, extra={"of tomorrow": raw(1)}),
        "checkpoint 3 (c0002) of namespace '': of tomorrow differs",
        id="a field that lgx does not know",
    ),
    pytest.param(
        changed(3, parent_checkpoint_id="c0000"),
        "checkpoint 3 (c0002) of namespace '': parent_checkpoint_id differs",
        id="its parent",
    ),
    pytest.param(
        changed(3, checkpoint_id="c9"),
        "checkpoint 3 (c0002) of namespace '' is missing in the sink",
        id="its id",
    ),
    pytest.param(
        changed(1, checkpoint_ns="child:1"),
        "checkpoint 1 (c0000) of namespace '' is missing in the sink",
        id="its namespace",
    ),
    pytest.param(
        lambda records: records[:-1],
        "checkpoint 3 (c0002) of namespace '' is missing in the sink",
        id="a checkpoint less",
    ),
    pytest.param(
        lambda records: [*records, records[-1]],
        "checkpoint 4 (c0002) of namespace '' stands more than once in the sink",
        id="a checkpoint twice",
    ),
    pytest.param(changed(0, status="busy"), "the thread's status differs", id="the status"),
    pytest.param(
        changed(0, metadata=raw({"graph_id": "agent"})),
        "the thread's metadata.owner differs",
        id="a key of metadata",
    ),
    pytest.param(
        changed(0, values=raw({**STATE, "n": 1})),
        "the thread's values.n differs",
        id="the thread's values",
    ),
    pytest.param(
        lambda records: [
            *records,
            UnknownRecord(name="n", thread_id="t", body=Raw(b'{"kind":"n"}')),
        ],
        "a n record is missing in the source",
        id="a record of an unknown kind",
    ),
    pytest.param(
        lambda records: [*records, Run(thread_id="t", run_id="r1")],
        "run r1 is missing in the source",
        id="a run",
    ),
]


async def test_kinds_that_are_not_known_do_not_count_among_checkpoints(
    pair: Any, make: Any
) -> None:
    """Wherever their names come in the alphabet."""
    for number, name in enumerate(("artifact", "zebra")):
        own = f"t{number}"
        strange = UnknownRecord(
            name=name, thread_id=own, body=raw({"kind": name, "thread_id": own})
        )
        records = [*make.history(own), strange]
        changed = [*records[:2], make.state(own, 1, next=raw(["other"])), *records[3:]]
        pair.put(records, changed)

    assert [d.first for d in (await pair.verify()).differences] == [
        "checkpoint 2 (c0001) of namespace '': next differs"
    ] * 2


@pytest.mark.parametrize(("change", "words"), CHANGES)
async def test_one_change_is_found_and_named(
    pair: Any, make: Any, change: Callable[[list[Record]], list[Record]], words: str
) -> None:
    """Wherever it lies; values are never told."""
    records = make.history("t")
    pair.put(records, change(records))
    pair.put(make.history("u"))

    found = await pair.verify()

    assert [(d.thread_id, d.what, d.first) for d in found.differences] == [
        ("t", "different", words)
    ]
    assert (found.equal, found.exit_code) == (False, 1)
    assert (found.threads.equal, found.threads.different) == (1, 1)
    assert found.source.digest != found.sink.digest


async def test_the_first_of_several_is_named_and_all_are_counted(pair: Any, make: Any) -> None:
    """In the order of namespaces and ids; what differs in the thread itself comes after."""
    records = make.history("t", 5)
    other = changed(0, status="error")(changed(3, next=raw([]))(changed(5, next=raw([]))(records)))
    pair.put(records, other[:2] + other[3:])

    (found,) = (await pair.verify()).differences

    assert found.first == "checkpoint 2 (c0001) of namespace '' is missing in the sink"
    assert (found.namespace, found.checkpoint_id, found.checkpoints) == ("", "c0001", 3)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b'{"a":1,"b":[1,2]}', b'{ "b": [1, 2], "a": 1.0 }'),
        (b'{"a":1E+2}', b'{"a":100}'),
        (b'{"a":"\\u0041\\/"}', b'{"a":"A/"}'),
        (b'{"a":0,"a":2}', b'{"a":2}'),
        (b'{"n":18446744073709551616}', b'{"n":18446744073709551616.0}'),
        (b'{"t":"\\ud83c\\udf88"}', '{"t":"🎈"}'.encode()),
    ],
    ids=["order", "power", "escapes", "duplicates", "long", "surrogates"],
)
async def test_how_it_is_written_does_not_count(
    pair: Any, make: Any, left: bytes, right: bytes
) -> None:
    """The order of keys, white space, the spelling of numbers and strings."""
    for text, place in ((left, pair.source), (right, pair.sink)):
        head = make.thread("t", values=Raw(text), metadata=Raw(text))
        place.put([head, make.state("t", 0, values=Raw(text), tasks=Raw(b"[" + text + b"]"))])

    found = await pair.verify()

    assert (found.equal, found.differences) == (True, [])
    assert found.source.digest == found.sink.digest


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00.000000+00:00", True),
        ("2026-01-01T14:00:00.5+02:00", "2026-01-01T12:00:00.500000+00:00", True),
        ("2026-01-01T12:00:00.1234567Z", "2026-01-01T12:00:00.123456Z", False),
        ("2026-01-01T12:00:00.000001Z", "2026-01-01T12:00:00Z", False),
        ("0001-01-01T00:00:00+23:00", "0001-01-01T00:00:00Z", False),
        ("yesterday", "yesterday", True),
        ("yesterday", "Yesterday", False),
    ],
)
async def test_times_are_compared_by_the_moment(
    pair: Any, make: Any, left: str, right: str, same: bool
) -> None:
    """Those of threads and checkpoints, of which databases make columns; to the microsecond."""
    for text, place in ((left, pair.source), (right, pair.sink)):
        place.put([make.thread("t", updated_at=text), make.state("t", 0, created_at=text)])

    found = await pair.verify()

    assert found.equal is same
    if not same:
        assert found.differences[0].fields == ("created_at",)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (b'{"a":0.1}', b'{"a":0.1000000000000000055}'),
        (b'{"a":18446744073709551616}', b'{"a":18446744073709551617}'),
        (b'{"a":1}', b'{"a":"1"}'),
        (b'{"a":null}', b"{}"),
        (b'{"a":[1,2]}', b'{"a":[2,1]}'),
        ('{"a":"e\u0301"}'.encode(), '{"a":"é"}'.encode()),
    ],
    ids=["fine", "long", "sort", "null", "list", "composed"],
)
async def test_what_it_says_does(pair: Any, make: Any, left: bytes, right: bytes) -> None:
    """Exact decimal values, absent or null, the order of lists, code points."""
    for text, place in ((left, pair.source), (right, pair.sink)):
        place.put([make.thread("t"), make.state("t", 0, values=Raw(text))])

    (found,) = (await pair.verify()).differences

    assert "a" in found.fields[0]


async def test_samples_of_every_sort_are_equal_to_themselves(pair: Any) -> None:
    """Ids of any sort, nesting, surrogates, unknown kinds and fields."""
    for records in sample_threads().values():
        pair.put(records)
    for kind in ("assistant", "cron", "store_item"):
        for place in (pair.source, pair.sink):
            place.extras[kind] = [encode_line(record) for record in sample_extras(kind)]

    found = await pair.verify()

    assert (found.differences, found.left_out) == ([], [])
    assert found.threads == Compared(equal=len(sample_threads()))
    assert found.source.digest == found.sink.digest


def name_of(kind: str) -> str:
    """The id of the first sample."""
    return str(getattr(sample_extras(kind)[0], f"{kind}_id"))


class TestThreads:
    async def test_one_that_is_on_one_side_alone_is_told(self, pair: Any, make: Any) -> None:
        """Missing, or additional; its checkpoints are counted."""
        pair.put(make.history("b"))
        pair.source.put(make.history("a", 2))
        pair.sink.put(make.history("c", 4))

        found = await pair.verify()

        assert [(d.thread_id, d.what, d.first, d.checkpoints) for d in found.differences] == [
            ("a", "missing", "is missing in the sink", 2),
            ("c", "additional", "is missing in the source", 4),
        ]
        assert found.threads == Compared(equal=1, missing=1, additional=1)
        assert found.checkpoints == Compared(equal=3, missing=2, additional=4)

    async def test_they_are_merged_by_the_bytes_of_their_ids(self, pair: Any, make: Any) -> None:
        """UTF-8 orders others than UTF-16 or a locale does; sources list in their own order."""
        ids = ["", "Z", "a", "é", "\uffff", "🎈", "a/b", "A", "\x00"]
        for thread_id in ids:
            pair.source.put(make.history(thread_id, 1))
        for thread_id in reversed(ids):
            pair.sink.put(make.history(thread_id, 1))

        found = await pair.verify("streamed")

        assert (found.threads.equal, found.differences) == (len(ids), [])

    async def test_one_that_is_listed_twice_is_told(self, pair: Any, make: Any) -> None:
        """Which of the two is meant nobody can tell."""
        pair.put(make.history("t"))
        pair.there(list=twice, refs_per_read=1)

        (found,) = (await pair.verify()).differences

        assert (found.what, found.first) == ("doubled", "stands 2 times in the sink")

    async def test_without_a_record_of_its_own_it_differs(self, pair: Any, make: Any) -> None:
        """On one side; where both have none there is nothing to compare."""
        pair.put(make.history("t"))

        async def bare(self: Any, refs: Any, context: Any) -> Any:
            async for item in MemorySource.read(self, refs, context):
                if getattr(item, "kind", "") != "thread":
                    yield item

        pair.there(read=bare)

        (found,) = (await pair.verify()).differences

        assert found.first == "the thread's own record is missing in the sink"
        pair.here(read=bare)
        assert (await pair.verify()).equal


async def twice(self: Any, query: Any, context: Any) -> Any:
    """A listing that repeats itself."""
    for _ in range(2):
        async for ref in MemorySource.list(self, query, context):
            yield ref


class TestExtras:
    async def test_they_are_compared_by_what_identifies_them(self, pair: Any, make: Any) -> None:
        """Each that differs is listed, and belongs to no thread."""
        pair.put(make.history("t"))
        kinds = ("assistant", "cron", "store_item")
        pair.source.extras = {kind: list(map(encode_line, sample_extras(kind))) for kind in kinds}
        changes: dict[str, Callable[[Any], Record]] = {
            "assistant": lambda r: msgspec.structs.replace(r, graph_id="other"),
            "cron": lambda r: msgspec.structs.replace(r, cron_id="other"),
            "store_item": lambda r: msgspec.structs.replace(r, value=raw("other")),
        }
        for kind, change in changes.items():
            first, *rest = sample_extras(kind)
            pair.sink.extras[kind] = list(map(encode_line, [change(first), *rest]))

        found = await pair.verify()

        assert [(d.thread_id, d.first) for d in found.differences] == [
            (None, f"assistant {name_of('assistant')}, version 1: graph_id differs"),
            (None, f"cron {name_of('cron')} is missing in the sink"),
            (None, "cron other is missing in the source"),
            (None, 'store item \'k\' of ["a","b"]: value differs'),
        ]
        assert found.records == Compared(equal=6, different=2, missing=1, additional=1)
        assert (await pair.verify(extras=False)).equal
