"""How components with options are written in one flag."""

from __future__ import annotations

import pytest

from lgx.cli.uses import parse_use, parse_validator
from lgx.errors import UsageError
from lgx.spec import Use, ValidatorUse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redact", Use(name="redact")),
        ("redact:", Use(name="redact")),
        ("redact:mode=hmac", Use(name="redact", options={"mode": "hmac"})),
        (
            "redact:mode=hmac,key=env:KEY",
            Use(name="redact", options={"mode": "hmac", "key": "env:KEY"}),
        ),
        ("x:pattern=a=b", Use(name="x", options={"pattern": "a=b"})),
        ("x:pattern=a\\,b,flag=yes", Use(name="x", options={"pattern": "a,b", "flag": "yes"})),
        ("x:path=a,path=b", Use(name="x", options={"path": ["a", "b"]})),
        ('x:{"paths": ["a,b"], "n": 3}', Use(name="x", options={"paths": ["a,b"], "n": 3})),
    ],
)
def test_reads_names_and_options(text: str, expected: Use) -> None:
    """Pairs separated by commas, lists by repetition, or a JSON object."""
    assert parse_use(text, "--transform") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("json-safe", ValidatorUse(name="json-safe")),
        ("json-safe@source", ValidatorUse(name="json-safe", at="source")),
        ("json-safe@sink", ValidatorUse(name="json-safe")),
        ("x:a=b@source", ValidatorUse(name="x", options={"a": "b"}, at="source")),
        ("x:owner=me@host", ValidatorUse(name="x", options={"owner": "me@host"})),
    ],
)
def test_a_validator_says_what_it_sees(text: str, expected: ValidatorUse) -> None:
    """`@source` at the end; any other @ belongs to a value."""
    assert parse_validator(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":a=b", "--transform ':a=b' names no plugin; write it as NAME:key=value"),
        (
            "x:a=b,=c",
            "--transform x: option 2 is not key=value; write a comma in a value as \\,",
        ),
        (
            "x:{a}",
            (
                "--transform x: options are not valid JSON: Expecting property name enclosed in "
                "double quotes: line 1 column 2 (char 1)"
            ),
        ),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_use(text, "--transform")

    assert str(caught.value) == message
