"""What one side has no room for is left out, and told; what it could have held is missing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from lgx import (
    ChannelBlob,
    CheckpointWrite,
    Coverage,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    UsageError,
    encode_line,
    raw,
)
from lgx.verification.report import Compared

OLDER = Coverage(
    kinds=frozenset({"thread", "checkpoint"}),
    namespaces=False,
    fields={"thread": frozenset({"metadata", "values"})},
)


def told(found: Any) -> list[str]:
    return [f"{item.what}: {item.why}" for item in found.left_out]


async def test_kinds_namespaces_and_fields_of_the_weaker_side(pair: Any, make: Any) -> None:
    """A file of an older program beside a whole copy: equal over what it can hold."""
    whole = [*make.history("t"), make.state("t", 9, checkpoint_ns="child:1")]
    pair.source.put([*whole, Run(thread_id="t", run_id="r")])
    pair.source.extras["store_item"] = [encode_line(StoreItem(namespace=("a",), key="k"))]
    bare = make.thread("t", status=None, created_at=None, updated_at=None)
    pair.sink.put([bare, *whole[1:4]])
    pair.there(covers=OLDER)

    found = await pair.verify()

    assert (found.equal, found.differences) == (True, [])
    assert found.source.digest == found.sink.digest
    assert [item.what for item in found.left_out] == [
        "1 run record of the source, here",
        "1 store_item record of the source, here",
        "1 subgraph checkpoint of the source, here",
        "created_at, status, updated_at of thread records of the source, here",
    ]
    assert {item.why for item in found.left_out} == {"the sink, there, has no place for them"}


async def test_what_it_could_have_held_is_missing(pair: Any, make: Any) -> None:
    """A field that all records of a side lack is a difference, unless it has no room for it."""
    whole = make.history("t")
    pair.put(whole, [whole[0], *(msgspec.structs.replace(r, tasks=UNSET) for r in whole[1:])])

    assert (await pair.verify()).checkpoints.different == 3
    pair.there(covers=Coverage(fields={"checkpoint": frozenset({"values", "metadata"})}))
    assert (await pair.verify()).equal


async def test_kinds_that_a_plugin_does_not_read(pair: Any, make: Any) -> None:
    """As runs of a server, which come only on request."""
    pair.put([*make.history("t"), Run(thread_id="t", run_id="r")], make.history("t"))
    pair.there(offers=frozenset({"thread", "checkpoint"}))

    found = await pair.verify()

    assert found.equal
    assert told(found) == ["1 run record of the source, here: the sink, there, does not give them"]


async def test_threads_own_records_that_a_plugin_does_not_read(pair: Any, make: Any) -> None:
    """As beside a checkpointer, which knows of checkpoints alone."""
    pair.put(make.history("t"))
    pair.there(offers=frozenset({"checkpoint"}))

    found = await pair.verify()

    assert found.equal
    assert told(found) == [
        "the threads' own records of the source, here: the sink, there, does not give them"
    ]


async def test_places_without_a_form_in_common_are_refused(pair: Any) -> None:
    """Nothing in the bytes of a checkpointer can be compared with what the API shows."""
    pair.here(offers=frozenset({"thread", "checkpoint"}))
    pair.there(offers=frozenset({"thread", "raw_checkpoint", "channel_blob"}))

    with pytest.raises(UsageError) as told_so:
        await pair.verify()

    assert str(told_so.value) == (
        "nothing can be compared: the source, memory, has states as the API shows them, and the "
        "sink, memory, a checkpointer's own rows; compare each with a copy that was written in "
        "its own form"
    )


BYTES = "in a checkpointer's own bytes, each whole"


def whole(thread_id: str = "t", blob: bytes = b"\x81\xa1n\x01") -> RawCheckpoint:
    return RawCheckpoint(
        thread_id=thread_id,
        checkpoint_ns="",
        checkpoint_id="c0",
        type="msgpack",
        blob=blob,
        metadata=raw({"step": 1, "source": "loop"}),
    )


def parted(thread_id: str = "t", version: str = "2", blob: bytes = b"\x02") -> list[Record]:
    """The same in parts, with a write."""
    place: dict[str, Any] = {"thread_id": thread_id, "checkpoint_ns": "", "type": "msgpack"}
    document = raw({"channel_values": {"n": 1}, "channel_versions": {"n": "1", "m": version}})
    write: dict[str, Any] = {"checkpoint_id": "c0", "task_id": "t0", "idx": 0, "channel": "m"}
    return [
        RawCheckpoint(checkpoint_id="c0", document=document, **place),
        ChannelBlob(channel="m", version=version, blob=blob, **place),
        CheckpointWrite(blob=blob, **write, **place),
    ]


@pytest.mark.parametrize(
    ("offers", "rows", "form"),
    [
        ({"*"}, [whole()], BYTES),
        ({"thread", "raw_checkpoint", "channel_blob", "checkpoint_write"}, [whole()], BYTES),
        ({"*"}, parted(), "in a checkpointer's own bytes, in parts"),
    ],
)
async def test_forms_that_only_reading_tells_are_not_compared(
    pair: Any, make: Any, offers: set[str], rows: list[Record], form: str
) -> None:
    """A file may hold either: states and a checkpointer's bytes are neither equal nor different,
    whatever else is equal."""
    pair.put([make.thread("t"), *rows], make.history("t"))
    pair.here(offers=frozenset(offers))
    forms = {"here": form, "there": "as the API shows them"}

    for sides in (("here", "there"), ("there", "here")):
        found = await pair.verify(*sides)

        assert (found.exit_code, found.equal) == (4, None)
        assert found.aborted == (
            f"nothing can be compared: the source, {sides[0]}, has checkpoints {forms[sides[0]]} "
            f"and the sink, {sides[1]}, has checkpoints {forms[sides[1]]}; compare what was "
            "written with one --fidelity, by one sort of checkpointer"
        )


async def test_nor_are_bytes_in_parts_and_bytes_as_a_whole(pair: Any, make: Any) -> None:
    """Only decoding them would tell whether they say the same."""
    pair.put([make.thread("t"), *parted()], [make.thread("t"), whole()])

    found = await pair.verify()

    assert (found.exit_code, found.equal) == (4, None)
    assert f"in parts and the sink, there, has checkpoints {BYTES};" in found.aborted


async def test_a_checkpointers_own_bytes_are_compared_as_bytes(pair: Any, make: Any) -> None:
    """They are counted as checkpoints; another spelling of the same state is another state."""
    for own, here, there in (
        ("blob", parted("blob"), parted("blob", blob=b"\xcc\x02")),
        ("parted", parted("parted"), parted("parted")),
        ("version", parted("version"), parted("version", version="3")),
        ("whole", [whole("whole")], [whole("whole", blob=b"\x81\xa1n\xcc\x01")]),
    ):
        pair.put([make.thread(own), *here], [make.thread(own), *there])

    found = await pair.verify()

    assert [(d.thread_id, d.first) for d in found.differences] == [
        ("blob", """channel_blob ["m","2"] of namespace '': blob differs"""),
        ("version", """channel_blob ["m","2"] of namespace '' is missing in the sink"""),
        ("whole", "checkpoint 1 (c0) of namespace '': blob differs"),
    ]
    assert found.threads == Compared(equal=1, different=3)
    assert found.checkpoints == Compared(equal=2, different=2)
    assert (found.source.checkpoints, found.source.records) == (4, 6)
    assert found.source.digest != found.sink.digest


async def test_nothing_is_left_out_of_nothing(pair: Any, make: Any) -> None:
    """What neither side has needs no word."""
    pair.put([make.thread("t", status=None, created_at=None, updated_at=None, values=raw({}))])
    pair.there(covers=OLDER)

    assert told(await pair.verify()) == []
