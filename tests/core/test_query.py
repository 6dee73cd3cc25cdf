"""Which threads a query admits, when the source cannot filter by itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from lgx import Query, Thread, ThreadError, UsageError, parse_time

HARD = {
    "nested": b"[" * 3000 + b"]" * 3000,
    "surrogate": b'"\\ud800"',
    "huge": b"1e400",
    "long": b"18446744073709551616",
}


def thread(metadata: bytes) -> Thread:
    return Thread(thread_id="1", metadata=Raw(metadata))


@pytest.mark.parametrize("name", HARD)
def test_metadata_that_no_decoder_takes_does_not_stand_in_the_way(name: str) -> None:
    """A filter looks at the keys that it names, whatever else the metadata holds."""
    held = thread(b'{"hard":' + HARD[name] + b',"user":{"name":"Zoe","n":1}}')
    assert Query(metadata={"user": Raw(b'{"name":"Zoe"}')}).admits(held)
    assert not Query(metadata={"user": Raw(b'{"name":"Max"}')}).admits(held)
    assert not Query(metadata={"nobody": Raw(b"1")}).admits(held)
    assert Query(metadata={"hard": Raw(HARD[name])}).admits(held)


@pytest.mark.parametrize("metadata", [b"null", b"[]", b'"text"', b"1"])
def test_metadata_that_is_no_object_passes_no_filter(metadata: bytes) -> None:
    """And is no error."""
    assert not Query(metadata={"a": Raw(b"1")}).admits(thread(metadata))


def contains(held: str, wanted: str) -> bool:
    query = Query(metadata={"key": Raw(wanted.encode())})
    return query.admits(thread(b'{"key":' + held.encode() + b"}"))


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("1", "1.0"),
        ("1.50", "15e-1"),
        ("18446744073709551616", "18446744073709551616.0"),
        ('"A"', '"\\u0041"'),
        ('{"a": 1, "b": {"c": [1, 2]}}', '{"b": {"c": []}}'),
        ('{"a": 1}', "{}"),
        ('{"a": null}', '{"a": null}'),
        ("[1, 2, 3]", "[3, 1]"),
        ("[1, 2]", "[1, 1]"),
        ("[[1, 2], 3]", "[[2]]"),
        ('[{"a": 1, "b": 2}]', '[{"b": 2}]'),
    ],
)
def test_a_thread_passes_whose_metadata_contains_the_value(held: str, wanted: str) -> None:
    """As PostgreSQL answers for `held @> wanted`."""
    assert contains(held, wanted)


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ("null", "{}"),
        ("{}", "null"),
        ("{}", "[]"),
        ('{"a": 1}', '{"a": null}'),
        ('{"a": 1}', '{"b": 1}'),
        ("[1, 2]", "[3]"),
        ("[[1, 2]]", "[1]"),
        ("[1, 2]", "1"),
        ("1", "[1]"),
        ("0.1", "0.1000000000000000055"),
        ("18446744073709551616", "18446744073709551617"),
    ],
)
def test_a_thread_is_held_back_whose_metadata_does_not(held: str, wanted: str) -> None:
    """As PostgreSQL answers for `held @> wanted` below the top level."""
    assert not contains(held, wanted)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def part_of(draw: st.DrawFn, value: Any) -> Any:
    """Something that the value contains: members and elements left out, at any depth."""
    if isinstance(value, dict):
        kept = [key for key in value if draw(st.booleans())]
        return {key: draw(part_of(value[key])) for key in kept}
    if isinstance(value, list):
        return [draw(part_of(item)) for item in draw(st.permutations(value)) if draw(st.booleans())]
    return value


@given(values.flatmap(lambda value: st.tuples(st.just(value), part_of(value))))
def test_every_value_contains_its_parts(pair: tuple[Any, Any]) -> None:
    """Also itself, and an empty object or array where it has one."""
    held, wanted = (json.dumps(value) for value in pair)
    assert contains(held, wanted)
    assert contains(held, held)


def test_a_query_without_filters_admits_everything() -> None:
    """Also a thread of which only the id is known."""
    assert Query().admits(Thread(thread_id=""))
    assert not Query().filtered
    assert not Query(extras=False).filtered
    assert Query(limit=1).filtered


@pytest.mark.parametrize(
    "query",
    [
        Query(thread_ids=("b", "")),
        Query(status="busy"),
        Query(since="2026-01-02"),
        Query(until="2026-01-01"),
        Query(metadata={"a": Raw(b"2")}),
    ],
)
def test_every_filter_holds_a_thread_back(query: Query) -> None:
    """One that does not fit suffices."""
    fits = Thread(
        thread_id="a",
        status="idle",
        updated_at="2026-01-01T12:00:00Z",
        metadata=Raw(b'{"a":1}'),
    )
    assert query.filtered
    assert not query.admits(fits)
    assert not query.admits(Thread(thread_id="a", metadata=UNSET))
    assert Query(
        thread_ids=("b", "a"),
        status="idle",
        since="2026-01-01T12:00:00+00:00",
        until="2026-01-01T14:00:00.000001+02:00",
        metadata={"a": Raw(b"1.0")},
    ).admits(fits)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001 -- given their zones below
    st.integers(-12, 12),
    st.integers(-12, 12),
    st.timedeltas(timedelta(-1), timedelta(1)),
)
def test_the_window_is_one_of_moments_not_of_texts(
    moment: datetime, zone: int, other: int, away: timedelta
) -> None:
    """`since` is part of it, `until` is not, in whichever zones they are written."""
    when = moment.replace(tzinfo=UTC)
    updated = (when + away).astimezone(timezone(timedelta(hours=zone))).isoformat()
    edge = when.astimezone(timezone(timedelta(hours=other))).isoformat()
    assert Query(since=edge).admits_time(updated) is (away >= timedelta(0))
    assert Query(until=edge).admits_time(updated) is (away < timedelta(0))


def test_a_time_without_an_offset_is_utc() -> None:
    """A date is its first moment; what is neither is an error that shows how to write it."""
    assert parse_time("2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)
    assert parse_time(" 2026-11-20T08:00:00Z ") == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert parse_time("2026-11-20T08:00:00.5") == datetime(2026, 11, 20, 8, 0, 0, 500_000, UTC)
    with pytest.raises(UsageError) as caught:
        parse_time("yesterday")
    assert str(caught.value) == (
        "'yesterday' is not a time; write it as 2026-11-20 or 2026-11-20T08:00:00+00:00"
    )


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "1768000000"])
@pytest.mark.parametrize("query", [Query(since="2026-01-01"), Query(until="2026-01-01")])
def test_a_thread_whose_time_is_malformed_fails_alone(query: Query, text: str) -> None:
    """It is no mistake of the user's, and stands in the way of no filter but the window."""
    odd = Thread(thread_id="a", updated_at=text)
    with pytest.raises(ThreadError) as caught:
        query.admits(odd)
    assert str(caught.value) == (
        f"the thread's updated_at {text!r} is not a time, so that no window of time can be "
        "applied to it; leave out --since and --until"
    )
    assert Query().admits(odd)
    assert Query(thread_ids=("a",)).admits(odd)


def test_a_window_that_is_no_time_is_the_users_mistake() -> None:
    """Whatever the thread holds."""
    with pytest.raises(UsageError, match="'soon' is not a time"):
        Query(since="soon").admits(Thread(thread_id="a", updated_at="2026-01-01"))
