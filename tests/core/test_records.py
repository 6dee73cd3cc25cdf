"""Records: typed envelopes, one kind each."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET, Raw

from lgx import (
    ANY_KIND,
    EXTRA_KINDS,
    Assistant,
    ChannelBlob,
    Checkpoint,
    CheckpointWrite,
    Cron,
    RawCheckpoint,
    Record,
    Run,
    StoreItem,
    Thread,
    Tombstone,
    UnknownRecord,
)

RECORDS: list[tuple[str, Record]] = [
    ("thread", Thread(thread_id="t")),
    ("checkpoint", Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c")),
    (
        "raw_checkpoint",
        RawCheckpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", type="msgpack", blob=b""),
    ),
    (
        "channel_blob",
        ChannelBlob(thread_id="t", checkpoint_ns="", channel="c", version="1", type="empty"),
    ),
    (
        "checkpoint_write",
        CheckpointWrite(
            thread_id="t", checkpoint_ns="", checkpoint_id="c", task_id="t", idx=-1, channel="c"
        ),
    ),
    ("run", Run(thread_id="t", run_id="r")),
    ("assistant", Assistant(assistant_id="a", version=1)),
    ("cron", Cron(cron_id="c")),
    ("store_item", StoreItem(namespace=("a", "b"), key="k")),
    ("tombstone", Tombstone(thread_id="t", deleted_at="2026-11-20T08:00:00+00:00")),
]


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_the_kind_is_an_attribute_and_the_tag_on_the_wire(kind: str, record: Record) -> None:
    """Engine and sinks branch on the one, files hold the other."""
    assert record.kind == type(record).kind == kind
    assert msgspec.json.decode(msgspec.json.encode(record))["kind"] == kind


@pytest.mark.parametrize(("kind", "record"), RECORDS)
def test_records_are_values(kind: str, record: Record) -> None:
    """They can be compared and are not changed by anybody."""
    assert record == msgspec.structs.replace(record)
    with pytest.raises(AttributeError):
        record.kind = kind  # type: ignore[misc]


def test_what_was_not_sent_differs_from_null() -> None:
    """It is UNSET, and is not written."""
    silent, null = Thread(thread_id="t"), Thread(thread_id="t", values=Raw(b"null"))
    assert silent.values is UNSET
    assert silent != null
    assert b"values" not in msgspec.json.encode(silent)
    assert b'"values":null' in msgspec.json.encode(null)


def test_the_deployments_kinds_stand_in_the_order_of_restoring() -> None:
    """Assistants are needed by threads, crons by nobody."""
    assert EXTRA_KINDS == ("assistant", "cron", "store_item")
    assert frozenset({"*"}) == ANY_KIND
    assert set(EXTRA_KINDS) < {kind for kind, _ in RECORDS}


def test_an_unknown_record_is_of_the_kind_that_stood_in_the_file() -> None:
    """One class for many kinds, each of which it bears itself."""
    record = UnknownRecord(name="x", thread_id=None, body=Raw(b'{"kind":"x"}'))
    assert (record.kind, record.name) == ("x", "x")
