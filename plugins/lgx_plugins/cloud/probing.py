"""What `lgx doctor` asks a server, and what a run notes of it."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from lgx import Context, Fact, FatalError, Probe, RetryableError, ThreadError
from lgx_plugins.cloud.access import denied
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.history import HistoryReader, NoCursorError
from lgx_plugins.cloud.storage import StorageReader

__all__ = ["probe", "server_versions"]

_ATTEMPTS = 4  # enough for a blip, and few enough to tell soon that an address is wrong


class _Info(Struct):
    version: str = ""
    langgraph_py_version: str | None = None
    langgraph_js_version: str | None = None


class _Id(Struct):
    thread_id: str


async def server_versions(client: Client, context: Context) -> dict[str, str]:
    """The versions of the server, `{}` where it does not tell; by the way, whether it is one.

    Raises:
        FatalError: this is no LangGraph server, or the key was refused.
    """
    await _threads(client, context)
    try:
        return await _versions(client, context)
    except (RetryableError, ThreadError, msgspec.MsgspecError) as error:
        context.note(f"the server does not tell its version: {error}")
        return {}


async def probe(
    client: Client, storage: StorageReader, history: HistoryReader, context: Context
) -> Probe:
    """Raises:
    FatalError: this is no LangGraph server, or the key was refused.
    """
    facts = [Fact(name="address", value=client.url)]
    threads = await _threads(client, context)
    key = client.key
    facts.append(Fact(name="key", value=f"from {key.origin}" if key.secret else "none is sent"))
    try:
        versions = await _versions(client, context)
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        facts.append(Fact(name="version", value=told))
    except (RetryableError, ThreadError, msgspec.MsgspecError) as error:
        facts.append(Fact(name="version", value=f"unknown: {error}", level="warn"))
    await _count(client, facts, context)
    if threads:
        await _look_into(threads, storage, history, facts, context)
    return Probe(facts=tuple(facts))


async def _threads(client: Client, context: Context) -> list[str]:
    """Ids of some threads; that they can be listed at all shows that the key is good."""
    body = {"limit": 5, "select": ["thread_id"], "sort_by": "thread_id", "sort_order": "asc"}
    what = "list of threads"
    try:
        answer = await client.light(
            context, "POST", "/threads/search", body, opening=b"[", what=what, attempts=_ATTEMPTS
        )
        rows = msgspec.json.decode(answer.body, type=list[_Id])
    except (RetryableError, ThreadError) as error:
        raise denied(error, client) from error
    except msgspec.MsgspecError as error:
        raise FatalError(
            f"the {what} of {client.url} holds something else: {error}; is it a LangGraph server?"
        ) from None
    return [row.thread_id for row in rows]


async def _versions(client: Client, context: Context) -> dict[str, str]:
    answer = await client.light(
        context, "GET", "/info", opening=b"{", what="server's info", attempts=_ATTEMPTS
    )
    info = msgspec.json.decode(answer.body, type=_Info)
    versions = {
        "langgraph-api": info.version,
        "langgraph": info.langgraph_py_version or "",
        "langgraph-js": info.langgraph_js_version or "",
    }
    return {name: version for name, version in versions.items() if version}


async def _count(client: Client, facts: list[Fact], context: Context) -> None:
    try:
        answer = await client.light(
            context, "POST", "/threads/count", {}, opening=b"", what="number of threads"
        )
        facts.append(Fact(name="threads", value=answer.body.decode()))
    except (RetryableError, ThreadError) as error:
        facts.append(Fact(name="threads", value=f"cannot be counted: {error}", level="warn"))


async def _look_into(
    threads: list[str],
    storage: StorageReader,
    history: HistoryReader,
    facts: list[Fact],
    context: Context,
) -> None:
    """Tries what reading will need on a thread that has a history."""
    for thread_id in threads:
        stored = await storage.read(thread_id, context)
        try:
            page = await history.page(
                thread_id, "", context, limit=1, expected=1 << 16, attempts=_ATTEMPTS
            )
        except (RetryableError, ThreadError):
            continue
        context.budget.give_page(page.taken)
        if not page.rows:
            continue
        facts.append(
            Fact(name="storage counts", value=f"yes ({stored.count} checkpoints in the first)")
            if stored is not None
            else Fact(
                name="storage counts",
                value="no: completeness is checked by the chain of parents alone",
                level="warn",
            )
        )
        try:
            older = await history.after(
                thread_id,
                "",
                context,
                last=page.rows[-1],
                limit=1,
                expected=1 << 16,
            )
        except NoCursorError as error:
            facts.append(Fact(name="history cursor", value=str(error), level="warn"))
        except (RetryableError, ThreadError):
            continue
        else:
            context.budget.give_page(older.taken)
            facts.append(Fact(name="history cursor", value=history.cursor or "not yet known"))
        return
