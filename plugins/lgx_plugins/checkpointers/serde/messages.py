"""The message classes of LangChain, and what their dumps hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["BY_CLASS", "BY_NAME", "BY_TYPE", "Message", "is_message", "with_defaults"]


class Message(NamedTuple):
    """A class, and the word in the `type` of its dumps."""

    module: str
    name: str
    type: str


_MODULES = {
    "human": "HumanMessage",
    "ai": "AIMessage",
    "system": "SystemMessage",
    "chat": "ChatMessage",
    "tool": "ToolMessage",
    "function": "FunctionMessage",
}
_CLASSES = (
    *(Message(f"langchain_core.messages.{key}", name, key) for key, name in _MODULES.items()),
    *(
        Message(f"langchain_core.messages.{key}", f"{name}Chunk", f"{name}Chunk")
        for key, name in _MODULES.items()
    ),
    Message("langchain_core.messages.modifier", "RemoveMessage", "remove"),
)
BY_TYPE = {message.type: message for message in _CLASSES}
BY_NAME = {message.name: message for message in _CLASSES}
BY_CLASS = {(message.module, message.name): message for message in _CLASSES}

_CALLS: dict[str, Any] = {"tool_calls": [], "invalid_tool_calls": [], "usage_metadata": None}
_RESULT: dict[str, Any] = {"artifact": None, "status": "success"}
_FURTHER: dict[str, dict[str, Any]] = {
    "ai": _CALLS,
    "AIMessageChunk": _CALLS,
    "tool": _RESULT,
    "ToolMessageChunk": _RESULT,
}


def is_message(fields: Mapping[str, Any]) -> bool:
    """Whether an object has the shape of a message's dump."""
    kind = fields.get("type")
    return (
        type(kind) is str
        and "additional_kwargs" in fields
        and "content" in fields
        and kind in BY_TYPE
    )


def with_defaults(message: Message, given: Mapping[str, Any]) -> dict[str, Any]:
    """The whole dump of a message of which only what is no default was kept."""
    fields: dict[str, Any] = {
        "content": "",
        "additional_kwargs": {},
        "response_metadata": {},
        "type": message.type,
        "name": None,
        "id": None,
    }
    further = _FURTHER.get(message.type, {})
    fields |= {key: [] if value == [] else value for key, value in further.items()}
    fields.update(given)
    return fields
