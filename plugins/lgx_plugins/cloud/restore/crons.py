"""Crons, created on another server: disabled, unless they are to run there."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from lgx import (
    Bundle,
    Context,
    Cron,
    Loss,
    RetryableError,
    RunInfo,
    ThreadError,
    canonical,
    digest,
)
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.extras import Extras
from lgx_plugins.cloud.restore.belongings import (
    Restored,
    encoded,
    extra_of,
    member,
    said,
    system_id,
)
from lgx_plugins.cloud.restore.config import CloudSinkConfig
from lgx_plugins.cloud.restore.foreseen import Foreseen
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import KEY

__all__ = ["CronRestorer"]

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


class _Label(Struct, frozen=True):
    """What lgx keeps in the metadata of a cron that it created."""

    cron_id: str = ""
    source: str = ""
    made_from: str = ""


class CronRestorer:
    """Creates those that no earlier run has created. A server gives them ids of its own, so
    their metadata says which cron of the source they are, and what they were made from."""

    def __init__(
        self,
        client: Client,
        graphs: Graphs,
        holdings: Holdings,
        config: CloudSinkConfig,
        run: RunInfo,
        context: Context,
        foreseen: Foreseen | None = None,
    ) -> None:
        """`foreseen`: takes what would be done, which is then not done."""
        self._client = client
        self._graphs = graphs
        self._holdings = holdings
        self._config = config
        self._run = run
        self._context = context
        self._foreseen = foreseen
        self._systems = {system_id(old): system_id(new) for old, new in config.map_graph.items()}

    async def restore(self, bundle: Bundle) -> Restored:
        """The losses are crons that the server did not take, or that were left as they are."""
        there = await self._there()
        losses: list[Loss] = []
        created: dict[str, dict[str, object]] = {}
        enabled = unchanged = 0
        for record in bundle:
            assert isinstance(record, Cron)
            try:
                body = await self._body(record)
                await self._check(str(body["assistant_id"]))
                made_from = digest(encoded(body))
                old = there.get(record.cron_id)
                if old is not None and _made_from(old) == made_from:
                    was_enabled = await self._enable(record, old)
                    enabled += was_enabled
                    unchanged += not was_enabled
                    continue
                if old is not None and self._config.on_conflict != "replace":
                    losses.append(self._left(record))
                    continue
                if self._foreseen is not None:
                    self._foreseen.add("created" if old is None else "replaced", record.cron_id)
                    continue
                if old is not None:
                    await self._remove(old)
                await self._create(record, body, made_from)
                created[record.cron_id] = body
            except (ThreadError, RetryableError) as error:
                losses.append(Loss(what=f"cron {record.cron_id}", why=str(error)))
        if created:
            losses += await self._altered(created)
        restored = Restored(losses, len(bundle) - len(losses), unchanged)
        if self._foreseen is not None:
            return restored
        if created and not self._config.enable_crons:
            self._context.note(
                f"{len(created)} cron{'s were' if len(created) > 1 else ' was'} created disabled; "
                "--sink-enable-crons creates them as they were"
            )
        if enabled:
            self._context.note(f"{enabled} crons that were created disabled were enabled")
        return restored

    async def _altered(self, created: Mapping[str, dict[str, object]]) -> list[Loss]:
        """What the server took of those that were just created, and shows otherwise."""
        losses: list[Loss] = []
        there = await self._there()
        for cron_id, body in created.items():
            held = await self._body(there[cron_id]) if cron_id in there else {}
            names = sorted(
                name
                for name, value in body.items()
                if name != "assistant_id" and not _same(value, held.get(name))
            )
            if names:
                why = "the server took it, and shows something else there now"
                losses.append(Loss(what=f"cron {cron_id}: {', '.join(names)}", why=why))
        return losses

    async def _check(self, assistant_id: str) -> None:
        """That the target has what a cron runs.

        Raises:
            ThreadError: it has not.
            RetryableError: the server does not answer.
        """
        if await self._graphs.has_assistant(assistant_id, self._context):
            return
        graph_id = self._graphs.lacking.get(assistant_id)
        if graph_id is None:
            raise ThreadError(
                f"the target has no assistant {assistant_id}, which it runs; make it there, or "
                "bring it along: the assistants of a source come with all its threads"
            )
        raise ThreadError(
            f"it runs an assistant of graph {graph_id!r}, which the target does not run; deploy it "
            f"there, or name another with --sink-map-graph {graph_id}=GRAPH"
        )

    async def _enable(self, cron: Cron, there: Cron) -> bool:
        """Enables one that an earlier run created disabled, if it is to run as at the source."""
        wanted = self._config.enable_crons and _enabled(cron)
        needed = wanted and not _enabled(there)
        if self._foreseen is not None:
            self._foreseen.add("enabled" if needed else "unchanged", cron.cron_id)
        if not needed or self._foreseen is not None:
            return False
        await self._client.light(
            self._context,
            "PATCH",
            f"/runs/crons/{quote(there.cron_id, safe='')}",
            {"enabled": True},
            opening=b"{",
            what=f"cron {there.cron_id}",
        )
        return True

    async def _there(self) -> dict[str, Cron]:
        """Those of lgx's making, by the ids that they had where they were made first: the same
        one may come from its server, and from any copy of that."""
        found: dict[str, Cron] = {}
        async for cron in Extras(self._client, self._context).of("cron"):
            assert isinstance(cron, Cron)
            label = _label(cron)
            if label.cron_id and label.made_from:  # and not what somebody else has there
                found[label.cron_id] = cron
        return found

    async def _remove(self, cron: Cron) -> None:
        await self._client.light(
            self._context,
            "DELETE",
            f"/runs/crons/{quote(cron.cron_id, safe='')}",
            opening=None,
            what=f"removal of cron {cron.cron_id}",
        )

    def _left(self, cron: Cron) -> Loss:
        skips = self._config.on_conflict == "skip"
        why = "it has other content at the source than what it was created from here"
        remedy = " (--sink-on-conflict skip)" if skips else "; --sink-on-conflict replace does"
        return Loss(
            what=f"cron {cron.cron_id}",
            why=f"{why}, and was not made anew{remedy}",
            holdable=not skips,
            left=skips,
        )

    async def _create(self, cron: Cron, body: dict[str, object], made_from: str) -> None:
        fields = extra_of(cron.extra)
        metadata = {name: v for name, v in member(fields, "metadata").items() if name != KEY}
        label = _Label(cron.cron_id, self._run.source, made_from)
        enabled = self._config.enable_crons and _enabled(cron)
        path = "/runs/crons"
        if said(fields, "thread_id"):
            thread_id = msgspec.json.decode(fields["thread_id"], type=str)
            places = await self._holdings.places([thread_id], self._run, self._context)
            path = f"/threads/{quote(places[thread_id].thread_id, safe='')}/runs/crons"
        content = encoded({**body, "metadata": {**metadata, KEY: label}, "enabled": enabled})
        what = f"cron {cron.cron_id}"
        await self._client.send(self._context, "POST", path, content, opening=b"{", what=what)

    async def _body(self, cron: Cron) -> dict[str, object]:
        """What it is created with, but for its metadata and whether it runs."""
        fields = extra_of(cron.extra)
        payload = member(fields, "payload")
        body: dict[str, object] = {
            **{name: payload[name] for name in _OF_PAYLOAD if said(payload, name)},
            **_config(payload),
            **{name: fields[name] for name in _OF_RECORD if said(fields, name)},
        }
        assistant = payload.get("assistant_id") or fields.get("assistant_id")
        if assistant is None:
            raise ThreadError("it names no assistant")
        name = msgspec.json.decode(assistant, type=str)
        body["assistant_id"] = self._config.map_graph.get(name, self._systems.get(name, name))
        # Each kind refuses what only the other has.
        body.pop("on_run_completed" if said(fields, "thread_id") else "multitask_strategy", None)
        return body


def _same(one: object, other: object) -> bool:
    return canonical(encoded(one)) == canonical(encoded(other))


def _label(cron: Cron) -> _Label:
    metadata = member(extra_of(cron.extra), "metadata")
    try:
        return msgspec.json.decode(metadata.get(KEY, b"{}"), type=_Label)
    except msgspec.MsgspecError:
        return _Label()


def _enabled(cron: Cron) -> bool:
    fields = extra_of(cron.extra)
    return "enabled" not in fields or bytes(fields["enabled"]) == b"true"


def _made_from(cron: Cron) -> str:
    return _label(cron).made_from


def _config(payload: Mapping[str, Raw]) -> dict[str, object]:
    """The runs' config, without the id by which the server tells its own."""
    config = member(payload, "config")
    configurable = {
        name: value for name, value in member(config, "configurable").items() if name != "cron_id"
    }
    others = {name: value for name, value in config.items() if name != "configurable"}
    kept = {**others, **({"configurable": configurable} if configurable else {})}
    return {"config": kept} if kept else {}
