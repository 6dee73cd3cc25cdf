"""The shortest replay that works on plain threads, to show what a comparison can tell apart.

One superstep for each checkpoint, from what its tasks wrote; no branches, no commands, nothing
kept of what the server moves.
"""

from __future__ import annotations

from typing import Any

from .requests import Server, State


async def replay(source: str, target: str, thread_id: str) -> int:
    """Creates the thread on the target; the status of the answer."""
    async with Server(source) as ours, Server(target) as theirs:
        thread = await ours.get(f"/threads/{thread_id}")
        history = (await ours.reached(thread_id) or [])[::-1]
        body = {
            "thread_id": thread_id,
            "metadata": thread["metadata"],
            "supersteps": supersteps(history),
        }
        answer = await theirs.answer("POST", "/threads", body)
        return answer.status_code


def supersteps(history: list[State]) -> list[dict[str, Any]]:
    """Of a history, oldest first."""
    steps: list[dict[str, Any]] = []
    for state, following in zip(history, [*history[1:], None], strict=False):
        done = [task for task in state["tasks"] if task["result"] is not None]
        if not done:
            continue
        after = following["values"] if following else {}
        updates = [
            {"values": _with_ids(task["result"], after), "as_node": task["name"]} for task in done
        ]
        if done[0]["name"] == "__start__":
            steps.append({"updates": [{"values": done[0]["result"], "as_node": "__input__"}]})
        steps.append({"updates": updates})
    return steps


def _with_ids(result: Any, after: Any) -> Any:
    """The messages of a result with the ids that the reducer gave them."""
    messages = result.get("messages") if isinstance(result, dict) else None
    if messages is None or not isinstance(after, dict):
        return result
    if not isinstance(messages, list):
        messages = [messages]
    left = list(after.get("messages", []))
    found = []
    for message in messages:
        fixed = _fixed(message)
        if isinstance(fixed, dict) and not fixed.get("id"):
            text = fixed.get("content")
            same = next((m for m in reversed(left) if m.get("content") == text), None)
            if same is not None:
                left.remove(same)
                fixed = _fixed(same)
        found.append(fixed)
    return {**result, "messages": found}


def _fixed(message: Any) -> Any:
    """Without the empty fields that the server would move."""
    if isinstance(message, list) and len(message) == 2:
        return {"type": message[0], "content": message[1]}
    if not isinstance(message, dict):
        return message
    if message.get("type") == "remove":
        return {"type": "remove", "id": message["id"], "content": ""}
    moved = ("invalid_tool_calls", "usage_metadata")
    return {k: v for k, v in message.items() if k not in moved or v}
