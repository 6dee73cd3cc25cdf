"""What the layouts share: digests, order, metadata, and what becomes of what stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from lgx import CheckpointWrite, RawCheckpoint, Thread, ThreadError, decode_line, encode_line
from lgx_plugins.checkpointers.rows.conflicts import Course, Policy, judge
from lgx_plugins.checkpointers.rows.digests import Cell, RowDigest
from lgx_plugins.checkpointers.rows.forms import check_row, metadata_of, stored_metadata, text_of
from lgx_plugins.checkpointers.rows.marks import Kept
from lgx_plugins.checkpointers.rows.ordering import Deferred


def _digest(*rows: tuple[str, tuple[Cell, ...]]) -> str:
    digest = RowDigest()
    for table, cells in rows:
        digest.add(table, cells)
    return digest.text()


def test_a_digest_does_not_depend_on_the_order_of_rows() -> None:
    """Nor on anything but the rows: each of them counts, as often as it is there."""
    rows: list[tuple[str, tuple[Cell, ...]]] = [("a", (b"x", n, None)) for n in range(20)]
    assert _digest(*rows) == _digest(*reversed(rows))
    assert _digest(*rows) != _digest(*rows, rows[0])
    assert _digest(*rows) != _digest(*rows[1:])
    assert _digest() != _digest(("a", ()))


def test_a_digest_tells_all_cells_apart() -> None:
    """Text from bytes, NULL from empty, numbers from their digits, and where a cell ends."""
    rows: list[tuple[str, tuple[Cell, ...]]] = [
        ("a", (b"1",)),
        ("a", ("1",)),
        ("a", (1,)),
        ("b", (1,)),
        ("a", (None,)),
        ("a", (b"",)),
        ("a", ()),
        ("a", (b"1", b"")),
        ("a", (b"", b"1")),
        ("a", (b" b1:1",)),
        ("a", (-1,)),
        ("a", ("\ud800",)),
    ]
    assert len({_digest(row) for row in rows}) == len(rows)


@given(
    st.one_of(
        st.binary(max_size=40),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=6,
        ).flatmap(
            lambda value: st.sampled_from(
                [
                    json.dumps(value).encode(),
                    json.dumps(value, ensure_ascii=False).encode("utf-8", "ignore"),
                    json.dumps(value, indent=1).encode(),
                    b" " + json.dumps(value).encode(),
                ]
            )
        ),
    )
)
def test_metadata_keeps_its_bytes(stored: bytes) -> None:
    """Through a record, and through its line, whatever it is."""
    found = metadata_of(stored)
    record = RawCheckpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c",
        metadata=found.text,
        metadata_blob=found.blob,
    )
    again = decode_line(encode_line(record))
    assert isinstance(again, RawCheckpoint)
    assert stored_metadata(record) == stored_metadata(again) == stored


def test_metadata_is_json_where_it_can_be() -> None:
    """So that it can be searched and compared; no metadata is neither."""
    text = '{"source": "loop", "name": "Zoë"}'.encode()
    assert metadata_of(text).text == Raw(text)
    for odd in (b'{"a": NaN}', b"{}\n", b" {}", b'"\xff"', b"", b"{"):
        assert (metadata_of(odd).text, metadata_of(odd).blob) == (UNSET, odd)
    assert (metadata_of(None).text, metadata_of(None).blob) == (UNSET, None)


def test_rows_of_another_thread_or_kind_are_refused() -> None:
    row = CheckpointWrite(
        thread_id="t", checkpoint_ns="", checkpoint_id="c", task_id="x", idx=0, channel="a"
    )
    assert check_row(row, "t") is row
    with pytest.raises(ThreadError, match="of thread 't' came with thread 'u'"):
        check_row(row, "u")
    with pytest.raises(ThreadError, match="a record of kind 'thread' came"):
        check_row(Thread(thread_id="t"), "t")


def test_cells_that_are_no_text_are_named() -> None:
    assert text_of("Zoë".encode(), "channel") == "Zoë"
    for cell, words in ((None, "missing"), (5, "5, and no text"), (b"\xff", "no UTF-8")):
        with pytest.raises(ThreadError, match=f"channel is {words}"):
            text_of(cell, "channel")


@pytest.fixture
def deferred() -> Iterator[Deferred]:
    one = Deferred()
    yield one
    one.close()


def test_ids_in_order_wait_for_nothing(deferred: Deferred) -> None:
    """The common case touches no disk."""
    assert not any(deferred.defers("", f"{n:03}", f"{n - 1:03}" if n else None) for n in range(99))
    assert not deferred
    assert list(deferred.places()) == []


def test_a_long_chain_backwards_comes_out_forwards(deferred: Deferred) -> None:
    """Twenty thousand checkpoints whose ids run against time."""
    count = 20_000
    for n in range(count - 1):
        assert deferred.defers("", f"{n:06}", f"{n + 1:06}")
    assert not deferred.defers("", f"{count - 1:06}", None)
    assert list(deferred.places()) == [("", f"{n:06}") for n in range(count - 2, -1, -1)]


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["", *"abcdefghz"])))
def test_whatever_the_parents_all_come_once(parents: dict[str, str]) -> None:
    """Circles and missing parents included; none before a parent that it could follow."""
    deferred = Deferred()
    order = [key for key in sorted(parents) if not deferred.defers("n", key, parents[key] or None)]
    order += [key for _, key in deferred.places()]
    deferred.close()
    assert sorted(order) == sorted(parents)
    for key, parent in parents.items():
        if parent in parents and key not in _ancestors(parents, key):
            assert order.index(parent) < order.index(key)


def _ancestors(parents: dict[str, str], key: str) -> set[str]:
    found: set[str] = set()
    while (key := parents.get(key, "")) and key not in found:
        found.add(key)
    return found


def _kept(source: str = "one", written: str = "w") -> Kept:
    return Kept(source=source, version="1", fingerprint="f", checkpoints=1, written=written)


@pytest.mark.parametrize(
    ("kept", "standing", "course"),
    [
        (None, None, Course.WRITE),
        (_kept(), None, Course.WRITE),
        (_kept("two"), None, Course.WRITE),
        (_kept(), "w", Course.WRITE),
        (_kept(), "new", Course.ADOPT),
        (_kept(), "x", Course.LEAVE),
        (None, "new", Course.ADOPT),
        (None, "x", Course.LEAVE),
        (_kept("two"), "w", Course.LEAVE),
        (_kept("two"), "new", Course.LEAVE),
    ],
)
@pytest.mark.parametrize("policy", ["fail", "skip", "replace"])
def test_what_becomes_of_what_stands_there(
    policy: Policy, kept: Kept | None, standing: str | None, course: Course
) -> None:
    """A copy as lgx left it is replaced, the same rows are adopted, all else stays, unless it is
    to be replaced."""
    found = judge(policy, "one", kept=kept, standing=standing, coming=lambda: "new")
    assert found.course is (
        Course.WRITE if (policy, course) == ("replace", Course.LEAVE) else course
    )
    assert bool(found.why) == (found.course is Course.LEAVE)


def test_the_thread_is_read_for_its_digest_only_where_that_matters() -> None:
    def never() -> str:
        raise AssertionError("read in vain")

    for kept, standing in ((None, None), (_kept(), "w"), (_kept("two"), "x")):
        judge("fail", "one", kept=kept, standing=standing, coming=never)
