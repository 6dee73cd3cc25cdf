"""What one invocation of the command line knows: its plugins, and the secrets not to print."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping

import click
from msgspec import Struct, structs

from lgx.cli.wrapping import columns_of, shortened, wrapped
from lgx.registry import Registry
from lgx.secrets import Secret, is_place, redact

__all__ = ["Session", "is_reference", "printable"]

_REFERENCE = re.compile(r"(?:env|file):.|keyring:.*/.")
_SECRET_NAME = re.compile(r"API_?KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)


class Session:
    """One per invocation; click hands it to commands, those of plugins too, as `ctx.obj`."""

    def __init__(self) -> None:
        self.registry = Registry.from_environment()
        self._secrets: set[str] = set()
        self.failure_code = 1
        """What the process exits with where the command could not do its work."""
        self._write: Callable[[str], None] = _to_stderr

    def use_builtin_only(self) -> None:
        self.registry = Registry.from_environment(builtin_only=True)

    def learn(self, value: object) -> None:
        """Remembers every secret within a config or an option, so that it is never printed."""
        if isinstance(value, Secret):
            self.learn_text(value.reveal())
        elif isinstance(value, Struct):
            self.learn(structs.asdict(value))
        elif isinstance(value, Mapping):
            self.learn(tuple(value.values()))
        elif isinstance(value, list | tuple | set | frozenset):
            for item in value:
                self.learn(item)

    def learn_text(self, text: str) -> None:
        if not is_place(text):  # which messages have to name
            self._secrets.add(text)

    def redact(self, text: str) -> str:
        """The text without known secrets, without those of the environment that are named
        like one, and without passwords in URLs. Replacing too much can be undone by whoever
        has the original; what has leaked cannot."""
        named = {
            value
            for name, value in os.environ.items()
            if _SECRET_NAME.search(name) and len(value) >= 8 and not is_reference(value)
        }
        return redact(text, self._secrets | named)

    def say(self, text: str) -> None:
        """One line about the program itself, on stderr; on a terminal as many as it takes."""
        line = f"lgx: {self.redact(text)}"
        if "\n" not in line:
            line = shortened(line)
        columns = columns_of(sys.stderr)
        if columns is None or len(line) <= columns or "\n" in line:  # a traceback, of a log
            self._write(line)
            return
        for part in wrapped(line, columns, rest=" " * len("lgx: ")):
            self._write(part)

    @contextlib.contextmanager
    def speaking_through(self, write: Callable[[str], None]) -> Iterator[None]:
        """While open, lines go to a display that owns the terminal."""
        self._write = write
        try:
            yield
        finally:
            self._write = _to_stderr

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


def is_reference(text: str) -> bool:
    """Whether a secret option's text says where the secret is, and is not the secret itself."""
    return _REFERENCE.match(text) is not None


def printable(text: str) -> str:
    """Text of unknown origin for a terminal: what could steer it is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
