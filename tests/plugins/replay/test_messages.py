"""What is sent for messages that were written, and for lists that came out of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from lgx_plugins.replay.messages import edits, messages_of, replacement, rewritten


def _raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def _message(key: str, text: str = "x", kind: str = "human", **more: Any) -> dict[str, Any]:
    return {"type": kind, "content": text, "id": key, **more}


def _load(value: Raw) -> Any:
    return json.loads(bytes(value))


def _removed(key: str) -> dict[str, Any]:
    return {"type": "remove", "content": "", "id": key}


@pytest.mark.parametrize(
    "value",
    [
        {"type": "human"},
        "text",
        [1],
        [{"type": "human", "content": "x"}],
        [_message("1"), {"type": "nobody", "content": "", "id": "2"}],
        [_message("1"), _message("1")],
    ],
    ids=["object", "text", "numbers", "no id", "other type", "one id twice"],
)
def test_other_lists_are_no_messages(value: Any) -> None:
    """Only a list in which each has a type that servers know, and an id of its own."""
    assert messages_of(_raw(value)) is None


@pytest.mark.parametrize(
    "write",
    ["new", ["ai", "new"], {"role": "ai", "content": "new"}, [["ai", "new"]], ["new"]],
    ids=["text", "pair", "object", "pairs", "texts"],
)
def test_whatever_the_form_the_message_goes_as_it_stands_afterwards(write: Any) -> None:
    """Its id is the one that the reducer gave."""
    before = messages_of(_raw([_message("1")]))
    after = messages_of(_raw([_message("1"), _message("2", "new", "ai")]))
    assert after is not None

    sent = rewritten([_raw(write)], before, after)

    assert sent is not None
    assert [_load(text) for text in sent] == [[_message("2", "new", "ai")]]


def test_messages_without_ids_take_the_new_ids_in_their_order() -> None:
    """Over several writes, and beside one that names its own."""
    before = messages_of(_raw([_message("1")]))
    after = messages_of(_raw([_message("1"), _message("2"), _message("9"), _message("3")]))
    assert after is not None

    sent = rewritten([_raw(["a", _message("9")]), _raw("b")], before, after)

    assert sent is not None
    assert [[item["id"] for item in _load(text)] for text in sent] == [["2", "9"], ["3"]]


def test_removals_go_with_what_they_need_and_nothing_else() -> None:
    """A server refuses one without content."""
    before = messages_of(_raw([_message("1"), _message("2")]))
    after = messages_of(_raw([_message("2")]))
    assert after is not None
    written = {**_removed("1"), "name": None, "additional_kwargs": {}, "response_metadata": {}}

    sent = rewritten([_raw([written])], before, after)

    assert sent is not None
    assert _load(sent[0]) == [_removed("1")]


def test_what_is_no_message_is_left_alone() -> None:
    """Then the channel is none of messages."""
    after = messages_of(_raw([_message("1")]))
    assert after is not None
    assert rewritten([_raw([1, 2])], None, after) is None


@pytest.mark.parametrize(
    ("before", "after", "write"),
    [
        (["1", "2"], ["2", "3"], [_removed("1"), _message("3")]),
        (["1"], ["1"], []),
        (["1", "2"], ["2", "1"], [_removed("__remove_all__"), _message("2"), _message("1")]),
        ([], ["1"], [_message("1")]),
        (["1"], [], [_removed("1")]),
    ],
    ids=["moved on", "equal", "other order", "first", "emptied"],
)
def test_edits_make_one_list_of_another(
    before: list[str], after: list[str], write: list[Any]
) -> None:
    """By removals and additions where the order allows it, else by all anew."""
    old = messages_of(_raw([_message(key) for key in before]))
    new = messages_of(_raw([_message(key) for key in after]))
    assert new is not None

    assert _load(edits(old, new)) == write


def test_an_edited_message_goes_in_its_place() -> None:
    """By its id."""
    old = messages_of(_raw([_message("1"), _message("2")]))
    new = messages_of(_raw([_message("1", "edited"), _message("2")]))
    assert new is not None

    assert _load(edits(old, new)) == [_message("1", "edited")]


def test_empty_fields_and_those_of_chunks_are_left_out() -> None:
    """A server would move them elsewhere, or not know the type."""
    chunk = _message(
        "1", kind="AIMessageChunk", invalid_tool_calls=[], usage_metadata=None,
        tool_call_chunks=[], chunk_position=None, tool_calls=[],
    )  # fmt: skip
    after = messages_of(_raw([chunk]))
    assert after is not None

    assert _load(replacement(after)) == [
        _removed("__remove_all__"),
        _message("1", kind="ai", tool_calls=[]),
    ]


def test_usage_goes_though_it_will_be_moved() -> None:
    """So that it is not lost altogether."""
    counted = _message("1", kind="ai", usage_metadata={"total_tokens": 3})
    after = messages_of(_raw([counted]))
    assert after is not None

    assert _load(replacement(after))[1] == counted
