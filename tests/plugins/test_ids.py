"""Ids as bytes."""

from __future__ import annotations

from lgx_plugins.ids import id_bytes, id_digest


def test_strings_that_are_cut_differently_have_other_digests() -> None:
    lists = [
        (),
        ("",),
        ("", ""),
        ("ab",),
        ("a", "b"),
        ("a\0b",),
        ("1:a",),
        ("1:", "a"),
        ("\ud800",),
    ]
    assert len({id_digest(*parts) for parts in lists}) == len(lists)
    assert {len(id_digest(*parts)) for parts in lists} == {16}


def test_any_string_has_bytes() -> None:
    """Also one with a lone surrogate, which UTF-8 forbids."""
    assert id_bytes("é\ud800") == b"\xc3\xa9\xed\xa0\x80"
