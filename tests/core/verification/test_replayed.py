"""Threads that a server rebuilt: new ids and times, the same history."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lgx import Cron, Record, Run, raw
from lgx.codec import encode_line
from lgx.testing import sample_extras
from lgx.verification.report import Compared

LABEL = {
    "version": "v",
    "fingerprint": "f",
    "source": "elsewhere",
    "fidelity": "replayed",
    "head": "d0002",
}
STATE = {"n": 1, "messages": [{"type": "human", "content": "hi"}]}


def rebuilt(records: list[Record], *, ids: str = "d", **label: Any) -> list[Record]:
    """The thread as a server would give it that was made to rebuild it."""
    head, *states = records
    assert isinstance(head.metadata, Raw)  # type: ignore[attr-defined]
    metadata = msgspec.json.decode(head.metadata)  # type: ignore[attr-defined]
    metadata.pop("assistant_id", None)
    copy = msgspec.structs.replace(
        head,
        metadata=raw({**metadata, "lgx": {**LABEL, **label}}),
        created_at="2026-11-20T00:00:00+00:00",
        updated_at="2026-11-20T00:00:00+00:00",
        config=raw({}),
    )
    made = []
    for number, state in enumerate(s for s in states if getattr(s, "checkpoint_ns", None) == ""):
        known = msgspec.json.decode(state.metadata)  # type: ignore[attr-defined]
        source = "update" if known["source"] == "loop" else known["source"]
        made.append(
            msgspec.structs.replace(
                state,
                checkpoint_id=f"{ids}{number:04}",
                parent_checkpoint_id=f"{ids}{number - 1:04}" if number else None,
                created_at="2026-11-20T00:00:00+00:00",
                tasks=raw([{"id": "other"}]),
                metadata=raw({"source": source, "step": known["step"], "thread_id": "t"}),
            )
        )
    return [copy, *made]


async def test_ids_times_and_what_servers_reserve_do_not_count(pair: Any, make: Any) -> None:
    """Nor subgraphs and runs, which no server takes; what did not count is told."""
    records = [
        make.thread("t", metadata=raw({"graph_id": "a", "owner": "zoe", "assistant_id": "x"})),
        *make.history("t")[1:],
        make.state("t", 7, checkpoint_ns="child:1"),
        Run(thread_id="t", run_id="r1"),
    ]
    pair.put(records, rebuilt(records))
    pair.put(make.history("u"))

    found = await pair.verify()

    assert (found.equal, found.differences, found.replayed) == (True, [], {"replayed": 1})
    assert found.threads == Compared(equal=2)
    assert found.checkpoints == Compared(equal=6)
    assert [f"{item.what}: {item.why}" for item in found.left_out] == [
        (
            "ids, times, tasks, interrupts, runs, config and time to live of 1 rebuilt thread, and "
            "metadata of their checkpoints but step and source: servers give their own"
        ),
        "checkpoints of subgraphs (1): servers take none of other namespaces",
        "run records (1): servers take none from others",
        "the thread's metadata.assistant_id (1): servers and lgx keep it for themselves",
    ]


async def test_keys_that_servers_and_lgx_keep_for_themselves_are_told(pair: Any, make: Any) -> None:
    """Where they are not the same on both sides: by each key, with the number of threads; what
    lgx itself keeps in a copy is none of the thread's."""
    keys = ("thread_id", "run_id", "cron_id", "counters_since_delta_snapshot")
    for number, own in enumerate("tuv"):
        metadata: dict[str, Any] = {"graph_id": "a", **dict.fromkeys(keys[: number + 1], own)}
        thread = make.thread(own, metadata=raw({**metadata, "lgx": "mine"} if number else metadata))
        copy = rebuilt([thread])
        for key in keys[1:]:
            copy = without(copy, key)
        pair.put([thread], copy)

    found = await pair.verify()

    assert (found.equal, found.replayed) == (True, {"replayed": 3})
    assert told(found)[1:] == [
        "the thread's metadata.cron_id (1)",
        "the thread's metadata.lgx (2)",
        "the thread's metadata.run_id (2)",
    ]


def without(records: list[Record], key: str) -> list[Record]:
    """The thread without one key of its metadata."""
    head: Any = records[0]
    metadata = msgspec.json.decode(head.metadata)
    metadata.pop(key, None)
    return [msgspec.structs.replace(head, metadata=raw(metadata)), *records[1:]]


CHANGES = [
    (
        1,
        {"values": raw({**STATE, "n": 7})},
        "checkpoint 1 (c0000) of namespace '': values.n differs",
    ),
    (2, {"next": raw(["other"])}, "checkpoint 2 (c0001) of namespace '': next differs"),
    (
        2,
        {"metadata": raw({"source": "fork", "step": 5})},
        "checkpoint 2 (c0001) of namespace '': metadata.source, metadata.step differ",
    ),
    (0, {"status": "interrupted"}, "the thread's status differs"),
]


@pytest.mark.parametrize(("number", "fields", "words"), CHANGES)
async def test_what_is_not_the_same_is_found(
    pair: Any, make: Any, number: int, fields: dict[str, Any], words: str
) -> None:
    """In the order of the history, by the source's ids; how far it was rebuilt is told too."""
    records = [*make.history("t")[:3], make.state("t", 2, next=raw([]))]
    other = rebuilt(records, fidelity="values")
    other[number] = msgspec.structs.replace(other[number], **fields)
    pair.put(records, other)

    (found,) = (await pair.verify()).differences

    assert (found.first, found.fidelity) == (words, "values")


async def test_what_each_checkpoint_was_made_of_counts(pair: Any, make: Any) -> None:
    """A branch that has become a line is another history."""
    records = [*make.history("t"), make.state("t", 3, parent_checkpoint_id="c0000")]
    line = rebuilt(records)
    pair.put(records, line)
    branch = msgspec.structs.replace(line[-1], parent_checkpoint_id="d0000")
    pair.put(under("u", records), under("u", [*line[:-1], branch]))

    for sides in (("here", "there"), ("there", "here")):
        found = await pair.verify(*sides)

        assert [(d.thread_id, d.fields) for d in found.differences] == [
            ("t", ("parent_checkpoint_id",))
        ]


async def test_one_with_metadata_of_any_kind_is_compared(pair: Any, make: Any) -> None:
    """Runs put their own keys into that of checkpoints."""
    odd = {"source": "loop", "step": 2, "created_by": 5}
    records = [*make.history("t"), make.state("t", 3, metadata=raw(odd))]
    pair.put(records, rebuilt(records))
    wrong = rebuilt(under("u", records))
    wrong[-1] = msgspec.structs.replace(wrong[-1], metadata=raw({**odd, "step": 9}))
    pair.put(under("u", records), wrong)

    found = await pair.verify()

    assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("metadata.step",))]


@pytest.mark.parametrize(
    ("before", "after"), [("idle", "error"), ("idle", "busy"), ("interrupted", "idle")]
)
async def test_a_status_that_servers_do_give_counts(
    pair: Any, make: Any, before: str, after: str
) -> None:
    """One that ran, or runs, where it was brought to, is not as it was."""
    records = make.history("t")
    records[0] = msgspec.structs.replace(records[0], status=before)
    copy = rebuilt(records)
    copy[0] = msgspec.structs.replace(copy[0], status=after)
    pair.put(records, copy)

    assert [d.fields for d in (await pair.verify()).differences] == [("status",)]


async def test_the_order_of_what_comes_next_does_not_count(pair: Any, make: Any) -> None:
    """Its nodes run at once."""
    records = [make.thread("t"), make.state("t", 0, next=raw(["a", "b", "b"]))]
    copy = rebuilt(records)
    copy[1] = msgspec.structs.replace(copy[1], next=raw(["b", "a", "b"]))
    pair.put(records, copy)
    less = rebuilt(under("u", records))
    less[1] = msgspec.structs.replace(less[1], next=raw(["b", "a"]))
    pair.put(under("u", records), less)

    assert [(d.thread_id, d.fields) for d in (await pair.verify()).differences] == [
        ("u", ("next",))
    ]


async def test_a_graph_is_another_only_where_the_label_says_so(pair: Any, make: Any) -> None:
    """Nor may it be gone."""
    for thread_id, there in (
        ("other", {"graph_id": "x", "owner": "zoe"}),
        ("gone", {"owner": "zoe"}),
    ):
        records = make.history(thread_id)
        copy = rebuilt(records)
        copy[0] = msgspec.structs.replace(copy[0], metadata=raw({**there, "lgx": LABEL}))
        pair.put(records, copy)

    assert [(d.thread_id, d.fields) for d in (await pair.verify()).differences] == [
        ("gone", ("metadata.graph_id",)),
        ("other", ("metadata.graph_id",)),
    ]


async def test_what_a_thread_shows_as_its_values_must_not_be_gone(pair: Any, make: Any) -> None:
    """Where it is as its newest state."""
    records = make.history("t")
    values = records[-1].values
    records[0] = msgspec.structs.replace(records[0], values=values)
    copy = rebuilt(records)
    copy[0] = msgspec.structs.replace(copy[0], values=raw({}))
    pair.put(records, copy)

    (found,) = (await pair.verify()).differences

    assert found.first == "the thread's values.messages, values.n differ"


async def test_a_channel_of_any_name_counts(pair: Any, make: Any) -> None:
    """Nothing under a name is not the same as no such name, whatever it is called."""
    records = [make.thread("t"), make.state("t", 0, values=raw({"values": None}))]
    copy = rebuilt(records)
    copy[1] = msgspec.structs.replace(copy[1], values=raw({}))
    pair.put(records, copy)

    assert [d.fields for d in (await pair.verify()).differences] == [("values.values",)]


async def test_long_histories_are_compared_with_little_in_memory(
    pair: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parents that lie far back are looked up; what is to be told by later checkpoints waits
    while there is room."""
    monkeypatch.setattr("lgx.verification.history._KEPT", 3)
    monkeypatch.setattr("lgx.verification.replayed._DOUBTS", 2)
    branch = make.state("t", 9, parent_checkpoint_id="c0001")
    records = [*make.history("t", 9), branch]
    copy = rebuilt(records)
    copy[10] = msgspec.structs.replace(copy[10], parent_checkpoint_id="d0001")
    pair.put(records, copy)
    updates = [
        make.state("u", n, next=raw([]), metadata=raw({"source": "update", "step": n}))
        for n in range(9)
    ]
    wrong = rebuilt([make.thread("u"), *updates])
    wrong[3:] = [msgspec.structs.replace(one, next=raw(["x"])) for one in wrong[3:]]
    pair.put([make.thread("u"), *updates], wrong)

    found = await pair.verify()

    assert [(d.thread_id, d.first, d.checkpoints) for d in found.differences] == [
        ("u", "checkpoint 3 (c0002) of namespace '': next differs", 7)
    ]


async def test_checkpoints_too_few_and_too_many_are_found(pair: Any, make: Any) -> None:
    """The first that has no counterpart is named, where all before it are equal."""
    short = make.history("short", 3)
    pair.put(short, rebuilt(short)[:-1])
    long = make.history("long", 3)
    pair.put(long, [*rebuilt(long), make.state("long", 3, checkpoint_id="e")])

    found = await pair.verify()

    assert [(d.thread_id, d.first) for d in found.differences] == [
        ("long", "checkpoint 4 (e) of namespace '' is missing in the source"),
        ("short", "checkpoint 3 (c0002) of namespace '' is missing in the sink"),
    ]


async def test_two_copies_of_one_rebuilt_thread_are_compared_exactly(pair: Any, make: Any) -> None:
    """As after an export from the server on which it was rebuilt: then its ids do count."""
    records = rebuilt(make.history("t"))
    changed = list(records)
    changed[1] = msgspec.structs.replace(records[1], created_at="2026-11-21T00:00:00+00:00")
    pair.put(records, changed)

    found = await pair.verify()

    assert [d.first for d in found.differences] == [
        "checkpoint 1 (d0000) of namespace '': created_at differs"
    ]
    assert (found.differences[0].fidelity, found.replayed) == (None, {})


async def test_a_thread_with_a_label_and_one_without_are_compared_exactly_where_ids_are_the_same(
    pair: Any, make: Any
) -> None:
    """A server that was a target once, and a copy of what it has: neither was made of the other
    by a server. The label itself is lgx's own, and does not count."""
    records = rebuilt(make.history("t"))
    head = records[0]
    bare = msgspec.json.decode(head.metadata)  # type: ignore[attr-defined]
    del bare["lgx"]
    pair.put(records, [msgspec.structs.replace(head, metadata=raw(bare)), *records[1:]])
    assert ((found := await pair.verify()).equal, found.replayed) == (True, {})

    other = [
        msgspec.structs.replace(head, metadata=msgspec.UNSET, created_at="1999-01-01T00:00:00Z"),
        msgspec.structs.replace(records[1], tasks=raw([])),
        *records[2:],
    ]
    pair.put(records, other)
    found = await pair.verify()
    assert [(d.first, d.fidelity) for d in found.differences] == [
        ("checkpoint 1 (d0000) of namespace '': tasks differs", None)
    ]


MADE = "6c677800-7468-5265-a164-732d69647321"
OWN = "00000000-0000-4000-8000-000000000001"
FREE = "00000000-0000-4000-8000-000000000002"


async def identity(pair: Any) -> str:
    """Of the source, as a label names it."""
    side: str = (await pair.verify("here", None)).source.identity
    return side


def under(thread_id: str, records: list[Record]) -> list[Record]:
    """The thread with another id."""
    return [msgspec.structs.replace(record, thread_id=thread_id) for record in records]


class TestOtherIds:
    async def test_a_thread_is_found_under_the_id_that_was_made_of_its_own(
        self, pair: Any, make: Any
    ) -> None:
        """Servers take UUIDs alone; the label says what it was. In both directions."""
        records = make.history("user/7")
        pair.source.put(records)
        pair.sink.put(under(MADE, rebuilt(records, thread_id="user/7")))

        for source, sink, own in (("here", "there", "user/7"), ("there", "here", MADE)):
            found = await pair.verify(source, sink)
            chosen = await pair.verify(source, sink, thread_ids=[own])
            for one in (found, chosen):
                assert (one.equal, one.threads) == (True, Compared(equal=1))
                assert (one.source.threads, one.sink.threads) == (1, 1)
        assert (await pair.verify()).source.digest == (
            await pair.verify("here", None)
        ).source.digest

    @pytest.mark.parametrize(("own", "kept"), [("", ""), ("a\0b", "a\ufffdb")])
    async def test_whatever_that_id_is(self, pair: Any, make: Any, own: str, kept: str) -> None:
        """Servers keep no NUL: their labels have another character in its place."""
        records = make.history(own)
        pair.source.put(records)
        pair.sink.put(under(MADE, rebuilt(records, thread_id=kept)))

        for source, sink, chosen in (("here", "there", own), ("there", "here", MADE)):
            for options in ({}, {"thread_ids": [chosen]}):
                found = await pair.verify(source, sink, **options)
                assert (found.equal, found.threads) == (True, Compared(equal=1))

    async def test_one_whose_id_a_server_spells_otherwise_is_found(
        self, pair: Any, make: Any
    ) -> None:
        """Servers write UUIDs in small letters."""
        own = "0000000A-0000-4000-8000-000000000001"
        records = make.history(own)
        pair.source.put(records)
        pair.sink.put(under(own.lower(), rebuilt(records, thread_id=own)))

        for options in ({}, {"thread_ids": [own]}, {"sample": 1}):
            found = await pair.verify(**options)
            assert (found.equal, found.threads) == (True, Compared(equal=1))

    async def test_two_copies_of_it_are_compared_by_the_ids_that_they_have(
        self, pair: Any, make: Any
    ) -> None:
        """Whatever the label says: as of a server and an export of it."""
        pair.put(under(MADE, rebuilt(make.history("user/7"), thread_id="user/7")))

        assert (await pair.verify()).threads == Compared(equal=1)

    async def test_a_label_of_the_source_does_not_hide_the_thread(
        self, pair: Any, make: Any
    ) -> None:
        """It was brought there under another id, and from there to here under its own."""
        records = rebuilt(make.history("t"), thread_id="user/7", fidelity="values")
        pair.put(records, rebuilt(records, ids="e"))

        found = await pair.verify()

        assert (found.threads, found.replayed) == (Compared(equal=1), {"replayed": 1})

    async def test_of_two_that_were_made_of_one_id_one_is_its_copy(
        self, pair: Any, make: Any
    ) -> None:
        """As after two runs with --merge: the other one is another source's."""
        records = make.history("user/7")
        other = [*records[:-1], make.state("user/7", 2, values=raw({"n": "another"}))]
        pair.source.put(records)
        for own, source, states in (
            (MADE, "elsewhere", other),
            (MADE.replace("21", "22"), await identity(pair), records),
        ):
            copy = rebuilt(states, thread_id="user/7", source=source)
            pair.sink.put(under(own, copy))

        found = await pair.verify()
        assert found.threads == Compared(equal=1)
        assert "threads that the target has of its own (1)" in [o.what for o in found.left_out]
        back = await pair.verify("there", "here")
        assert back.threads == Compared(equal=1, missing=1)


class TestMergedTargets:
    """Where --merge kept the copy of a thread apart from one of another source with its id."""

    @pytest.fixture(params=["copy of another source", "of its own"])
    async def merged(self, pair: Any, make: Any, request: pytest.FixtureRequest) -> Any:
        """Two threads of the source, both copied; the id of one stood for another already."""
        records = make.history(OWN)
        other = [*records[:-1], make.state(OWN, 2, values=raw({"n": "another"}))]
        source = await identity(pair)
        pair.put(under(FREE, records), rebuilt(under(FREE, records), source=source))
        pair.put(records, rebuilt(other) if "copy" in request.param else other)
        pair.sink.put(under(MADE, rebuilt(records, thread_id=OWN, source=source)))
        return pair

    async def test_the_copy_is_compared_and_not_what_has_its_id(self, merged: Any) -> None:
        """In both directions; the other one is the target's own, as any that stands there."""
        found = await merged.verify()
        back = await merged.verify("there", "here")

        assert (found.threads, found.exit_code) == (Compared(equal=2), 0)
        assert "threads that the target has of its own (1)" in told(found)
        assert back.threads == Compared(equal=2, missing=1)
        assert [d.thread_id for d in back.differences] == [OWN]

    async def test_so_it_is_where_threads_are_chosen(self, merged: Any) -> None:
        """Though nothing tells before the target was asked that the copy has another id."""
        reads = merged.there()
        found = [
            await merged.verify(sample=2, seed="a"),
            await merged.verify(thread_ids=[OWN, FREE]),
            await merged.verify(metadata={"owner": "zoe"}),
        ]

        assert [(one.threads, one.exit_code) for one in found] == [(Compared(equal=2), 0)] * 3
        assert sorted(reads) == sorted([OWN, FREE, MADE] * 3)

    async def test_an_older_copy_beside_the_present_one_does_not_count(
        self, merged: Any, make: Any
    ) -> None:
        """The one that bears the thread's own id is the one that runs keep up."""
        records = make.history(OWN)
        merged.sink.put(rebuilt(records, source=await identity(merged)))
        wrong = [*records[:-1], make.state(OWN, 2, values=raw({"n": "old"}))]
        old = rebuilt(wrong, thread_id=OWN, source=await identity(merged))
        merged.sink.put(under(MADE, old))

        found = await merged.verify()

        assert found.threads == Compared(equal=2, additional=1)
        assert [d.thread_id for d in found.differences] == [MADE]


async def test_what_a_target_has_of_its_own_is_told_and_is_no_difference(
    pair: Any, make: Any
) -> None:
    """Threads are moved to where others are; what came from this source and is gone there
    differs all the same."""
    records = make.history("t")
    source = await identity(pair)
    pair.put(records, rebuilt(records, source=source))
    pair.sink.put(make.history("began here"))

    assert (await pair.verify()).threads == Compared(equal=1)

    pair.sink.put(under("gone", rebuilt(make.history("gone"), source=source)))

    assert (await pair.verify()).threads == Compared(equal=1, additional=1)


@pytest.mark.parametrize("ends", [{}, {"fidelity": "", "unfinished": True, "attempt": "0" * 32}])
async def test_a_servers_own_copy_of_a_copy_is_the_targets_own(
    pair: Any, make: Any, ends: dict[str, Any]
) -> None:
    """It has the label of the thread that it was copied from, which names that one."""
    records = make.history("t")
    label = {"source": await identity(pair), "here": "t"}
    pair.put(records, rebuilt(records, **label))
    pair.sink.put(under("theirs", rebuilt(make.history("theirs"), **label, **ends)))

    found = await pair.verify()

    assert found.threads == Compared(equal=1)
    assert "threads that the target has of its own (1)" in [o.what for o in found.left_out]


async def test_an_unfinished_one_differs(pair: Any, make: Any) -> None:
    """Whatever it holds by then."""
    records = make.history("t")
    pair.put(records, rebuilt(records, fidelity="", unfinished=True, attempt="0" * 32))

    (found,) = (await pair.verify()).differences

    assert found.first == "is labelled unfinished in the sink: rebuilding it was cut short"


ALIKE = (
    {"lgx": {"fidelity": "high"}},
    {"lgx": {"fidelity": "values"}},
    {"lgx": {"unfinished": "work"}},
    {"lgx": {"unfinished": True, "source": "desk"}},
    {"lgx": {"unfinished": True, "source": "desk", "attempt": "the third"}},
)


async def test_somebody_elses_key_is_no_label(pair: Any, make: Any) -> None:
    """Metadata may hold anything under any key."""
    for metadata in ({"lgx": 1}, {"lgx": {"fidelity": 5}}, {"lgx": {"version": "1"}}, *ALIKE):
        pair.put([make.thread("t", metadata=raw(metadata)), *make.history("t")[1:]])
        pair.sink.put([make.thread("t", metadata=raw({})), *make.history("t")[1:]])

        (found,) = (await pair.verify()).differences

        assert "metadata.lgx" in found.first


class TestWhatNoServerCanBeGiven:
    @pytest.mark.parametrize("status", ["error", "busy"])
    async def test_a_status_that_servers_work_out(self, pair: Any, make: Any, status: str) -> None:
        """It is counted, and no difference."""
        records = make.history("t")
        records[0] = msgspec.structs.replace(records[0], status=status)
        copy = rebuilt(records)
        copy[0] = msgspec.structs.replace(copy[0], status="idle")
        pair.put(records, copy)

        found = await pair.verify()

        assert found.equal
        assert "statuses (1)" in told(found)

    async def test_what_servers_show_beside_the_newest_state(self, pair: Any, make: Any) -> None:
        """The source may render it otherwise, with what no checkpoint keeps; what shows neither
        that nor its own newest state is another. Without a history nothing else is there."""
        newest = {"n": 1, "messages": [{"type": "human", "content": "hi"}]}
        for thread_id, count, here, there in (
            ("none", 0, newest, {**newest, "n": 2}),
            ("other", 2, newest, {**newest, "n": 2}),
            ("rendered", 2, {**newest, "n": "1", "untracked": 1}, newest),
            ("both", 2, {**newest, "n": "1"}, {**newest, "n": "one"}),
        ):
            records = make.history(thread_id, count)
            records[0] = msgspec.structs.replace(records[0], values=raw(here))
            copy = rebuilt(records)
            copy[0] = msgspec.structs.replace(copy[0], values=raw(there))
            pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("none", "the thread's values.n differs"),
            ("other", "the thread's values.n differs"),
        ]
        assert "what servers show as values (2)" in told(found)

    async def test_idle_with_something_to_come_is_interrupted(self, pair: Any, make: Any) -> None:
        """Where nothing is to come the two are not the same."""
        for thread_id, following in (("open", ["model"]), ("ended", [])):
            records = [make.thread(thread_id), make.state(thread_id, 0, next=raw(following))]
            copy = rebuilt(records)
            copy[0] = msgspec.structs.replace(copy[0], status="interrupted")
            pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("ended", "the thread's status differs")
        ]

    async def test_a_question_before_which_nothing_comes_next(self, pair: Any, make: Any) -> None:
        """As at a join, of which no history tells: what has rebuilt it calls it idle."""
        for thread_id, following in (("ended", []), ("open", ["model"])):
            head = make.thread(thread_id, status="interrupted")
            records = [head, make.state(thread_id, 0, next=raw(following))]
            copy = rebuilt(records)
            copy[0] = msgspec.structs.replace(copy[0], status="idle")
            pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("open", "the thread's status differs")
        ]

    async def test_what_is_shown_after_a_branch(self, pair: Any, make: Any) -> None:
        """Servers go on to show what the branch was made of: its values, and whether it waits."""
        end = make.state("t", 2, next=raw([]))
        branch = make.state("t", 3, next=raw([]), parent_checkpoint_id="c0001")
        records = [make.thread("t", values=branch.values), *make.history("t", 2)[1:], end, branch]
        copy = rebuilt(records)
        copy[-1] = msgspec.structs.replace(copy[-1], parent_checkpoint_id="d0001")
        older = records[2].values
        copy[0] = msgspec.structs.replace(copy[0], status="interrupted", values=older)
        pair.put(records, copy)
        lines = [under("u", side) for side in (records, copy)]
        for line, own in zip(lines, ("c0002", "d0002"), strict=True):
            line[-1] = msgspec.structs.replace(line[-1], parent_checkpoint_id=own)
        pair.put(*lines)

        found = await pair.verify()

        assert [(d.thread_id, d.first) for d in found.differences] == [
            ("u", "the thread's status, values.n differ")
        ]

    async def test_the_next_of_a_step_that_waits_for_others(self, pair: Any, make: Any) -> None:
        """The source says that nothing follows, and then something does. It may do so after
        others; where nothing does, the two are not the same. In both directions."""
        records = make.history("t")
        records[2] = msgspec.structs.replace(records[2], next=raw([]))
        copy = rebuilt(records)
        copy[2] = msgspec.structs.replace(copy[2], next=raw(["join"]))
        pair.put(records, copy)
        records = under("u", [*records[:3], make.state("u", 2, parent_checkpoint_id="c0000")])
        copy = rebuilt(records)
        copy[2] = msgspec.structs.replace(copy[2], next=raw(["join"]))
        copy[3] = msgspec.structs.replace(copy[3], parent_checkpoint_id="d0000")
        pair.put(records, copy)

        for sides in (("here", "there"), ("there", "here")):
            found = await pair.verify(*sides)

            assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("next",))]
            assert found.checkpoints == Compared(equal=5, different=1)
            assert "next of steps that wait for several others (1)" in told(found)

    async def test_what_an_input_drops(self, pair: Any, make: Any) -> None:
        """On a server it is there until the next step; what was not due before it is not."""
        head = make.thread("t")
        due = make.state("t", 0, next=raw(["wait"]), values=raw({"n": 0, "once": 1}))
        given = raw({"source": "input", "step": 0})
        entered = make.state("t", 1, next=raw(["go"]), values=raw({"n": 0}), metadata=given)
        records = [head, due, entered]
        for thread_id, name in (("t", "wait"), ("u", "other")):
            copy = rebuilt(under(thread_id, records))
            copy[2] = msgspec.structs.replace(
                copy[2], next=raw(["go", name]), values=raw({"n": 0, "once": 1})
            )
            pair.put(under(thread_id, records), copy)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("next",))]
        assert "what an input dropped (2)" in told(found)

    async def test_what_an_input_empties(self, pair: Any, make: Any) -> None:
        """It may say so: with null, or with a list in which nothing is."""
        held = {"n": 1, "list": [1], "text": "t", "map": {"k": 1}}
        due = make.state("t", 0, next=raw(["wait"]), values=raw(held))
        given = raw({"source": "input", "step": 0})
        emptied = raw({"n": None, "list": [], "text": "", "map": {}})
        entered = make.state("t", 1, next=raw(["go"]), values=emptied, metadata=given)
        records = [make.thread("t"), due, entered]
        for thread_id, there in (("t", held), ("u", {**held, "list": [2]})):
            copy = rebuilt(under(thread_id, records))
            copy[2] = msgspec.structs.replace(copy[2], values=raw(there))
            pair.put(under(thread_id, records), copy)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("values.list",))]
        assert "what an input dropped (2)" in told(found)

    async def test_what_an_input_changes(self, pair: Any, make: Any) -> None:
        """A channel that has another value than before, and not none, was not dropped."""
        due = make.state("t", 0, next=raw(["wait"]), values=raw({"n": 0}))
        given = raw({"source": "input", "step": 0})
        entered = make.state("t", 1, next=raw(["go"]), values=raw({"n": 1}), metadata=given)
        records = [make.thread("t"), due, entered]
        copy = rebuilt(records)
        copy[2] = msgspec.structs.replace(copy[2], values=raw({"n": 0}))
        pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [("t", ("values.n",))]

    async def test_the_steps_of_a_history_that_begins_in_the_middle(
        self, pair: Any, make: Any
    ) -> None:
        """Servers count from the beginning; one that is wrong by itself differs all the same."""
        for thread_id, last in (("t", 1), ("u", 7)):
            records = [make.thread(thread_id), *(make.state(thread_id, n) for n in (3, 4, 5))]
            copy = rebuilt(records)
            for number, step in enumerate((-1, 0, last)):
                metadata = raw({"source": "update", "step": step})
                copy[number + 1] = msgspec.structs.replace(copy[number + 1], metadata=metadata)
            pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("metadata.step",))]
        assert "step numbers (5)" in told(found)

    @pytest.mark.parametrize(("number", "step"), [(1, 3), (3, 9), (4, 3), (5, 1), (6, 7), (8, 9)])
    async def test_the_steps_of_a_history_that_leaves_numbers_out(
        self, pair: Any, make: Any, number: int, step: int
    ) -> None:
        """Runs may keep no checkpoint but their last. What is made of what such a run left is
        off by as much, and a branch of what came before it is not; a copy is by as much as what
        it was made beside. One that is wrong by itself differs all the same."""
        steps = (  # of the source, of the target, and what each was made of
            *((6, 0, None), (7, 1, 0), (14, 2, 1), (15, 3, 2)),
            *((8, 2, 1), (9, 3, 4), (8, 2, 1), (16, 4, 3), (8, 2, 0)),
        )
        records: list[Record] = [make.thread("t")]
        copy: list[Record] = []
        for at, (here, there, base) in enumerate(steps):
            source = "fork" if at in (6, 8) else "loop"
            own = None if base is None else f"c{base:04}"
            metadata = raw({"source": source, "step": here})
            records.append(make.state("t", at, parent_checkpoint_id=own, metadata=metadata))
            other = None if base is None else f"d{base:04}"
            metadata = raw({"source": source, "step": there})
            state = msgspec.structs.replace(
                rebuilt(records)[-1], parent_checkpoint_id=other, metadata=metadata
            )
            copy.append(state)
        wrong = list(under("u", copy))
        source = "fork" if number in (6, 8) else "update"
        wrong[number] = msgspec.structs.replace(
            wrong[number], metadata=raw({"source": source, "step": step})
        )
        pair.put(records, [rebuilt(records)[0], *copy])
        pair.put(under("u", records), [rebuilt(under("u", records))[0], *wrong])

        found = await pair.verify()

        (different,) = found.differences
        assert (different.thread_id, different.fields) == ("u", ("metadata.step",))
        assert f"checkpoint {number + 1} " in different.first
        assert (await pair.verify("there", "here")).threads == Compared(equal=1, different=1)

    async def test_what_a_first_input_came_upon(self, pair: Any, make: Any) -> None:
        """A history that begins with one needs a state before it."""
        given = raw({"source": "input", "step": 5})
        records = [make.thread("t"), make.state("t", 5, metadata=given), make.state("t", 6)]
        made = [make.state("t", 4, metadata=raw({"source": "loop", "step": 0})), *records[1:]]
        copy = rebuilt([records[0], *made])
        for number, source in enumerate(("update", "input", "update")):
            metadata = raw({"source": source, "step": number})
            copy[number + 1] = msgspec.structs.replace(copy[number + 1], metadata=metadata)
        pair.put(records, copy)
        astray = msgspec.structs.replace(copy[3], parent_checkpoint_id="d0000")
        pair.put(under("u", records), under("u", [*copy[:3], astray]))

        for sides in (("here", "there"), ("there", "here")):
            found = await pair.verify(*sides)

            assert [(d.thread_id, d.fields) for d in found.differences] == [
                ("u", ("parent_checkpoint_id",))
            ]
            assert "checkpoints made for a first input to come upon (2)" in told(found)

    async def test_what_older_files_do_not_tell(self, pair: Any, make: Any) -> None:
        """Neither what came next, nor how a checkpoint was made."""
        told_later = make.state("t", 1, metadata=raw({"source": "loop", "step": 0}))
        silent = make.state("t", 0, metadata=raw({"step": -1}))
        silent = msgspec.structs.replace(silent, next=msgspec.UNSET)
        records = [make.thread("t"), silent, told_later]
        copy = rebuilt([records[0], make.state("t", 0), told_later])
        pair.put(records, copy)

        assert (await pair.verify()).threads == Compared(equal=1)

    async def test_where_a_copy_stands(self, pair: Any, make: Any) -> None:
        """Servers put it beside what it was copied from, and not below."""
        fork = make.state("t", 2, metadata=raw({"source": "fork", "step": 1}))
        records = [*make.history("t", 2), fork]
        copy = rebuilt(records)
        copy[-1] = msgspec.structs.replace(copy[-1], parent_checkpoint_id="d0000")
        pair.put(records, copy)

        found = await pair.verify()

        assert (found.equal, "parents of copies (1)" in told(found)) == (True, True)

    async def test_usage_moves_within_a_message(self, pair: Any, make: Any) -> None:
        """To another place, unchanged; another number is a difference, and so is what stood in
        that place before."""
        usage = {"input_tokens": 5, "cost": 0.1}
        message = {"type": "ai", "content": "hi", "additional_kwargs": {}, "invalid_tool_calls": []}
        before = {**message, "usage_metadata": usage}
        after = {**message, "usage_metadata": None, "additional_kwargs": {"usage_metadata": usage}}
        wrong = {**after, "additional_kwargs": {"usage_metadata": {**usage, "cost": 0.2}}}
        both = {**before, "additional_kwargs": {"usage_metadata": {"other": 1}}}
        for thread_id, here, there in (
            ("lost", both, after),
            ("moved", before, after),
            ("other", before, wrong),
        ):
            values = raw({"messages": [here]})
            records = [make.thread(thread_id), make.state(thread_id, 0, values=values)]
            copy = rebuilt(records)
            copy[1] = msgspec.structs.replace(copy[1], values=raw({"messages": [there]}))
            pair.put(records, copy)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [
            ("lost", ("values.messages",)),
            ("other", ("values.messages",)),
        ]
        assert "places of usage_metadata and the like (1)" in told(found)

    async def test_metadata_that_a_server_adds_and_graphs_that_were_mapped(
        self, pair: Any, make: Any
    ) -> None:
        """A key that is gone is a difference all the same."""
        records = make.history("t")
        copy = rebuilt(records)
        label = {"lgx": LABEL}
        added: dict[str, Any] = {"graph_id": "new", "owner": "zoe", "tenant": "1"}
        added |= {"lgx": {**LABEL, "graph_id": "agent"}}
        copy[0] = msgspec.structs.replace(copy[0], metadata=raw(added))
        pair.put(records, copy)
        less = rebuilt(make.history("u"))
        less[0] = msgspec.structs.replace(less[0], metadata=raw({"graph_id": "agent", **label}))
        pair.put(make.history("u"), less)

        found = await pair.verify()

        assert [(d.thread_id, d.fields) for d in found.differences] == [("u", ("metadata.owner",))]
        assert told(found)[1:] == [
            "graph ids (1)",
            "metadata.tenant that only rebuilt threads have (1)",
        ]

    async def test_fields_that_nobody_knows_are_told(self, pair: Any, make: Any) -> None:
        """No server takes them; those that servers give by themselves are none of them."""
        own = {"state_updated_at": raw("then"), "error": raw(None)}
        head, *states = make.history("t")
        records: list[Any] = [
            msgspec.structs.replace(head, extra={**own, "tenant": raw(1)}),
            *(msgspec.structs.replace(s, extra={"checkpoint": raw(1)}) for s in states[:1]),
            *(msgspec.structs.replace(s, extra={"mood": raw("good")}) for s in states[1:]),
        ]
        copy = rebuilt([msgspec.structs.replace(r, extra=msgspec.UNSET) for r in records])
        pair.put(records, copy)

        found = await pair.verify()

        assert found.equal
        assert told(found)[1:] == [
            "checkpoints' fields that lgx does not know (2)",
            "threads' fields that lgx does not know (1)",
        ]

    async def test_extras_get_new_times_and_crons_new_ids(self, pair: Any, make: Any) -> None:
        """Assistants that a server makes by itself are no difference either."""
        records = make.history("t")
        pair.put(records, rebuilt(records))
        for kind in ("assistant", "cron", "store_item"):
            pair.source.extras[kind] = list(map(encode_line, sample_extras(kind)))
        first, *others = sample_extras("store_item")
        later = msgspec.structs.replace(first, updated_at="2026-11-20T00:00:00+00:00")
        pair.sink.extras["store_item"] = list(map(encode_line, [later, *others]))
        made = msgspec.structs.replace(
            sample_extras("assistant")[0],
            assistant_id="made",
            extra={"metadata": raw({"created_by": "system"})},
        )
        pair.sink.extras["assistant"] = list(map(encode_line, [*sample_extras("assistant"), made]))
        pair.sink.extras["cron"] = list(map(encode_line, map(made_again, sample_extras("cron"))))

        for sides in (("here", "there"), ("there", "here")):
            found = await pair.verify(*sides)

            assert (found.differences, found.equal) == ([], True)
            assert told(found)[1:] == [
                "ids, payloads and states of crons (2)",
                "system assistants (1)",
            ]

    async def test_vectors_and_expiry_that_no_server_shows_are_told(
        self, pair: Any, make: Any
    ) -> None:
        records = make.history("t")
        pair.put(records, rebuilt(records))
        first: Any = sample_extras("store_item")[0]
        held = {"expires_at": raw("2026-11-20"), "ttl_minutes": raw(5), "vectors": raw({})}
        pair.source.extras["store_item"] = [encode_line(msgspec.structs.replace(first, extra=held))]
        pair.sink.extras["store_item"] = [encode_line(first)]

        found = await pair.verify()

        assert (found.differences, found.equal) == ([], True)
        assert told(found)[1:] == ["vectors and expiry of store items (3)"]

    async def test_extras_that_a_target_has_of_its_own_are_told_and_are_no_difference(
        self, pair: Any, make: Any
    ) -> None:
        """As with threads: things are moved to where others are. What is of the source, and is
        not as it is there, differs all the same; and so does what the source alone has."""
        records = make.history("t")
        pair.put(records, rebuilt(records, source=await identity(pair)))
        kinds = ("assistant", "cron", "store_item")
        for kind in kinds:
            lines = list(map(encode_line, sample_extras(kind)))
            pair.source.extras[kind] = pair.sink.extras[kind] = lines
        assistant: Any = sample_extras("assistant")[0]
        of_its_own = {
            "assistant": msgspec.structs.replace(assistant, assistant_id="0 theirs"),
            "cron": Cron(cron_id="0 theirs", extra={"schedule": raw("* * * * *")}),
            "store_item": msgspec.structs.replace(sample_extras("store_item")[0], key="theirs"),
        }
        for kind, record in of_its_own.items():
            pair.sink.extras[kind] = [*pair.sink.extras[kind], encode_line(record)]

        found, back = await pair.verify(), await pair.verify("there", "here")

        assert (found.differences, found.equal, found.records.additional) == ([], True, 0)
        assert [what for what in told(found) if "of its own" in what] == [
            "assistants that the target has of its own (1)",
            "crons that the target has of its own (1)",
            "store items that the target has of its own (1)",
        ]
        assert (back.records.missing, len(back.differences)) == (3, 3)

        more = msgspec.structs.replace(assistant, version=99)
        pair.sink.extras["assistant"] = [*pair.sink.extras["assistant"], encode_line(more)]
        gone = made_again(Cron(cron_id="gone", extra={"schedule": raw("* * * * *")}))
        pair.sink.extras["cron"] = [*pair.sink.extras["cron"], encode_line(gone)]
        found = await pair.verify()
        assert [d.first.partition(" is ")[2] for d in found.differences] == [
            *["missing in the source"] * 2
        ]

    async def test_crons_that_are_missing_or_run_at_other_times_are_found(
        self, pair: Any, make: Any
    ) -> None:
        """Nor does somebody else's stand for any."""
        records = make.history("t")
        pair.put(records, rebuilt(records))
        crons = [
            Cron(cron_id=own, extra={"schedule": raw("0 9 * * *"), "payload": raw({})})
            for own in ("changed", "gone", "kept")
        ]
        others = [made_again(cron) for cron in (crons[0], crons[2])]
        extra = {**others[0].extra, "schedule": raw("0 8 * * *")}
        others[0] = msgspec.structs.replace(others[0], extra=extra)
        strange = Cron(cron_id="strange", extra={"metadata": raw({"lgx": {"cron_id": "gone"}})})
        pair.source.extras["cron"] = list(map(encode_line, crons))
        pair.sink.extras["cron"] = list(map(encode_line, [*others, strange]))

        found = await pair.verify()

        assert [(d.what, d.first) for d in found.differences] == [
            ("different", "cron changed: schedule differs"),
            ("missing", "cron gone is missing in the sink"),
            ("additional", "cron strange is missing in the source"),
        ]

    async def test_assistants_of_a_graph_that_was_mapped(self, pair: Any, make: Any) -> None:
        """The threads' labels tell; of another graph they are others."""
        records = make.history("t")
        copy = rebuilt(records)
        metadata = {"graph_id": "new", "owner": "zoe", "lgx": {**LABEL, "graph_id": "agent"}}
        copy[0] = msgspec.structs.replace(copy[0], metadata=raw(metadata))
        pair.put(records, copy)
        sample = sample_extras("assistant")[0]

        def named(own: str, graph: str) -> bytes:
            named = msgspec.structs.replace(sample, assistant_id=own, graph_id=graph)
            return encode_line(named)

        pair.source.extras["assistant"] = [named("a", "agent"), named("b", "agent")]
        pair.sink.extras["assistant"] = [named("a", "new"), named("b", "other")]

        found = await pair.verify()

        assert [d.first for d in found.differences] == ["assistant b, version 1: graph_id differs"]


def made_again(cron: Any) -> Any:
    """The cron as a server would give it that was made to have it."""
    fields = dict(cron.extra or {})
    fields["metadata"] = raw({"lgx": {"cron_id": cron.cron_id, "source": "s", "made_from": "d"}})
    fields["payload"] = raw({"assistant_id": "other"})
    return msgspec.structs.replace(cron, cron_id=f"new-{cron.cron_id}", extra=fields)


def told(found: Any) -> list[str]:
    return [item.what for item in found.left_out]
