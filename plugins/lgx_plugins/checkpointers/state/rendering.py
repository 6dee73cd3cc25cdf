"""Values as LangGraph's API shows them: plain JSON, of what a checkpointer has serialized.

A tag of the neutral form stays only where the API has no form of its own: on extensions that
LangGraph does not know, and on arrays of numpy that hold other things than numbers.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeAlias

from lgx import ThreadError
from lgx_plugins.checkpointers.rows.encryption import Cipher, is_encrypted
from lgx_plugins.checkpointers.serde import TAG, decode
from lgx_plugins.checkpointers.serde.text import encode_tree, parse
from lgx_plugins.checkpointers.state.arrays import numbers

__all__ = ["Opener", "Typed", "plain", "shown", "tree_of"]

Typed: TypeAlias = tuple[str | None, bytes | None]
"""Type and bytes."""

_LARGEST = 1 << 64
_TAG = TAG.encode()


class Opener:
    """Reads serialized values, encrypted ones with the key."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def opened(self, typed: Typed, what: str) -> Typed:
        """The same, no longer encrypted; as `Cipher.open` raises."""
        type_, blob = typed
        if type_ is None or not is_encrypted(type_):
            return typed
        return self._cipher.open(type_, blob or b"", what)

    def neutral(self, typed: Typed, what: str) -> bytes:
        """Neutral JSON of `serde`.

        Raises:
            ThreadError: it cannot be read; the message says why, and names it.
        """
        try:
            return decode(*self.opened(typed, what))
        except ThreadError as error:
            raise ThreadError(f"{what}: {error}") from None

    def tree(self, typed: Typed, what: str) -> Any:
        """The neutral form as objects; raises as `neutral`."""
        return parse(self.neutral(typed, what))

    def shown(self, typed: Typed, what: str) -> bytes:
        """What the API shows; raises as `neutral`."""
        return shown(self.neutral(typed, what), what)


def shown(neutral: bytes, what: str) -> bytes:
    """What the API shows of a value in neutral form.

    Raises:
        ThreadError: it is nested too deeply.
    """
    if _TAG not in neutral and b"\\u0000" not in neutral and b"\\ud" not in neutral:
        return neutral
    return tree_of(parse(neutral), what)


def tree_of(tree: object, what: str) -> bytes:
    """The same of a neutral form as objects."""
    try:
        return encode_tree(plain(tree))
    except RecursionError:
        raise ThreadError(
            f"{what} is nested too deeply to be shown as a state; copy the thread with "
            "--fidelity raw"
        ) from None


def plain(node: Any) -> Any:
    """A neutral form as the API's, both as objects."""
    if type(node) is str:
        return _text(node)
    if type(node) is list:
        return [plain(item) for item in node]
    if type(node) is dict:
        if TAG in node:
            return _untagged(node)
        return {_text(key): plain(value) for key, value in node.items()}
    if type(node) is float and not isfinite(node):
        return None
    if type(node) is int and not -_LARGEST // 2 <= node < _LARGEST:
        import orjson

        return orjson.Fragment(str(node).encode())
    return node


def _text(text: str) -> str:
    """As the server writes it: nothing that databases refuse."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("?" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def _untagged(node: Mapping[str, Any]) -> Any:
    form = _FORMS.get(node[TAG])
    return {key: plain(value) for key, value in node.items()} if form is None else form(node)


def _value(node: Mapping[str, Any]) -> Any:
    return plain(node["value"])


def _object(node: Mapping[str, Any]) -> Any:
    """An object of the user's own: its keys mean nothing."""
    return {_text(key): plain(value) for key, value in node["value"].items()}


def _map(node: Mapping[str, Any]) -> Any:
    found = {}
    for key, value in node["value"]:
        name = plain(key)
        if type(name) is not str:
            name = encode_tree(name).decode()
        found[name] = plain(value)
    return found


def _date(node: Mapping[str, Any]) -> Any:
    return [int(part) for part in node["value"].split("-")]


def _time(node: Mapping[str, Any]) -> Any:
    clock, _, fraction = node["value"].partition(".")
    hour, minute, second = map(int, clock.split(":"))
    micro = int(fraction or 0)
    named = {"hour": hour, "minute": minute, "second": second, "microsecond": micro}
    return {**named, "tzinfo": None, "fold": 0}


def _span(node: Mapping[str, Any]) -> Any:
    return [node["days"], node["seconds"], node["microseconds"]]


def _array(node: Mapping[str, Any]) -> Any:
    found = numbers(node)
    return dict(node) if found is None else plain(found)


def _send(node: Mapping[str, Any]) -> Any:
    return {"node": plain(node["node"]), "args": plain(node["arg"])}


def _fields(node: Mapping[str, Any]) -> Any:
    return {_text(key): plain(value) for key, value in node.items() if key != TAG}


def _constructor(node: Mapping[str, Any]) -> Any:
    if node.get("method") == "fromhex" and node["module"] == "builtins":
        return _from_hex(node)
    given = [node[key] for key in ("arg", "args", "kwargs") if key in node]
    return plain(given[0]) if len(given) == 1 else plain(given)


def _from_hex(node: Mapping[str, Any]) -> Any:
    """Bytes in the older JSON form."""
    try:
        (text,) = node["args"]
        return b64encode(bytes.fromhex(text)).decode()
    except (KeyError, ValueError, TypeError):
        return plain(node.get("args"))


def _nothing(node: Mapping[str, Any]) -> Any:
    return None


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    **dict.fromkeys(
        (
            *("bytes", "bytearray", "set", "frozenset", "deque", "uuid", "decimal", "datetime"),
            *("delta_snapshot", "pydantic", "pydantic_v1"),
        ),
        _value,
    ),
    "object": _object,
    "map": _map,
    "float": _nothing,
    "empty": _nothing,
    "date": _date,
    "time": _time,
    "timedelta": _span,
    "numpy": _array,
    "send": _send,
    "interrupt": _fields,
    "constructor": _constructor,
    "method": lambda node: plain(node["arg"]),
}
