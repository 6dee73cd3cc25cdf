"""`--transform` and `--validator` texts: `NAME`, `NAME:key=value,…`, `NAME:{"key": …}`."""

from __future__ import annotations

import json
import re

from lgx.errors import UsageError
from lgx.spec import Use, ValidatorUse

__all__ = ["parse_use", "parse_validator"]


def parse_use(text: str, flag: str) -> Use:
    """A component and its options. A comma within a value is written `\\,`; a key that comes
    twice makes a list; options may be a JSON object instead."""
    name, _, rest = text.partition(":")
    if not name:
        raise UsageError(f"{flag} {text!r} names no plugin; write it as NAME:key=value")
    return Use(name=name, options=_options(rest.strip(), f"{flag} {name}"))


def parse_validator(text: str) -> ValidatorUse:
    """Like `parse_use`; `@source` at the end: it sees the source's data, not the transformed."""
    rest, at, place = text.rpartition("@")
    if at and place == "source":
        use = parse_use(rest, "--validator")
        return ValidatorUse(name=use.name, options=use.options, at="source")
    use = parse_use(text.removesuffix("@sink"), "--validator")
    return ValidatorUse(name=use.name, options=use.options)


def _options(text: str, where: str) -> dict[str, object]:
    if text.startswith("{"):
        try:
            options = json.loads(text)
        except ValueError as error:
            raise UsageError(f"{where}: options are not valid JSON: {error}") from None
        assert isinstance(options, dict)
        return options
    values: dict[str, list[str]] = {}
    for number, part in enumerate(re.split(r"(?<!\\),", text) if text else (), start=1):
        key, separator, value = part.partition("=")
        if not (separator and key.strip()):
            # Not shown: it may be what follows a comma in a secret.
            raise UsageError(
                f"{where}: option {number} is not key=value; write a comma in a value as \\,"
            )
        values.setdefault(key.strip(), []).append(value.replace("\\,", ","))
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}
