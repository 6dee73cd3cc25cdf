"""Conversations for the demo's server, held through the SDK as a user's program would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from langgraph_sdk.client import LangGraphClient

__all__ = ["hold_conversations"]


class _Conversation(Struct, frozen=True):
    """What a traveller says, and what they answer when they are asked whether to book."""

    title: str
    turns: tuple[str, ...]
    answers: tuple[str, ...] = ()


_CONVERSATIONS = (
    _Conversation("A weekend by the sea", ("I need a break: Lisbon?", "Once more to Lisbon!")),
    _Conversation("Autumn leaves", ("What is Kyoto like in November?",), ("yes",)),
    _Conversation("A birthday in the hills", ("Zürich, but not too dear",), ("no",)),
    _Conversation(
        "Somewhere cold", ("Is Oslo nice in winter?", "And Lisbon instead?", "No, Oslo."), ("no",)
    ),
    _Conversation("Markets and mole", ("Take me to Oaxaca",)),
    _Conversation("Only asking", ()),
)
_PREFERENCES = {
    "ann": {"seat": "window", "likes": ["trams", "gardens"]},
    "björn": {"seat": "aisle", "likes": ["saunas", "fog"]},
}


async def hold_conversations(url: str) -> None:
    """Fills an empty server that runs the app beside this file: some of its threads have
    ended, one waits for an answer, one was rewritten from an earlier point, one is empty."""
    from langgraph_sdk import get_client

    async with get_client(url=url, api_key=None) as client:
        await asyncio.gather(*(_hold(client, talk) for talk in _CONVERSATIONS))
        await _change_the_past(client)
        for traveller, wishes in _PREFERENCES.items():
            await client.store.put_item(("travellers", traveller), "wishes", wishes)
        await client.assistants.create("travel", name="Travel desk", metadata={"language": "en"})


async def _hold(client: LangGraphClient, talk: _Conversation) -> None:
    thread = await client.threads.create(graph_id="travel", metadata={"title": talk.title})
    answers = list(talk.answers)
    for turn in talk.turns:
        message = {"role": "user", "content": turn}
        await _run(client, thread["thread_id"], input={"messages": [message]})
        state = await client.threads.get_state(thread["thread_id"])
        if state["next"] and answers:
            await _run(client, thread["thread_id"], command={"resume": answers.pop(0)})


async def _run(client: LangGraphClient, thread_id: str, **options: Any) -> None:
    await client.runs.wait(thread_id, "travel", raise_error=True, **options)


async def _change_the_past(client: LangGraphClient) -> None:
    """Takes one conversation up again where the price was named, and lowers it."""
    title = "A birthday in the hills"
    (thread,) = await client.threads.search(metadata={"title": title})
    history = await client.threads.get_history(thread["thread_id"], limit=100)
    (asked,) = [state for state in history if state["next"] == ["propose"]]
    fork: Any = await client.threads.update_state(
        thread["thread_id"], {"price": 480}, checkpoint=asked["checkpoint"]
    )
    await _run(client, thread["thread_id"], checkpoint=fork["checkpoint"], input=None)
