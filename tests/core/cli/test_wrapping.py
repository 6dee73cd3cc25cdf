"""Lines of bounded width."""

from __future__ import annotations

import pytest

from lgx.cli.session import Session
from lgx.cli.wrapping import wrapped


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [">"]),
        ("short", ["> short"]),
        (
            "a sentence of words which is a little longer than a line",
            ["> a sentence of words which is", "  a little longer than a line"],
        ),
        (
            "see https://a-host.example.org/with/a/long/path/to/it for more",
            [
                "> see",
                "  https://a-host.example.org/",
                "  with/a/long/path/to/it for",
                "  more",
            ],
        ),
        ("x" * 60, ["> " + "x" * 28, "  " + "x" * 28, "  xxxx"]),
        ("/" + "x" * 40, ["> /" + "x" * 27, "  " + "x" * 13]),
    ],
)
def test_text_is_broken_at_blanks(text: str, lines: list[str]) -> None:
    """A word that is longer than a line begins a line of its own, and is broken at its joints,
    if it has any near the end of the line."""
    assert wrapped(text, 30, first="> ", rest="  ") == lines


class _Terminal:
    """A stderr that says it is one, of 40 columns."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_messages_are_wrapped_for_people_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal at words, with the following lines indented; else each is one line, which a
    script can look for."""
    message = "warning: the file secrets.env can be read by others; run: chmod 600 secrets.env"
    monkeypatch.setenv("COLUMNS", "40")
    Session().say(message)
    assert capsys.readouterr().err == f"lgx: {message}\n"

    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    Session().say(message)
    assert terminal.text == (
        "lgx: warning: the file secrets.env can\n"
        "     be read by others; run: chmod 600\n"
        "     secrets.env\n"
    )
