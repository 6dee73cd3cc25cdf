"""A rebuilt thread's states as a server would show them, to be compared with those of one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw

from lgx import Checkpoint

__all__ = ["reading_serde", "rendered", "shown"]

_SETS = (("builtins", "set"), ("builtins", "frozenset"))
_NUL = b"\\u0000"


def reading_serde(sets: Callable[[Any], Any]) -> Any:
    """A serializer that gives JSON for what it reads: what a class made of it is not called.

    Joins keep sets, and find none in the lists that they are given: like servers, such a reader
    sees nothing next where a join is.

    Args:
        sets: makes of the members of a set what is given for it.
    """
    import ormsgpack
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.types import Send

    option = ormsgpack.OPT_NON_STR_KEYS

    def unpack(data: bytes) -> Any:
        return ormsgpack.unpackb(data, ext_hook=extension, option=option)

    def extension(code: int, data: bytes) -> Any:
        if code == 7:
            return _snapshot(unpack(data))
        if code == 6:
            return _numbers(*unpack(data))
        module, name, given = unpack(data)[:3]
        if code == 0 and (module, name) == ("uuid", "UUID"):
            return f"{given[:8]}-{given[8:12]}-{given[12:16]}-{given[16:20]}-{given[20:]}"
        if code == 0 and (module, name) in _SETS:
            return sets(given)
        if code == 1 and (module, name) == ("langgraph.types", "Send"):
            return Send(*given)
        return given

    class Reading(JsonPlusSerializer):
        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            kind, blob = data
            return unpack(blob) if kind == "msgpack" else super().loads_typed(data)

    return Reading()


def _snapshot(value: Any) -> Any:
    from langgraph.checkpoint.serde.types import _DeltaSnapshot

    return _DeltaSnapshot(value)


def _numbers(dtype: str, shape: Sequence[int], order: Any, data: bytes) -> Any:
    import numpy

    return numpy.frombuffer(data, dtype=numpy.dtype(dtype)).reshape(shape, order=order).tolist()


def rendered(state: Any, thread_id: str, values: Any) -> Checkpoint:
    """A StateSnapshot, as an element of a history.

    Args:
        values: its own.
    """
    place = state.config["configurable"]
    parent = None if state.parent_config is None else state.parent_config["configurable"]
    return Checkpoint(
        thread_id=thread_id,
        checkpoint_ns="",
        checkpoint_id=place["checkpoint_id"],
        parent_checkpoint_id=None if parent is None else parent["checkpoint_id"],
        created_at=state.created_at,
        values=shown(values),
        next=shown(list(state.next)),
        tasks=shown(
            [
                {
                    "id": task.id,
                    "name": task.name,
                    "path": task.path,
                    "error": task.error,
                    "interrupts": [_asked(one) for one in task.interrupts],
                    "result": getattr(task, "result", None),
                }
                for task in state.tasks
            ]
        ),
        metadata=shown(state.metadata),
    )


def _asked(interrupt: Any) -> Any:
    """One that was read as JSON is it already."""
    if isinstance(interrupt, dict):
        return interrupt
    return {"value": interrupt.value, "id": interrupt.id}


def shown(value: Any) -> Raw:
    """A value as servers write it."""
    import orjson

    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    text = orjson.dumps(value, default=_plain, option=option)
    if _NUL in text:
        text = text.replace(b"\\" + _NUL, b"\\\\ufffd").replace(_NUL, b"\\ufffd")
    return Raw(text)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    if isinstance(value, set | frozenset) or type(value).__name__ == "deque":
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump()
    if type(value).__name__ == "Send":
        return {"node": value.node, "args": value.arg}
    if isinstance(value, BaseException):
        return repr(value)
    return None
