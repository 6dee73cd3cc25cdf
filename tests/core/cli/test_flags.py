"""What flags and variables take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec
import pytest

from lgx.cli.flags import count, metadata_values, size, time

Lgx = Callable[..., Any]
DRY = (
    "run", "--source", "tiny", "--source-place", "here", "--sink", "tiny", "--sink-path", "o",
    "--dry-run", "--quiet",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", None),
        ("999999", None),
        ("1000000", 1_000_000),
        ("64M", 64 << 20),
        ("64MB", 64 << 20),
        ("64 MiB", None),
        ("1.5g", 3 << 29),
        ("2T", 2 << 40),
        ("0", None),
        ("0.2", None),
        ("-1", None),
        ("", None),
        ("1e6", None),
    ],
)
def test_sizes(text: str, number: int | None) -> None:
    """Powers of 1024, at least one byte."""
    if number is not None:
        assert size(text) == number
        return
    with pytest.raises(click.BadParameter):
        size(text)


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "many", "", "²"])
def test_what_is_no_count(text: str) -> None:
    with pytest.raises(click.BadParameter):
        count(text)


def test_times_get_an_offset() -> None:
    assert time("2026-11-20") == "2026-11-20T00:00:00+00:00"
    assert time("2026-11-20T08:00:00+02:00") == "2026-11-20T08:00:00+02:00"


def test_metadata_is_json_or_text() -> None:
    """Numbers keep their text; what is no JSON is a string; the value may hold `=`."""
    values = metadata_values(["n=1E+2", "name=jane doe", 'quoted="7"', "eq=a=b", "flag=true"])

    assert values == {
        "n": msgspec.Raw(b"1E+2"),
        "name": "jane doe",
        "quoted": msgspec.Raw(b'"7"'),
        "eq": "a=b",
        "flag": msgspec.Raw(b"true"),
    }


@pytest.mark.parametrize(
    "text",
    ["thread-000\nthread-001\n", '["thread-000", "thread-001"]', " \nthread-000\n\nthread-001"],
)
def test_a_variable_holds_many_values(lgx: Lgx, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """One a line, or a JSON list; blanks within a value do not split it."""
    monkeypatch.setenv("LGX_THREAD_ID", text)

    assert lgx(*DRY).out == "thread-000\tv0\t100\nthread-001\tv1\t101\n"


def test_a_value_with_blanks_stays_one(lgx: Lgx, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Authorization=Bearer x` is one pair."""
    monkeypatch.setenv("LGX_SOURCE_LABELS", "a=b c\nd=[e")

    assert lgx(*DRY).code == 0


@pytest.mark.parametrize(("value", "code"), [("1", 0), ("yes", 0), ("off", 0), ("maybe", 2)])
def test_a_variable_answers_yes_or_no(
    lgx: Lgx, monkeypatch: pytest.MonkeyPatch, value: str, code: int
) -> None:
    monkeypatch.setenv("LGX_SOURCE_RUNS", value)

    assert lgx(*DRY).code == code
