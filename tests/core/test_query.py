"""Which threads a query admits, when the source cannot filter by itself."""

from __future__ import annotations

import pytest
from msgspec import Raw

from lgx import Query, Thread

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
