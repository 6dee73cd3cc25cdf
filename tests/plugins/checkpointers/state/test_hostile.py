"""Documents that are no checkpoints fail their thread, by an error of lgx's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from msgspec import Raw

from lgx import RawCheckpoint, Record, ThreadError
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.state.contents import contents
from lgx_plugins.checkpointers.state.rendering import Opener
from lgx_plugins.checkpointers.state.rows import Rows
from lgx_plugins.checkpointers.state.snapshot import States

ID = "1f000000-0000-6000-8000-000000000000"
DOCUMENT = (
    b'{"v":4,"id":"%b","ts":"2026-01-01T00:00:00Z","channel_values":{},'
    b'"channel_versions":{"a":%b},"versions_seen":{"n":{"a":%b}},"updated_channels":[%b]}'
)


def _document(version: bytes = b"1", seen: bytes = b"1", updated: bytes = b'"a"') -> bytes:
    return DOCUMENT % (ID.encode(), version, seen, updated)


def _states(rows: Rows, opener: Opener) -> Iterator[Record]:
    with closing(States(rows, opener)) as made:
        yield from made.records()


HUGE = b"9" * 40
HOSTILE = (b'"\\ud800"', b"1e999")


@pytest.mark.parametrize("make", [_states, contents])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "document",
    [_document(**{name: text}) for name in ("version", "seen", "updated") for text in HOSTILE],
)
def test_what_is_no_json_fails_its_thread(
    make: Callable[..., Iterator[Record]], whole: bool, document: bytes
) -> None:
    """Half a letter, a number that none is: in whichever form the row has it."""
    with pytest.raises(ThreadError, match=f"checkpoint '{ID}' is no JSON object"):
        _made(make, document, whole=whole)


@pytest.mark.parametrize("name", ["version", "seen", "updated"])
def test_numbers_that_cannot_be_compared_fail_their_thread(name: str) -> None:
    """LangGraph counts no so many versions."""
    with pytest.raises(ThreadError, match=f"checkpoint '{ID}' cannot be compared with others"):
        _made(contents, _document(**{name: HUGE}), whole=True)


def test_the_document_that_they_are_made_of_is_one() -> None:
    """Or they would fail for another reason."""
    for make in (_states, contents):
        for whole in (True, False):
            assert len(_made(make, _document(), whole=whole)) == 2


def _made(make: Any, document: bytes, *, whole: bool) -> list[Record]:
    given: Any = {"type": "json", "blob": document} if whole else {"document": Raw(document)}
    record = RawCheckpoint(thread_id="t", checkpoint_ns="", checkpoint_id=ID, **given)
    with closing(Rows("t")) as rows:
        rows.keep(record)
        return list(make(rows, Opener(Cipher(None))))
