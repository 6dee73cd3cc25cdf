"""What servers move within messages when they are given them.

A message that is given as an object keeps `usage_metadata` and `invalid_tool_calls` only among
its `additional_kwargs`; where they are empty they are left out. The form made here is the same
before and after: of either side no more is kept than digests, so that the two cannot be held
beside each other, and neither side need be the server that did it, as of an export from there.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from lgx.canonical import canonical
from lgx.errors import ThreadError

__all__ = ["movable", "moved"]

_KEYS = ("invalid_tool_calls", "usage_metadata")
_FULL = (b'"invalid_tool_calls":[{', b'"usage_metadata":{')
_decoder = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))


def movable(form: bytes) -> bool:
    """Whether a value, in canonical form, may hold something that is moved."""
    return _FULL[0] in form or _FULL[1] in form


def moved(form: bytes) -> bytes:
    """The value, in canonical form, with what is moved in its first place and without what is
    empty; as it is where it is not to be had exactly."""
    try:
        value = _decoder.decode(form)
        if canonical(msgspec.json.encode(value)) != form:
            return form  # an integer that decoding changes
        return canonical(msgspec.json.encode(_moved(value)))
    except (msgspec.MsgspecError, RecursionError, ThreadError):
        return form


def _moved(value: object) -> object:
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {key: _moved(item) for key, item in value.items()}
    others = fields.get("additional_kwargs")
    if isinstance(others, dict) and "type" in fields and "content" in fields:
        if any(fields.get(key) and others.get(key) for key in _KEYS):
            return fields  # each stands where it stood
        others = dict(others)
        for key in _KEYS:
            own = fields.pop(key, None)
            held = others.pop(key, None)
            if own or held:
                fields[key] = own or held
        fields["additional_kwargs"] = others
    return fields
