"""Reading what a checkpointer's bytes say, beside LangGraph's own serializer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from measure import Figure

from lgx_plugins.checkpointers.serde import Document, decode, encode, names

_WORDS = ("thread", "state", "message", "tool", "result", "answer", "question", "model", "agent")
_ROUNDS = 7


def figures(*, quick: bool = False) -> list[Figure]:
    return _serialization(4 if quick else 40)


# -- serialization -------------------------------------------------------------------


def _serialization(count: int) -> list[Figure]:
    """States of 40 messages each."""
    serializer = JsonPlusSerializer()
    blobs = [bytes(serializer.dumps_typed(_state(number))[1]) for number in range(count)]
    texts = [decode("msgpack", blob) for blob in blobs]
    size = sum(map(len, blobs)) / 1e6
    seconds = _seconds(
        loads=lambda: [serializer.loads_typed(("msgpack", blob)) for blob in blobs],
        decode=lambda: [decode("msgpack", blob) for blob in blobs],
        names=lambda: [names("msgpack", blob) for blob in blobs],
        encode=lambda: [encode(text) for text in texts],
        replace=lambda: [_replaced(blob) for blob in blobs],
    )
    ratio = seconds["loads"] / seconds["decode"]
    return [
        Figure(f"messages, {size:.1f} MB: to neutral JSON", f"{size / seconds['decode']:.0f} MB/s"),
        Figure("  loads_typed, to objects", f"{size / seconds['loads']:.0f} MB/s"),
        Figure("  lgx / loads_typed", f"{ratio:.2f}", ">= 1.00", met=ratio >= 1),
        Figure("  names that are imported", f"{size / seconds['names']:.0f} MB/s"),
        Figure("  one text in ten replaced", f"{size / seconds['replace']:.0f} MB/s"),
        Figure("  back from neutral JSON", f"{size / seconds['encode']:.0f} MB/s"),
    ]


def _seconds(**tasks: Callable[[], object]) -> dict[str, float]:
    """The best time of each; they take turns, so that what else runs slows all of them."""
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(_ROUNDS):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            best[name] = min(best[name], time.perf_counter() - began)
    return best


def _replaced(blob: bytes) -> bytes:
    document = Document.parse("msgpack", blob)
    values = (text for text in document.strings() if not text.is_key)
    return document.replaced(
        {text: "[redacted]" for number, text in enumerate(values) if number % 10 == 0}
    )


def _state(number: int) -> dict[str, Any]:
    dice = random.Random(number)

    def words(count: int) -> str:
        return " ".join(dice.choices(_WORDS, k=count))

    messages: list[Any] = []
    for turn in range(10):
        call = {"name": "search", "args": {"query": words(5), "limit": turn}, "id": f"call-{turn}"}
        used = {"input_tokens": 900 + turn, "output_tokens": 40, "total_tokens": 940 + turn}
        model = {"model_name": "a-model", "finish_reason": "stop"}
        messages += [
            HumanMessage(words(40), id=f"human-{turn}"),
            AIMessage(
                words(10),
                id=f"ai-{turn}",
                tool_calls=[call],
                usage_metadata=used,
                response_metadata=model,
            ),
            ToolMessage(words(120), tool_call_id=f"call-{turn}", id=f"tool-{turn}"),
            AIMessage(words(80), id=f"answer-{turn}", response_metadata=model),
        ]
    return {"messages": messages, "user": {"name": words(2), "turns": number}}
