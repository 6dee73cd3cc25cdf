"""A first look at a command's arguments, before it is known which flags there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

__all__ = ["Scan"]


class Scan:
    """What can be said of the arguments without knowing all flags.

    Attributes:
        values: of the command's own options that take one.
        seen: all flags.
        words: what is an argument for sure.
        doubtful: what is an argument, or the value of a flag that is not known yet.
        literals: texts after a flag that is not known yet, by flag.
    """

    def __init__(self, params: Sequence[click.Parameter], args: Sequence[str]) -> None:
        options = [param for param in params if isinstance(param, click.Option)]
        takes_value = {text: p for p in options for text in p.opts if not p.is_flag}
        known = {text for p in options for text in (*p.opts, *p.secondary_opts)}
        self.values: dict[str, str] = {}
        self.seen: set[str] = set()
        self.words: list[str] = []
        self.doubtful: list[str] = []
        self.literals: list[tuple[str, str]] = []
        rest: Iterator[str] = iter(args)
        unknown: str | None = None
        for arg in rest:
            flag, separator, value = arg.partition("=")
            if arg == "--":
                self.words.extend(rest)
            elif not (arg.startswith("-") and len(arg) > 1):
                if unknown is None:
                    self.words.append(arg)
                else:
                    self.doubtful.append(arg)
                    self.literals.append((unknown, arg))
                unknown = None
            elif flag in takes_value:
                self.seen.add(flag)
                name = takes_value[flag].name
                self.values[name or ""] = value if separator else next(rest, "")
                unknown = None
            else:
                self.seen.add(flag)
                if separator:
                    self.literals.append((flag, value))
                unknown = None if separator or flag in known else flag
