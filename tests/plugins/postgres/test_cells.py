"""What a cell can hold: everything comes back, and a server takes what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgx import ThreadError, canonical
from lgx_plugins.postgres.cells import (
    JSONB_LIMIT,
    MARK,
    check_size,
    escape_json,
    escape_text,
    instant,
    is_plain_time,
    needs_escape,
    restore_json,
    restore_text,
    restore_time,
    time_text,
)

Sql = Callable[..., list[tuple[Any, ...]]]

M = MARK.encode()

ODD = (
    rb'{"text":"before\u0000after","\u0000":["\u0000"]}',
    rb'{"text":"\ud800","both":"\udfff\ud800","fine":"\ud83c\udf88"}',
    rb'"\ud800\ud800\udc00"',
    rb'"\uD800\uDBFFx\uDC00\uDFFF"',
    rb'"\\u0000 \\\u0000 \\\\u0000 \\\\\ud800 \\ud83c\udf88"',
    M.join((b'{"', b'":"', b'0000","', b'json:1":"', b'"}')),
    b'"' + M + b'json:{}"',
    rb'["\ufdd0","\uFDD00000"]',
    '"\uff0c\ufdfa\ufdd1\uffff\U0010ffff"'.encode(),
    b"[1e999,1e1000,1E+99999,1e-99999,1e999999999999]",
    b'["1e99999",{"1e99999":1e99999}]',
    b"[1e99999 ,2]",
    b"1e99999",
    b"9" * 140_000,
    b"0." + b"9" * 20_000,
    b"[-0,-0.0,0e0,1.10,1E+2,1e400,18446744073709551616,0.1000000000000000055]",
    b'{"a":1,"b":{"c":1,"c":2},"a":3}',
    b'{"\\u0000":1,"' + M + b'0000":2,"\\ufdd00000":3}',
    b"[" * 300 + b"]" * 300,
    b'{"a":[' * 1000 + b"]}" * 1000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 20_000 + rb'"\ud800\u0000"' + b"}" * 20_000,
    b'""',
    b"null",
    b" [ 1 , 2 ] ",
)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_json_comes_back_from_a_server(text: bytes, sql: Sql) -> None:
    """Escaped, stored as JSONB, written out by the server and restored: the same value.

    What only the server refuses is escaped by looking closely."""
    from asyncpg import NumericValueOutOfRangeError, StatementTooComplexError

    try:
        ((stored,),) = sql("SELECT $1::jsonb::text", escape_json(text).decode())
    except (NumericValueOutOfRangeError, StatementTooComplexError):
        ((stored,),) = sql("SELECT $1::jsonb::text", escape_json(text, strictly=True).decode())
    assert canonical(restore_json(stored.encode())) == canonical(text)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_escaping_is_reversible_without_a_server(text: bytes) -> None:
    """Also as looking closely makes it."""
    for strictly in (False, True):
        cell = escape_json(text, strictly=strictly)
        assert canonical(restore_json(cell)) == canonical(text)
        assert cell == text or needs_escape(text) or strictly


def test_what_is_larger_than_any_cell_of_jsonb_is_named() -> None:
    """By column and size, with where else it can go."""
    check_size("values", bytes(JSONB_LIMIT))  # which takes no memory until somebody looks
    with pytest.raises(ThreadError) as refused:
        check_size("values", bytes(JSONB_LIMIT + 1))
    assert str(refused.value) == (
        "column 'values' would hold 268435456 bytes of JSON, and PostgreSQL's JSONB holds "
        "268435455 at most; move this thread into an archive or an ndjson file"
    )


def test_different_values_never_become_one() -> None:
    """Keys too: NUL, and the text that stands for it."""
    texts = [rb'"\u0000"', b'"' + M + b'0000"', rb'"\ufdd0fdd00000"', rb'"\\u0000"', b'"0000"']
    assert len({escape_json(text) for text in texts}) == len(texts)


_STRINGS = st.text(
    st.one_of(st.sampled_from('\0\ufdd0\ud800\udbff\udc00\udfff\\"u0dfj:n,1e'), st.characters())
)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), _STRINGS),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(_STRINGS, inner)),
        max_leaves=20,
    )
)
def test_any_json_comes_back(value: object) -> None:
    """Whatever strings and keys hold, spelled with escapes or without."""
    import json

    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        try:
            data = text.encode()
        except UnicodeEncodeError:  # a lone surrogate that is not escaped is no text
            continue
        cell = escape_json(data)
        assert b"\\u0000" not in cell.replace(b"\\\\", b"")
        assert canonical(restore_json(cell)) == canonical(data)


@given(st.text(st.one_of(st.sampled_from("\0\ufdd00fd"), st.characters(exclude_categories=["Cs"]))))
def test_any_text_comes_back(text: str) -> None:
    """Of a text column; never with a NUL in it."""
    cell = escape_text(text)
    assert b"\0" not in cell
    assert restore_text(cell.decode()) == text


@given(_STRINGS, _STRINGS)
def test_texts_stay_different(first: str, second: str) -> None:
    """Two ids never become one."""
    try:
        cells = {escape_text(first), escape_text(second)}
    except UnicodeEncodeError:  # no line can keep them
        return
    assert len(cells) == len({first, second})


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00.123456+00:00",
        "2026-01-01T12:00:00+00:00",
        "2026-01-01T12:00:00.000000+00:00",
        "2026-01-01T12:00:00.120000+00:00",
        "2026-01-01T12:00:00.12+00:00",
        "2026-01-01T12:00:00.123456789+00:00",
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00",
        "2026-01-01 12:00:00+00:00",
        "2026-01-01T14:00:00.123456+02:00",
        "2026-W01-4T12:00:00.12345+00:00",
        "2026-01-01",
        "0001-01-01T00:00:00+00:00",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59.999999+00:00",
        "yesterday",
        "",
        "a\0b",
        "1767268800",
    ],
)
def test_times_come_back_as_they_were(text: str, sql: Sql) -> None:
    """From the column where it gives the same text, else by what is kept beside it."""
    when = instant(text)
    plain = when is not None and is_plain_time(text, when)
    assert plain == (when is not None and time_text(when) == text)
    assert restore_time(when, None if plain else text) == text
    if when is not None:
        ((stored,),) = sql(
            "SELECT (extract(epoch FROM $1::text::timestamptz) * 1000000)::bigint",
            (time_text(when) or "").replace("T", " "),
        )
        assert stored == when + 946_684_800_000_000


def test_a_time_that_somebody_edited_wins() -> None:
    """What is kept beside a column counts only while it means the same instant."""
    when = instant("2026-01-01T12:00:00Z")
    assert when is not None
    assert restore_time(when, "2026-01-01T12:00:00Z") == "2026-01-01T12:00:00Z"
    assert restore_time(when + 1_000_000, "2026-01-01T12:00:00Z") == "2026-01-01T12:00:01+00:00"
    assert restore_time(None, "2026-01-01T12:00:00Z") is None
    assert restore_time(None, "yesterday") == "yesterday"
