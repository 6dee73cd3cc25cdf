"""Whether a copy has the time to live that it was given: some servers take it, and keep none."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from lgx import Context, Loss, RetryableError, Thread, ThreadError, canonical, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.threads import thread_ttl

__all__ = ["lost_ttl"]

_WHAT = "its time to live"


async def lost_ttl(
    client: Client, thread: Thread | None, target_id: str, context: Context
) -> Sequence[Loss]:
    """Asks for it, once the copy of a thread that has one stands."""
    wanted = thread_ttl(thread)
    if thread is None or wanted is None:
        return ()
    try:
        held = await _held(client, target_id, context)
    except (ThreadError, RetryableError) as error:
        return (Loss(what=_WHAT, why=str(error), thread_id=thread.thread_id),)
    if held is None:
        why = "the target takes it, and keeps none; such is langgraph dev"
        return (Loss(what=_WHAT, why=why, thread_id=thread.thread_id, holdable=False),)
    if canonical(held) != canonical(wanted):
        why = "the target has another one for it"
        return (Loss(what=_WHAT, why=why, thread_id=thread.thread_id),)
    return ()


async def _held(client: Client, target_id: str, context: Context) -> Raw | None:
    answer = await client.light(
        context,
        "GET",
        f"{path_of(target_id)}?include=ttl",
        None,
        opening=b"{",
        what=f"time to live of thread {target_id}",
    )
    fields = split_object(answer.body)
    return thread_ttl(Thread(thread_id=target_id, extra={"ttl": fields.get("ttl", Raw(b"null"))}))
