"""Crons, created on another server: disabled, unless they are to run there."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Raw, UnsetType

from lgx import Bundle, Context, Cron, Loss, RetryableError, ThreadError, split_object
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.label import KEY
from lgx_plugins.cloud.restore.naming import target_id

__all__ = ["restore_crons"]

# Of a cron's record, and of the payload in it, what creating one takes.
_OF_RECORD = ("schedule", "end_time", "timezone", "on_run_completed")
_OF_PAYLOAD = (
    "input",
    "context",
    "webhook",
    "interrupt_before",
    "interrupt_after",
    "multitask_strategy",
    "stream_mode",
    "stream_subgraphs",
    "stream_resumable",
    "durability",
)


async def restore_crons(
    client: Client, bundle: Bundle, context: Context, *, enable: bool, merged: str | None
) -> list[Loss]:
    """Creates those that no earlier run has created; a server gives them new ids.

    Args:
        enable: as they were; else each is created disabled.
        merged: see `target_id`.

    Returns:
        The crons that the server did not take.
    """
    there = {
        _origin(cron) async for cron in Extras(client, context).crons() if isinstance(cron, Cron)
    }
    losses: list[Loss] = []
    created = 0
    for record in bundle:
        assert isinstance(record, Cron)
        if record.cron_id in there:
            continue
        try:
            await _create(client, record, context, enable=enable, merged=merged)
            created += 1
        except (ThreadError, RetryableError) as error:
            losses.append(Loss(what=f"cron {record.cron_id}", why=str(error)))
    if created and not enable:
        context.note(
            f"{created} cron{'s were' if created > 1 else ' was'} created disabled; "
            "--sink-enable-crons creates them as they were"
        )
    return losses


def _origin(cron: Cron) -> str | None:
    """The id that a cron of lgx's making had at its source."""
    fields = _member(_fields(cron), "metadata")
    said = _member(fields, KEY).get("cron_id")
    return None if said is None else msgspec.json.decode(said, type=str)


async def _create(
    client: Client, cron: Cron, context: Context, *, enable: bool, merged: str | None
) -> None:
    fields = _fields(cron)
    payload = _member(fields, "payload")
    body: dict[str, object] = {
        **{name: payload[name] for name in _OF_PAYLOAD if _said(payload, name)},
        **_config(payload),
        **{name: fields[name] for name in _OF_RECORD if _said(fields, name)},
        "metadata": {
            **_member(fields, "metadata"),
            KEY: {"cron_id": cron.cron_id},
        },
        "enabled": fields.get("enabled", True) if enable else False,
    }
    assistant = payload.get("assistant_id") or fields.get("assistant_id")
    if assistant is None:
        raise ThreadError("it names no assistant")
    body["assistant_id"] = assistant
    path = "/runs/crons"
    if _said(fields, "thread_id"):
        thread_id = target_id(msgspec.json.decode(fields["thread_id"], type=str), merged)
        path = f"/threads/{quote(thread_id, safe='')}/runs/crons"
        body.pop("on_run_completed", None)
    else:
        body.pop("multitask_strategy", None)
    await client.send(
        context,
        "POST",
        path,
        msgspec.json.encode(body),
        opening=b"{",
        what=f"cron {cron.cron_id}",
    )


def _config(payload: Mapping[str, Raw]) -> dict[str, object]:
    """The runs' config, without the id by which the server tells its own."""
    config = _member(payload, "config")
    configurable = {
        name: value for name, value in _member(config, "configurable").items() if name != "cron_id"
    }
    others = {name: value for name, value in config.items() if name != "configurable"}
    kept = {**others, **({"configurable": configurable} if configurable else {})}
    return {"config": kept} if kept else {}


def _fields(cron: Cron) -> Mapping[str, Raw]:
    return {} if isinstance(cron.extra, UnsetType) else cron.extra


def _said(fields: Mapping[str, Raw], name: str) -> bool:
    return name in fields and bytes(fields[name]) != b"null"


def _member(fields: Mapping[str, Raw], name: str) -> Mapping[str, Raw]:
    return split_object(fields[name]) if _said(fields, name) else {}
