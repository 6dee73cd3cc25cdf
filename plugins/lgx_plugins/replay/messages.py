"""Message lists: what a server does to messages that come as JSON, and what to send for it.

A reducer of messages takes dicts and makes messages of them. On the way it gives an id to
those without one, removes what a `remove` names, replaces what has the id of another, and moves
fields that its constructor does not know into `additional_kwargs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Raw, Struct, field

__all__ = [
    "MOVED",
    "Messages",
    "cleaned",
    "count_messages",
    "edits",
    "messages_of",
    "moved",
    "replacement",
    "rewritten",
]

REMOVE_ALL = "__remove_all__"
_OVERWRITE = "__overwrite__"

MOVED = {"usage_metadata": Raw(b"null"), "invalid_tool_calls": Raw(b"[]")}
"""Fields that servers move into `additional_kwargs`, and what they hold where they are empty."""

_OF_CHUNK = {
    "HumanMessageChunk": "human",
    "AIMessageChunk": "ai",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "function",
}
_TYPES = frozenset(
    ["human", "user", "ai", "assistant", "system", "developer", "tool", "function", "chat"]
).union(["remove"], _OF_CHUNK)
_EMPTY = {
    **MOVED,
    # A server that makes messages of these gives them back; where they do not come back, the
    # channel is none of messages.
    "additional_kwargs": Raw(b"{}"),
    "response_metadata": Raw(b"{}"),
    "name": Raw(b"null"),
}
_CHUNK_ONLY = ("tool_call_chunks", "chunk_position")


class _Head(Struct, gc=False):
    type: str
    content: Raw
    id: str | None = None


class _Written(Struct, gc=False):
    type: str | None = None
    role: str | None = None
    id: str | None = None


class _Overwrite(Struct, gc=False):
    """What a node wrote in place of what a reducer would make: in one of two forms."""

    type: str | None = None
    value: Raw = Raw()
    named: Raw = field(name=_OVERWRITE, default=Raw())

    @property
    def held(self) -> Raw:
        return self.value if self.type == _OVERWRITE else self.named


class _Rendered(Struct, gc=False):
    type: str
    content: Raw
    additional_kwargs: Raw
    response_metadata: Raw


_overwrite_decoder = msgspec.json.Decoder(_Overwrite)
_rendered_decoder = msgspec.json.Decoder(_Rendered)
_rendered_list_decoder = msgspec.json.Decoder(list[_Rendered])
_heads_decoder = msgspec.json.Decoder(list[_Head])
_written_decoder = msgspec.json.Decoder(_Written)
_items_decoder = msgspec.json.Decoder(list[Raw])
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()


class Messages(Struct, frozen=True):
    """A list of messages by their ids, in order; each as text."""

    items: dict[str, Raw]


def messages_of(value: Raw) -> Messages | None:
    """The messages of a channel, if it holds a list of them, each with an id of its own."""
    if bytes(memoryview(value)[:1]) != b"[":
        return None
    try:
        heads = _heads_decoder.decode(value)
        items = _items_decoder.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    found: dict[str, Raw] = {}
    for head, item in zip(heads, items, strict=True):
        if head.id is None or head.type not in _TYPES:
            return None
        found[head.id] = item
    return Messages(found) if len(found) == len(items) else None


def count_messages(value: Raw) -> int:
    """How many messages this is, or is a list of, as a server renders them."""
    try:
        if bytes(memoryview(value)[:1]) == b"[":
            heads = _rendered_list_decoder.decode(value)
        else:
            heads = [_rendered_decoder.decode(value)]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return 0
    return sum(head.type in _TYPES for head in heads)


def moved(value: Raw) -> Iterator[str]:
    """The names of the fields that a server moves elsewhere, where they hold something in this
    list of messages."""
    text = bytes(value)
    names = [name for name in MOVED if b'"%b":' % name.encode() in text]
    if not names or not count_messages(value) or text[:1] != b"[":
        return
    for fields in map(_fields_decoder.decode, _items_decoder.decode(value)):
        yield from (name for name in names if fields.get(name, MOVED[name]) != MOVED[name])


def rewritten(writes: Sequence[Raw], before: Messages | None, after: Messages) -> list[Raw] | None:
    """Writes to a list of messages, as they have to be sent so that `after` comes of them.

    Each message is the one that the list holds afterwards, with its id. None where these are
    no writes of messages.
    """
    parted: list[list[_Item]] = []
    for write in writes:
        items = _items(write)
        if items is None:
            return None
        parted.append(items)
    taken = {item.id for items in parted for item in items if item.id is not None}
    known = before.items if before is not None else {}
    if any(item.id == REMOVE_ALL for items in parted for item in items):
        known = {}
    fresh = iter([key for key in after.items if key not in known and key not in taken])
    sent = []
    for items in parted:
        texts = []
        for item in items:
            if item.removes:
                texts.append(_removal(item.id or ""))
                continue
            key = item.id if item.id is not None else next(fresh, None)
            text = after.items.get(key, item.text) if key is not None else item.text
            texts.append(_clean(text))
        sent.append(_array(texts))
    return sent


def cleaned(write: Raw) -> Raw:
    """A write to a list of messages as it was written, without what a server would misplace."""
    items = _items(write)
    if items is None:
        return write
    return _array(_removal(item.id or "") if item.removes else _clean(item.text) for item in items)


def edits(before: Messages | None, after: Messages) -> Raw:
    """One write that makes one list of another: removals, edits and what is added."""
    old = before.items if before is not None else {}
    kept = [key for key in old if key in after.items]
    order = [*kept, *(key for key in after.items if key not in old)]
    if order != list(after.items):
        return replacement(after)
    texts = [_removal(key) for key in old if key not in after.items]
    texts += [_clean(text) for key, text in after.items.items() if old.get(key) != text]
    return _array(texts)


def replacement(after: Messages) -> Raw:
    """One write that removes all messages and adds these."""
    return _array([_removal(REMOVE_ALL), *map(_clean, after.items.values())])


class _Item(Struct, gc=False):
    text: Raw
    id: str | None
    removes: bool


def _items(write: Raw) -> list[_Item] | None:
    """The messages of one write: a message or a list of them, in any form that is taken. One
    that overwrites removes all that were there, since a reducer alone makes messages of data."""
    first = bytes(memoryview(write)[:1])
    try:
        if first == b"{" and len(held := _overwrite_decoder.decode(write).held):
            items = _items(held) if bytes(memoryview(held)[:1]) == b"[" else None
            return None if items is None else [_Item(write, REMOVE_ALL, True), *items]
        if first == b"[":
            texts = _items_decoder.decode(write)
            if len(texts) == 2 and _is_pair(texts):
                texts = [write]
        else:
            texts = [write]
        return [_item(text) for text in texts]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _item(text: Raw) -> _Item:
    if bytes(memoryview(text)[:1]) != b"{":
        if bytes(memoryview(text)[:1]) == b"[":
            if not _is_pair(_items_decoder.decode(text)):
                raise msgspec.ValidationError("not a message")
        elif bytes(memoryview(text)[:1]) != b'"':
            raise msgspec.ValidationError("not a message")
        return _Item(text, None, False)
    head = _written_decoder.decode(text)
    kind = head.role or head.type
    if kind not in _TYPES:
        raise msgspec.ValidationError("not a message")
    return _Item(text, head.id, kind == "remove")


def _is_pair(texts: Sequence[Raw]) -> bool:
    """Whether these are a role and what is said, the short form of a message."""
    first = bytes(texts[0]) if len(texts) == 2 else b""
    return first[:1] == b'"' and first[1:-1].decode() in _TYPES


def _clean(text: Raw) -> Raw:
    """A message without the fields that a server would move elsewhere though they are empty."""
    if bytes(memoryview(text)[:1]) != b"{":
        return text
    fields = _fields_decoder.decode(text)
    kind = fields.get("type")
    chunk = None if kind is None else _OF_CHUNK.get(bytes(kind)[1:-1].decode())
    for key, empty in _EMPTY.items():
        if fields.get(key) == empty:
            del fields[key]
    if chunk is not None:
        fields["type"] = Raw(_encoder.encode(chunk))
        for key in _CHUNK_ONLY:
            fields.pop(key, None)
    return Raw(_encoder.encode(fields))


def _removal(key: str) -> Raw:
    return Raw(_encoder.encode({"type": "remove", "content": "", "id": key}))


def _array(texts: Iterable[Raw]) -> Raw:
    return Raw(b"[%b]" % b",".join(map(bytes, texts)))
