"""Secrets that were written out where a reference would do: they are remembered, so that nothing
prints them, and warned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lgx.cli.choice import Chosen
from lgx.cli.flags import resolved_env
from lgx.cli.scan import Scan
from lgx.cli.session import Session, is_reference
from lgx.config import OptionInfo
from lgx.secrets import is_place
from lgx.spec import Use

__all__ = ["learn_of_endpoints", "learn_of_use"]


def learn_of_endpoints(choice: Chosen, scan: Scan, session: Session) -> None:
    """Those of source and sink, before anything can fail and print them."""
    for role, infos in choice.infos.items():
        for info in infos:
            if not info.secret:
                continue
            key, flag = f"{role}_{info.name}", f"--{role}-{info.flag}"
            on_line = [text for given, text in scan.literals if given == flag]
            literals = [text for item in on_line for text in _literals(item, info)]
            in_file = _literals(choice.table.get(key), info)
            for text in (*literals, *in_file, *_literals(resolved_env(key), info)):
                session.learn_text(text)
            if literals:
                session.warn(
                    f"{flag} holds the secret itself, which other users of this machine can "
                    "read; write env:NAME or file:PATH"
                )
            elif in_file:
                session.warn(
                    f"{choice.config}: {role}-{info.flag} holds the secret itself; "
                    "write env:NAME or file:PATH"
                )


def learn_of_use(role: str, use: Use, infos: Sequence[OptionInfo], session: Session) -> None:
    """Those of a component whose options are written behind its name."""
    for info in infos:
        given = use.options.get(info.name, use.options.get(info.flag))
        literals = _literals(given, info) if info.secret else []
        for text in literals:
            session.learn_text(text)
        if literals:
            session.warn(
                f"--{role} {use.name}: {info.flag} holds the secret itself, which others may "
                "read; write env:NAME or file:PATH"
            )


def _literals(value: object, info: OptionInfo) -> list[str]:
    """The secrets that are written out in what a secret option was given."""
    if isinstance(value, Mapping):
        texts = list(value.values())
    elif isinstance(value, list | tuple):
        return [text for item in value for text in _literals(item, info)]
    elif isinstance(value, str) and "KEY=VALUE" in info.type:
        pairs = (line.partition("=") for line in value.splitlines())
        texts = [text if separator else key for key, separator, text in pairs]
    else:
        texts = [value]
    return [
        text
        for text in texts
        if isinstance(text, str) and text and not is_reference(text) and not is_place(text)
    ]
