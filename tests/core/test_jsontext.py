"""JSON as text: the standard library's reader is the oracle for what is legal."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Raw

from lgx import ThreadError, compact, split_array, split_object
from lgx.jsontext import tokens

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters() | st.sampled_from("\ud800\udfff\x00😀"), max_size=5),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=3), children, max_size=4)
    ),
    max_leaves=10,
)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """JSON as several writers write it, with and without white space and escapes."""
    value = draw(values)
    ascii_only = draw(st.booleans()) or "\\ud" in json.dumps(value)
    indent = draw(st.sampled_from([None, 0, 2, "\t"]))
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    return draw(st.sampled_from(["", " ", "\r\n\t"])).encode() + text.encode()


@st.composite
def nearly_json(draw: st.DrawFn) -> bytes:
    """JSON with a few bytes cut out, put in or changed, so that it is often broken."""
    text = bytearray(draw(texts()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        until = at + draw(st.integers(0, 2))
        text[at:until] = draw(
            st.sampled_from([b"", b"null", b"u12", b"\n", b"\x00", b"\x0b", b"\xff", b"\xc3\xa9"])
            | st.sampled_from(b',:"{}[]\\0-+.e ').map(lambda byte: bytes([byte]))
        )
    return bytes(text)


def legal(text: bytes) -> bool:
    """Whether the standard library reads it, NaN and a byte order mark aside."""
    try:
        json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(word: str) -> None:
    raise ValueError(word)


def accepted(text: bytes) -> bool:
    try:
        list(tokens(text))
    except ThreadError:
        return False
    return True


def split_accepts(text: bytes) -> bool:
    try:
        split_array(text)
    except ThreadError:
        return False
    return True


# -- tokens --------------------------------------------------------------------------


def test_tokens_tell_depth_kind_and_place() -> None:
    """A bracket has the depth of what it stands in."""
    text = b' {"a": [1.5e3, true], "\\"": {}} '
    assert [(depth, kind, text[start:end]) for depth, kind, start, end in tokens(text)] == [
        (0, "mark", b"{"),
        (1, "string", b'"a"'),
        (1, "mark", b":"),
        (1, "mark", b"["),
        (2, "number", b"1.5e3"),
        (2, "mark", b","),
        (2, "word", b"true"),
        (1, "mark", b"]"),
        (1, "mark", b","),
        (1, "string", b'"\\""'),
        (1, "mark", b":"),
        (1, "mark", b"{"),
        (1, "mark", b"}"),
        (0, "mark", b"}"),
    ]


@given(texts())
def test_every_legal_text_is_accepted_and_its_tokens_are_the_text(text: bytes) -> None:
    """Put together again, the tokens read as the same value."""
    joined = b"".join(text[start:end] for _, _, start, end in tokens(text))
    assert json.loads(joined) == json.loads(text)


@given(nearly_json() | st.binary(max_size=6))
@example(b"[1]]")
@example(b"{]")
@example(b'{"a":1 "b":2}')
@example(b"1 1")
@example(b"\xef\xbb\xbf1")
def test_a_text_is_accepted_exactly_when_it_is_json(text: bytes) -> None:
    """The slow reader is as strict as the fast one."""
    assert accepted(text) == legal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[1, NaN]", "text holds NaN at byte 4, which JSON has no form for"),
        (b"-Infinity", "text holds -Infinity at byte 0, which JSON has no form for"),
        (b'{"a": [1', "text ends in the middle of a JSON value; it was cut short"),
        (b"", "text ends in the middle of a JSON value; it was cut short"),
        (b"<html>", "text is not JSON at byte 0: b'<html>'"),
        (b'["a" "b"]', "text is not JSON at byte 5: b'\"b\"]'"),
        (b'"\xff"', "text is not UTF-8 at byte 1"),
    ],
)
def test_a_malformed_text_is_described(text: bytes, message: str) -> None:
    """The message says where, and what it looks like."""
    with pytest.raises(ThreadError) as caught:
        list(tokens(text))
    assert str(caught.value) == message


# -- splitting -----------------------------------------------------------------------


@given(st.lists(texts(), max_size=4))
def test_an_array_is_split_into_the_texts_of_its_elements(items: list[bytes]) -> None:
    """Each element is given as it stood, white space around it aside."""
    text = b" [ " + b" , ".join(items) + b" ] "
    assert [bytes(item) for item in split_array(text)] == [item.strip() for item in items]


@given(st.lists(st.tuples(st.text(max_size=3), texts()), max_size=4))
def test_an_object_is_split_into_the_texts_of_its_members(members: list[tuple[str, bytes]]) -> None:
    """The last of duplicate keys counts, however it is escaped."""
    written = [json.dumps(key).encode() + b" : " + value for key, value in members]
    text = b"{" + b",".join(written) + b"}"
    expected = {key: value.strip() for key, value in members}
    assert {key: bytes(value) for key, value in split_object(text).items()} == expected


@given(nearly_json())
@example(b'["\\ud800"] x')
@example(b'["\\ud800"]]')
@example(b'["\xff"]')
def test_splitting_is_as_strict_as_reading(text: bytes) -> None:
    """What follows the array, or stands deep inside of it, is checked too."""
    wrapped = b"[" + text + b"]"
    assert split_accepts(wrapped) == legal(wrapped)
    assert split_accepts(text) == (legal(text) and text.lstrip().startswith(b"["))


def test_splitting_takes_any_kind_of_bytes() -> None:
    """bytes, bytearray, memoryview and Raw are read alike, on both roads."""
    for value in (b'{"a":[1]}', b'{"a":["\\ud800"]}'):
        inner = value[5:-1]
        for make in (bytes, bytearray, memoryview, Raw):
            assert split_object(make(value)) == {"a": Raw(inner)}
            assert split_array(make(b"[" + value + b"]")) == [Raw(value)]


@pytest.mark.parametrize("depth", [900, 1500, 20_000])
def test_splitting_has_no_bound_on_nesting(depth: int) -> None:
    """What msgspec gives up on takes the slower road."""
    deep = b'{"a":[' * depth + b"]}" * depth
    assert [bytes(item) for item in split_array(b"[" + deep + b",1]")] == [deep, b"1"]
    assert {key: bytes(value) for key, value in split_object(b'{"x":' + deep + b"}").items()} == {
        "x": deep
    }


@pytest.mark.parametrize(
    ("function", "text", "message"),
    [
        (split_object, b"[1]", "a JSON object was expected, not b'[1]'"),
        (split_array, b'{"detail": "no"}', 'a JSON array was expected, not b\'{"detail": "no"}\''),
        (split_array, b"null", "a JSON array was expected, not b'null'"),
        (split_array, b"<html>", "text is not JSON at byte 0: b'<html>'"),
        (split_array, b'["a\xff"]', "text is not UTF-8 at byte 3"),
        (split_object, b'{"a":{"\xff":1}}', "text is not UTF-8 at byte 7"),
        (
            split_object,
            b'{"\\ud800": 1}',
            "the key '\\ud800' holds a lone surrogate, which no target can keep",
        ),
    ],
)
def test_splitting_what_cannot_be_split_is_an_error(
    function: type, text: bytes, message: str
) -> None:
    """The message shows the begin of what came instead."""
    with pytest.raises(ThreadError) as caught:
        function(text)
    assert str(caught.value) == message


# -- compacting ----------------------------------------------------------------------


@given(texts())
def test_compact_removes_white_space_between_tokens_and_nothing_else(text: bytes) -> None:
    """Strings keep theirs, numbers and escapes stay as they were written."""
    assert compact(text) == b"".join(text[start:end] for _, _, start, end in tokens(text))


def test_compact_has_no_bound_on_nesting() -> None:
    """Deep text loses its white space too."""
    assert compact(b'{ "a b":\n[\r\n' * 2000 + b"] }" * 2000) == b'{"a b":[' * 2000 + b"]}" * 2000


@given(nearly_json())
@example(b'"a\nb"')
def test_compacting_what_is_not_json_is_an_error(text: bytes) -> None:
    """Rather than a line that looks whole and is not."""
    if legal(text):
        assert b"\n" not in compact(text)
    else:
        with pytest.raises(ThreadError):
            compact(text)
