"""Reading what a checkpointer's bytes say, and writing it again: LangGraph's serialization.

Nothing that the data names is imported or called, and no pickle is read. Bytes that are not sound
raise `ThreadError`, whatever they are, and nothing else: LangGraph itself passes over some damage
and loads None. (`UsageError` says that a key has a length that no key has, or that the package
that reads encrypted values is missing.)

`decode` gives neutral JSON: what the API shows, but with a tag wherever JSON alone would lose
what a value is. A tagged value is an object with the key `__lgx__`:

    tag              other fields                         what it stands for
    ---------------  -----------------------------------  ---------------------------------------
    (none)           those of the message's dump          a message of LangChain, as the API shows
    bytes            value: base64                        bytes
    bytearray        value: base64                        a bytearray; only as the whole value
    empty                                                 a channel's row without a value
    float            value: nan, inf, -inf, nan:<bits>    a number that JSON has no word for
    object           value: object                        a dict that has the key `__lgx__` or
                                                          looks like a message; the keys of `value`
                                                          mean nothing
    map              value: [[key, value], ...]           a dict with keys that are no texts
    set              value: [...]                         a set; likewise frozenset, deque
    uuid             value: 8-4-4-4-12                    a UUID
    decimal          value: text                          a Decimal
    datetime         value: ISO 8601                      a datetime
    date             value: YYYY-MM-DD                    a date
    time             value: HH:MM:SS[.ffffff]             a time without zone and fold
    timedelta        days, seconds, microseconds          a timedelta
    numpy            dtype, shape, order, data: base64    an array of numpy
    send             node, arg[, timeout]                 a Send
    interrupt        its own: value, id, ...              an Interrupt
    delta_snapshot   value                                the snapshot of a DeltaChannel
    pydantic         module, name, value: its dump        a model; likewise pydantic_v1
    constructor      module, name, and arg, args or       anything else that is made by a call:
                     kwargs (the older "json" form may    dataclasses, enums, paths, zones,
                     have args, kwargs and method)        patterns, addresses, named tuples, ...
    method           module, name, method, arg            the same by a method of a class
    extension        code, and value or data: base64      an extension in a form that LangGraph
                                                          does not write, or does not know

Integers are JSON numbers, however large. Tuples are arrays: LangGraph keeps no difference. Of
duplicate keys the last counts, as it does for LangGraph. `float32`, which LangGraph reads and never
writes, is a number like any other; so is an exception, which it writes as its `repr()`.

`encode` turns neutral JSON into the bytes that LangGraph's serializer would write: of what it
wrote itself, the same bytes. A `Document` keeps the bytes it came from, whoever wrote them, and
gives them back where nothing was changed.
"""

from __future__ import annotations

from lgx_plugins.checkpointers.serde.cipher import KEY_VARIABLE, environment_key
from lgx_plugins.checkpointers.serde.document import Document
from lgx_plugins.checkpointers.serde.imports import SAFE, UNTOLD, Name, unsafe
from lgx_plugins.checkpointers.serde.meaning import has_sets, meaning
from lgx_plugins.checkpointers.serde.strings import Text
from lgx_plugins.checkpointers.serde.tags import TAG
from lgx_plugins.checkpointers.serde.writing import encode

__all__ = [
    "KEY_VARIABLE",
    "SAFE",
    "TAG",
    "UNTOLD",
    "Document",
    "Name",
    "Text",
    "decode",
    "encode",
    "environment_key",
    "has_sets",
    "meaning",
    "names",
    "unsafe",
]


def decode(kind: str | None, blob: bytes | None, key: bytes | None = None) -> bytes:
    """The neutral JSON of a serialized value.

    Args:
        kind: the type that is kept beside the bytes.
        blob: the bytes; None stands for none.
        key: of AES, for types such as "msgpack+aes"; see `environment_key`.

    Raises:
        ThreadError: the value cannot be read; the message says why.
    """
    return Document.parse(kind, blob, key).to_json()


def names(kind: str | None, blob: bytes | None, key: bytes | None = None) -> set[Name]:
    """The modules and names that loading a value would make LangGraph import and call.

    Raises:
        ThreadError: the value cannot be read.
    """
    return Document.parse(kind, blob, key).names()
