"""The ids that threads have on a server, which takes nothing but UUIDs."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgx_plugins.cloud.restore.naming import Renamed, kept_apart, plain_id

OWN = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"


def test_a_uuid_keeps_its_id() -> None:
    assert plain_id(OWN) == OWN


def test_a_uuid_in_capitals_is_the_one_that_servers_make_of_it() -> None:
    assert plain_id(OWN.upper()) == OWN


@pytest.mark.parametrize(
    "odd",
    [
        "",
        OWN.replace("-", ""),
        "{6f9619ff-8b86-d011-b42d00cf4fc964ff",
        "6f9619ff8b86-d011-b42d-00cf-4fc964ff",
        f"urn:uuid:{OWN}",
        "../..",
        "\ud800",
    ],
)
def test_what_only_looks_like_a_uuid_is_none(odd: str) -> None:
    """Two ids that a lenient reader takes for one must not become one thread."""
    assert uuid.UUID(plain_id(odd)).version == 5
    assert plain_id(odd) != OWN


@given(st.text(), st.text())
def test_different_ids_never_meet(one: str, other: str) -> None:
    """And the same id is always given the same."""
    assert (plain_id(one) == plain_id(other)) == (one == other)


@given(st.text(), st.text(), st.text())
def test_sources_are_kept_apart(thread_id: str, one: str, other: str) -> None:
    assert (kept_apart(thread_id, one) == kept_apart(thread_id, other)) == (one == other)
    assert kept_apart(thread_id, one) != plain_id(thread_id)


def test_the_ids_are_those_of_every_version_of_lgx() -> None:
    """A later run finds what an earlier one wrote."""
    assert plain_id("user/7") == "b99e2ce1-df39-5b63-bc5a-27533b8b4052"
    assert kept_apart("user/7", "http://source") == "50de796a-bec9-5c28-bd03-a5dd7896848a"


def test_one_note_tells_of_all_threads_that_have_another_id() -> None:
    """How many, and a few of them: the report has the whole map."""
    renamed = Renamed()
    assert renamed.note() is None

    renamed.add("user/7", "u7")
    end = "; the report has the map, and each thread's metadata.lgx.thread_id its old id"
    assert renamed.note() == (
        f"1 thread has another id on the target, which takes only UUIDs ('user/7' is u7){end}"
    )

    for old in ("x" * 300, "", *map(str, range(1198))):
        renamed.add(old, "u")
    assert renamed.note() == (
        "1,201 threads have another id on the target, which takes only UUIDs "
        f"('user/7' is u7, '{'x' * 39}…' is u, '' is u and 1,198 more){end}"
    )
