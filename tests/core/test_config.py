"""Options: declared once, converted from text, described to users, never betrayed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import field

from lgx import Config, Secret, UsageError, option
from lgx.config import OptionInfo, convert, describe


class Options(Config, frozen=True, kw_only=True):
    path: Annotated[Path, option("Where to write.", example="threads.db")]
    api_key: Annotated[Secret | None, option("The key.", env="SOME_KEY")] = None
    batch_size: Annotated[int, option("How many.", at_least=1)] = 50
    rate: Annotated[float, option("How fast.")] = 1.5
    force: Annotated[bool, option("Do it anyway.")] = False
    mode: Annotated[Literal["raw", "state"] | None, option("How.")] = None
    names: Annotated[tuple[str, ...], option("Who.")] = ()
    labels: Annotated[dict[str, str], option("What.")] = field(default_factory=dict)
    headers: Annotated[dict[str, Secret], option("With what.")] = field(default_factory=dict)
    note: Annotated[str | None, option("Why.", env="SOME_NOTE")] = None


def made(environ: Any = None, **options: object) -> Options:
    return convert(Options, options, where="--sink test", environ=environ or {})


def test_defaults_stand_where_nothing_is_given() -> None:
    """Only what has no default must be given."""
    assert made(path="x") == Options(path=Path("x"))


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("path", "~/x", Path.home() / "x"),
        ("path", Path("~/x"), Path.home() / "x"),
        ("path", "null", Path("null")),
        ("batch_size", "7", 7),
        ("batch-size", 7, 7),
        ("rate", "2", 2.0),
        ("force", "true", True),
        ("force", "yes", True),
        ("force", "Off", False),
        ("force", "0", False),
        ("force", False, False),
        ("mode", "raw", "raw"),
        ("mode", None, None),
        ("names", ["a", "b"], ("a", "b")),
        ("names", "a", ("a",)),
        ("labels", {"a": "1"}, {"a": "1"}),
        ("note", "null", "null"),
        ("note", "5", "5"),
        ("api_key", "literal", Secret("literal")),
        ("api_key", "env:THERE", Secret("s3cret")),
        ("api_key", Secret("env:THERE"), Secret("env:THERE")),
        ("headers", {"a": "env:THERE", "b": "lit"}, {"a": Secret("s3cret"), "b": Secret("lit")}),
    ],
)
def test_what_was_written_becomes_the_declared_type(name: str, written: Any, value: object) -> None:
    """From a flag everything is text, from a file some things are typed already."""
    config = made({"THERE": "s3cret"}, **{"path": "x", name: written})
    assert getattr(config, name.replace("-", "_")) == value


def test_a_variable_stands_in_for_an_option_that_is_not_given() -> None:
    """It is taken as it is: no reference is looked for in it; an empty one counts as unset."""
    environ = {"SOME_KEY": "env:X", "SOME_NOTE": "5"}
    assert made(environ, path="x") == Options(path=Path("x"), api_key=Secret("env:X"), note="5")
    assert made(environ, path="x", api_key="k").api_key == Secret("k")
    assert made({"SOME_KEY": ""}, path="x").api_key is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {},
            (
                "--sink test needs --sink-path (or the variable LGX_SINK_PATH); "
                "`lgx run --sink test --help` lists its options"
            ),
        ),
        (
            {"path": "x", "pth": 1},
            (
                "--sink test has no option 'pth' (did you mean 'path'?); its options: api-key, "
                "batch-size, force, headers, labels, mode, names, note, path, rate"
            ),
        ),
        (
            {"path": None},
            (
                "--sink test: --sink-path cannot be None: expected path, got NoneType; "
                "its type is path"
            ),
        ),
        (
            {"path": "x", "batch_size": "many"},
            (
                "--sink test: --sink-batch-size cannot be 'many': expected int, got str; "
                "its type is number"
            ),
        ),
        (
            {"path": "x", "batch_size": "0"},
            "--sink test: --sink-batch-size cannot be '0': expected int >= 1; its type is number",
        ),
        (
            {"path": "x", "force": "maybe"},
            (
                "--sink test: --sink-force cannot be 'maybe': expected bool, got str; "
                "its type is yes/no"
            ),
        ),
        (
            {"path": "x", "mode": "Raw"},
            (
                "--sink test: --sink-mode cannot be 'Raw': invalid enum value 'Raw'; "
                "its type is raw|state"
            ),
        ),
        (
            {"path": "x", "labels": {"a": 5}},
            (
                "--sink test: --sink-labels cannot be {'a': 5}: expected str, got int; "
                "its type is KEY=VALUE"
            ),
        ),
        (
            {"path": "x", "api_key": "env:MISSING"},
            "environment variable MISSING is not set; set it, or name another",
        ),
    ],
)
def test_a_wrong_option_is_named_with_its_value_and_type(
    options: dict[str, object], message: str
) -> None:
    """The user sees what was written, what is wrong with it and what would be right."""
    with pytest.raises(UsageError) as caught:
        made(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": ["s3cret"]},
        {"headers": "authorization=s3cret"},
        {"headers": {"authorization": ["s3cret"]}},
        {"headers": ["s3cret"]},
        {"api_key": "s3cret", "batch_size": "x"},
    ],
)
def test_no_message_betrays_a_secret(options: dict[str, object]) -> None:
    """Neither the value of a secret option nor what was mistaken for one; nor its cause."""
    with pytest.raises(UsageError) as caught:
        made(path="x", **options)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_config_prints_without_its_secrets() -> None:
    """Its repr may stand in a log or a traceback."""
    config = made(path="x", api_key="s3cret", headers={"a": "s3cret"})
    assert "s3cret" not in f"{config!r} {config}"


def test_options_are_described_from_their_declaration() -> None:
    """Help texts, flags and the generated configuration are made of this."""
    infos = {info.name: info for info in describe(Options)}
    assert infos["path"] == OptionInfo(
        name="path",
        type="path",
        description="Where to write.",
        required=True,
        default=None,
        secret=False,
        boolean=False,
        repeatable=False,
        example="threads.db",
        env=None,
    )
    assert infos["api_key"] == OptionInfo(
        name="api_key",
        type="env:NAME or file:PATH",
        description="The key.",
        required=False,
        default=None,
        secret=True,
        boolean=False,
        repeatable=False,
        example=None,
        env="SOME_KEY",
    )
    assert [(info.flag, info.type, info.boolean, info.repeatable) for info in infos.values()] == [
        ("path", "path", False, False),
        ("api-key", "env:NAME or file:PATH", False, False),
        ("batch-size", "number", False, False),
        ("rate", "number", False, False),
        ("force", "yes/no", True, False),
        ("mode", "raw|state", False, False),
        ("names", "text", False, True),
        ("labels", "KEY=VALUE", False, True),
        ("headers", "KEY=VALUE", False, True),
        ("note", "text", False, False),
    ]
