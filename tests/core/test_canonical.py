"""The canonical form: one text for all texts that hold the same value."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from lgx import Checkpoint, Thread, ThreadError, UnknownRecord, canonical, digest, record_digest
from lgx.canonical import _tree, _write, digest_records, duplicate_keys


def slow(text: bytes) -> bytes:
    """The canonical form by the road that needs no msgspec."""
    return _write(_tree(text, []))


# -- numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("10E-1", "1"),
        ("1E+2", "100"),
        ("100", "100"),
        ("1.10", "1.1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e99999999999999999999999", "0"),
        ("-12.50", "-12.5"),
        ("0.1", "0.1"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "18446744073709551616"),
        ("18446744073709551616.000", "18446744073709551616"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e21"),
        ("1" + "0" * 21, "1e21"),
        ("1e-21", "0.000000000000000000001"),
        ("1e-22", "1e-22"),
        ("1e400", "1e400"),
        ("10e399", "1e400"),
        ("1e999999999", "1e999999999"),
        ("0.001e1000000002", "1e999999999"),
        ("1e+00000000000000000000000000000002", "100"),
        ("1e" + "9" * 5000, "1e" + "9" * 5000),
        ("1.5e-" + "9" * 5000, "15e-1" + "0" * 5000),
        ("7" * 5000, "7" * 5000),
        ("7" * 5000 + "00", "7" * 5000 + "e2"),
    ],
)
def test_numbers_are_equal_by_their_exact_decimal_value(written: str, expected: str) -> None:
    """Every way to write a number has one form, whose size follows the text's."""
    assert canonical(written.encode()) == expected.encode()
    assert slow(written.encode()) == expected.encode()
    assert canonical(expected.encode()) == expected.encode()


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    whole = draw(st.integers(0, 10 ** draw(st.sampled_from([1, 3, 18, 19, 20, 40]))))
    text = draw(st.sampled_from(["", "-"])) + str(whole)
    text += draw(st.sampled_from(["", ".", ".0", ".000"]))
    if "." in text:
        text += str(draw(st.integers(0, 10 ** draw(st.sampled_from([1, 6, 22])))))
    if draw(st.booleans()):
        text += draw(st.sampled_from("eE")) + draw(st.sampled_from(["", "+", "-", "-00"]))
        text += str(draw(st.integers(0, 40)))
    return text


@given(number_texts(), number_texts())
def test_two_numbers_have_one_form_exactly_when_their_values_are_equal(a: str, b: str) -> None:
    """The oracle is exact rational arithmetic."""
    same = Fraction(Decimal(a)) == Fraction(Decimal(b))
    assert (canonical(a.encode()) == canonical(b.encode())) is same


@given(number_texts())
def test_the_form_of_a_number_has_its_value(text: str) -> None:
    """Nothing is rounded, and the form is a JSON number again."""
    form = canonical(text.encode())
    assert Fraction(Decimal(form.decode())) == Fraction(Decimal(text))
    assert canonical(form) == form == slow(text.encode())


# -- strings, keys, nesting ----------------------------------------------------------


def test_strings_are_equal_by_their_code_points() -> None:
    """How a character is escaped does not count; a pair of surrogates is one character."""
    text = rb'["\u0041", "A", "\/", "\ud83d\ude00", "\u00e9\n\u2028"]'
    expected = '["A","A","/","😀","é\\n\u2028"]'.encode()
    assert canonical(text) == slow(text) == expected


def test_lone_surrogates_are_kept() -> None:
    """They differ from each other, from U+FFFD and from the pairs they could be part of."""
    text = rb'{"\uDFFF":"a\ud800b\uDC00", "\ud800":"\ufffd"}'
    expected = b'{"\\ud800":"\xef\xbf\xbd","\\udfff":"a\\ud800b\\udc00"}'
    assert canonical(text) == expected
    assert canonical(expected) == expected


def test_keys_are_sorted_by_code_points() -> None:
    """Not by UTF-16 units, in which U+1F600 would come before U+FFFF; on both roads."""
    text = '{"😀":1, "\uffff":2, "é":3, "z":4, "":5, "Z":6}'.encode()
    expected = '{"":5,"Z":6,"z":4,"é":3,"\uffff":2,"😀":1}'.encode()
    assert canonical(text) == slow(text) == expected


def test_the_last_of_duplicate_keys_counts_and_the_fact_can_be_learned() -> None:
    """Also where the keys are escaped differently, and at any depth."""
    text = rb'{"a": 1, "b": [{"x": 1, "\u0078": 2}], "\u0061": {"c": 3}, "a": null}'
    expected = b'{"a":null,"b":[{"x":2}]}'
    assert canonical(text) == slow(text) == expected
    assert duplicate_keys(text) == ("x", "a")
    assert duplicate_keys(b'[{"a": "a"}, {"a": {"a": ["a"]}}]') == ()


def test_arrays_keep_their_order() -> None:
    """`[1,2]` is not `[2,1]`, and an empty array is not an empty object."""
    assert canonical(b" [ 2 , 1 , [ ] , { } , true , false , null ] ") == (
        b"[2,1,[],{},true,false,null]"
    )


@pytest.mark.parametrize("depth", [10, 999, 1100, 50_000])
def test_any_depth_is_walked_without_recursion(depth: int) -> None:
    """Nesting costs time and memory in proportion to the text, not a stack overflow."""
    text = b'{"b":[0,' * depth + b"1.0" + b'],"a":2}' * depth
    expected = b'{"a":2,"b":[0,' * depth + b"1" + b"]}" * depth
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"1 2",
        b"[1,]",
        b'{"a":1,}',
        b'{"a"}',
        b"{1:2}",
        b"[1",
        b'"a',
        b'"\x01"',
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b'"\xff"',
        b'{"\xc3":1}',
        b"\xef\xbb\xbf1",
        b'"\xed\xa0\x80"',
        b"]",
        b"[}",
        b"nul",
        b"9" * 30 + b"x",
    ],
)
def test_what_is_not_json_is_an_error(text: bytes) -> None:
    """Nothing is guessed: neither form, nor digest, nor duplicates."""
    for function in (canonical, digest, duplicate_keys):
        with pytest.raises(ThreadError):
            function(text)


# -- the two roads -------------------------------------------------------------------

characters = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\ufeff\uffff😀'),
)
surrogates = st.sampled_from("\ud800\udbff\udc00\udfff")
json_strings = st.text(characters, max_size=6)
odd_strings = st.text(characters | surrogates, max_size=6)
scalars = st.one_of(
    number_texts(),
    odd_strings.map(json.dumps),
    json_strings.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(["true", "false", "null"]),
)
spaces = st.sampled_from(["", " ", "\n\t\r "])


@st.composite
def containers(draw: st.DrawFn, children: st.SearchStrategy[str]) -> str:
    items = draw(st.lists(children, max_size=4))
    if draw(st.booleans()):
        keys = st.one_of(odd_strings.map(json.dumps), st.sampled_from(['"a"', '"\\u0061"']))
        items = [draw(keys) + draw(spaces) + ":" + draw(spaces) + item for item in items]
        return "{" + (draw(spaces) + "," + draw(spaces)).join(items) + "}"
    return "[" + draw(spaces) + (draw(spaces) + ",").join(items) + "]"


json_texts = st.recursive(scalars, containers, max_leaves=12)


@given(json_texts)
def test_both_roads_lead_to_the_same_bytes(text: str) -> None:
    """What msgspec makes is what the slow reader makes, and the form is its own form."""
    data = text.encode()
    form = canonical(data)
    assert form == slow(data)
    assert canonical(form) == form
    assert canonical(Raw(data)) == canonical(memoryview(data)) == form


@given(json_texts)
def test_the_form_holds_the_value_of_the_text(text: str) -> None:
    """The oracle is the standard library, with decimals for numbers."""

    def read(data: str) -> object:
        return json.loads(data, parse_float=_value, parse_int=_value)

    assert read(canonical(text.encode()).decode()) == read(text)


def _value(text: str) -> Fraction:
    return Fraction(Decimal(text))


# -- digests -------------------------------------------------------------------------


def test_digests_are_equal_for_equal_values_only() -> None:
    """64 hexadecimal digits, stable over releases: they are kept beside data."""
    assert digest(b'{"b": 1.0, "a": "\\u0041"}') == digest(b'{"a":"A","b":1}')
    assert digest(b'{"a":0.1}') != digest(b'{"a":0.1000000000000000055}')
    assert digest(b"null") == "6bfb9a89e7917438ddb17fb73d74243df565eae70968b5a290cf5f3563d76bef"


def test_a_records_digest_covers_kind_and_every_field() -> None:
    """Whatever changes changes the digest; how the same JSON is written does not."""
    base = Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=Raw(b'{"a":1}'))
    same = Checkpoint(
        thread_id="t", checkpoint_ns="", checkpoint_id="c", values=Raw(b'{ "a":\n1.0 }')
    )
    others = [
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="d", values=base.values),
        Checkpoint(thread_id="t", checkpoint_ns="n", checkpoint_id="c", values=base.values),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=Raw(b'{"a":2}')),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c", values=Raw(b"null")),
        Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="c"),
        Checkpoint(
            thread_id="t",
            checkpoint_ns="",
            checkpoint_id="c",
            values=base.values,
            extra={"ttl": Raw(b"null")},
        ),
        Thread(thread_id="t"),
        UnknownRecord(name="x", thread_id="t", body=Raw(b'{"kind":"x","thread_id":"t"}')),
    ]
    assert record_digest(base) == record_digest(same)
    assert len({record_digest(record) for record in [base, *others]}) == len(others) + 1


def test_unset_differs_from_null() -> None:
    """A source that sent no metadata did not send null."""
    assert record_digest(Thread(thread_id="t")) != record_digest(
        Thread(thread_id="t", metadata=Raw(b"null"))
    )


def test_the_digest_of_several_records_counts_order_unless_told_not_to() -> None:
    """How often a record occurs always counts."""
    a, b = Thread(thread_id="a"), Thread(thread_id="b")
    assert digest_records([a, b]) == digest_records(iter([a, b])) != digest_records([b, a])
    assert digest_records([a, b], ordered=False) == digest_records([b, a], ordered=False)
    assert digest_records([a], ordered=False) != digest_records([a, a], ordered=False)
    assert digest_records([]) != digest_records([a])
