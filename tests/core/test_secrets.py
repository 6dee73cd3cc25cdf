"""Secrets: they do not print themselves, and are found where the user says they are."""

from __future__ import annotations

import copy
import sys
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgx import Secret, UsageError, redact_url
from lgx.secrets import is_place, redact, resolve_reference


def test_a_secret_does_not_print_itself() -> None:
    """In no form of output that a log, a report or a traceback may use."""
    secret = Secret("s3cret")
    holder = msgspec.defstruct("Holder", [("key", Secret)])(secret)
    try:
        raise ValueError(secret, holder)
    except ValueError as error:
        shown = "".join(traceback.format_exception(error))
    shown += f"{secret} {secret!r} {[secret]} {holder} %s %r" % (secret, secret)
    assert "s3cret" not in shown
    assert str(secret) == "***"
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_a_secret_gives_its_value_when_asked() -> None:
    """Equal ones are equal, also as keys; a string is never equal to one."""
    assert Secret("a").reveal() == "a"
    assert {Secret("a"), Secret("a"), copy.copy(Secret("a"))} == {Secret("a")}
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_reference_to_the_environment_is_resolved() -> None:
    """A name that is not set is an error, not an empty secret."""
    assert resolve_reference("env:KEY", {"KEY": "v"}) == "v"
    with pytest.raises(UsageError, match="environment variable KEY is not set"):
        resolve_reference("env:KEY", {})


def test_a_reference_to_a_file_is_resolved(tmp_path: Path) -> None:
    """White space around the secret, an editor's newline for one, is not part of it."""
    path = tmp_path / "key"
    path.write_text(" s3cret\n")
    path.chmod(0o600)
    assert resolve_reference(f"file:{path}") == "s3cret"


def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The message tells the remedy."""
    path = tmp_path / "key"
    path.write_text("s3cret")
    path.chmod(0o640)
    with pytest.raises(UsageError) as caught:
        resolve_reference(f"file:{path}")
    assert str(caught.value) == (f"secret file {path} can be read by others; run: chmod 600 {path}")


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, content: bytes | None
) -> None:
    """Missing, or not text; what stands in it is not shown."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    with pytest.raises(
        UsageError, match=r"does not exist; correct the path$|is not UTF-8 text; save it as UTF-8$"
    ):
        resolve_reference(f"file:{path}")


@pytest.mark.parametrize("text", ["", "plain", "env:", "file:", "keyring:x", "a:b", "ENV:X"])
def test_what_is_no_reference_is_the_secret_itself(text: str) -> None:
    """A key may hold a colon."""
    assert resolve_reference(text, {}) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:p@ss@h/db", "postgresql://u:***@h/db"),
        ("postgresql://u:p/a?s#s@h/db", "postgresql://u:***@h/db"),
        ("redis://:p@h:6379/0", "redis://:***@h:6379/0"),
        ("see https://u:p@h/x, and https://v:q@i", "see https://u:***@h/x, and https://v:***@i"),
        ("a://u:p@h,b://v:q@i", "a://u:***@i"),
        ("https://h/x?api_key=abc&limit=5", "https://h/x?api_key=***&limit=5"),
        ("https://h/x?a=1&access_token=abc", "https://h/x?a=1&access_token=***"),
        ("https://h/?X-Amz-Signature=ab", "https://h/?X-Amz-Signature=***"),
        ("postgresql://h/db?sslpassword=x y", "postgresql://h/db?sslpassword=*** y"),
        ("https://h:8123/users/a@example.com", "https://h:8123/users/a@example.com"),
        ("https://h/a:b@c", "https://h/a:b@c"),
        ("mail a:b@example.com", "mail a:b@example.com"),
        ('{"url":"https://h","mail":"a@b"}', '{"url":"https://h","mail":"a@b"}'),
    ],
)
def test_passwords_in_urls_are_replaced(text: str, shown: str) -> None:
    """Also those that should have been escaped; rather too much goes than too little."""
    assert redact_url(text) == shown


@given(
    st.text(st.characters(categories=["L", "N"]) | st.sampled_from("/?#@:!$&%+-._~"), min_size=4)
)
def test_no_password_that_is_no_port_survives(password: str) -> None:
    """Whatever it is made of; `12/…` alone looks like a port and a path."""
    password = "x" + password
    assert password not in redact_url(f"postgresql://user:{password}@host/db")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("redis://localhost", True),
        ("redis://127.0.0.1:6379/0", True),
        ("rediss://[::1]:6379/", True),
        ("redis://user@h:6379/0", False),
        ("redis://:p@h", False),
        ("redis://h:6379/0?password=p", False),
        ("https://hooks.example.com/T0/secret", False),
        ("redis://h/0\nsecret", False),
        ("a-key", False),
    ],
)
def test_an_address_without_user_path_and_query_is_no_secret(text: str, *, place: bool) -> None:
    assert is_place(text) is place


def test_known_secrets_are_replaced_the_longest_first() -> None:
    """One that is part of another does not leave the rest of it behind."""
    assert redact("abcd and abcdefgh", ["abcd", "abcdefgh"]) == "*** and ***"
    assert redact("key is k1", ["k1"]) == "key is k1"


def test_a_missing_keyring_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own name: what is called lgx on PyPI is another project's."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError) as caught:
        resolve_reference("keyring:service/name")
    assert str(caught.value) == (
        "the keyring: form needs the keyring package; run: pip install keyring"
    )
