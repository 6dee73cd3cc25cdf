"""What belongs to the deployment, brought to another: assistants, crons and the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid4, uuid5

import pytest

import lgx
from lgx.testing import FaultProxy
from lgx.testing.stub import Status

from .fill import Filled
from .moving import move, writes
from .requests import Server


async def bring(source: str, target: str, **options: Any) -> lgx.Report:
    """A run that brings all of it, and no thread but that of a cron."""
    thread_id = str(uuid5(NAMESPACE_DNS, "loop-cron"))
    return await move(source, target, [thread_id], extras=True, **options)


async def assistants(url: str) -> dict[str, Any]:
    """By id the versions of each, with what is the server's own left out, and the one in force."""
    found = {}
    async with Server(url) as server:
        for assistant in await server.post("/assistants/search", {"limit": 100}):
            path = f"/assistants/{assistant['assistant_id']}/versions"
            versions = await server.post(path, {"limit": 100})
            kept = ("graph_id", "config", "context", "metadata", "name", "description", "version")
            found[assistant["assistant_id"]] = (
                [{k: v.get(k) for k in kept} for v in versions],
                assistant["version"],
            )
    return found


async def crons(url: str) -> list[dict[str, Any]]:
    async with Server(url) as server:
        found: list[dict[str, Any]] = await server.post("/runs/crons/search", {"limit": 100})
    return found


def cron(given: dict[str, Any], *, disabled: bool) -> dict[str, Any]:
    """What is to be the same of a cron on both sides."""
    kept = ("schedule", "timezone", "end_time", "thread_id", "on_run_completed", "assistant_id")
    # Of what the cron itself says, the server repeats there what it was sent.
    own = ("config", "metadata", "enabled", *kept)
    payload = {k: v for k, v in given["payload"].items() if k not in own}
    config = given["payload"].get("config", {})
    settings = {k: v for k, v in config.get("configurable", {}).items() if k != "cron_id"}
    return {
        **{k: given.get(k) for k in kept},
        "payload": {k: v for k, v in payload.items() if v is not None},
        "settings": settings,
        "metadata": {k: v for k, v in (given.get("metadata") or {}).items() if k != "lgx"},
        "enabled": False if disabled else given["enabled"],
    }


def key(given: dict[str, Any]) -> str:
    return repr(sorted(given.items(), key=str))


async def items(url: str) -> dict[Any, Any]:
    body = {"namespace_prefix": [], "limit": 1000, "refresh_ttl": False}
    async with Server(url) as server:
        found = (await server.post("/store/items/search", body))["items"]
    return {(tuple(item["namespace"]), item["key"]): item["value"] for item in found}


async def test_assistants_arrive_with_their_versions(source: Filled, target: str) -> None:
    """In order, and with the same one in force; that of a graph which is not there is told."""
    report = await bring(source.url, target)
    ours, theirs = await assistants(source.url), await assistants(target)
    gone = str(uuid5(NAMESPACE_DNS, "assistant-gone"))
    for assistant_id in set(source.assistants) - {gone}:
        assert theirs[assistant_id] == ours[assistant_id]
    assert gone not in theirs
    [failure] = report.failures
    assert failure.what == f"assistant {gone}"
    assert "--sink-map-graph gone=GRAPH" in failure.why


async def test_a_graph_that_has_another_name_has_its_assistants(
    source: Filled, target: str
) -> None:
    report = await bring(source.url, target, map_graph={"gone": "loop"})
    assert report.exit_code == 0, report.failures
    theirs = await assistants(target)
    [version], _ = theirs[str(uuid5(NAMESPACE_DNS, "assistant-gone"))]
    assert version["graph_id"] == "loop"


async def test_crons_are_created_disabled(source: Filled, target: str) -> None:
    """With all that they had, at the thread that they had; the note says how to enable them."""
    report = await bring(source.url, target, map_graph={"gone": "loop"})
    ours = [cron(one, disabled=True) for one in await crons(source.url)]
    theirs = [cron(one, disabled=False) for one in await crons(target)]
    assert sorted(theirs, key=key) == sorted(ours, key=key)
    assert report.exit_code == 0, report.failures
    assert any("crons were created disabled" in note.message for note in report.notes)


async def test_crons_may_be_created_as_they_were(source: Filled, target: str) -> None:
    await bring(source.url, target, enable_crons=True)
    ours = [cron(one, disabled=False) for one in await crons(source.url)]
    theirs = [cron(one, disabled=False) for one in await crons(target)]
    assert sorted(theirs, key=key) == sorted(ours, key=key)


async def test_crons_may_be_enabled_later(source: Filled, target: str) -> None:
    """Those that an earlier run created disabled, where they are enabled at the source."""
    await bring(source.url, target, map_graph={"gone": "loop"})
    report = await bring(source.url, target, map_graph={"gone": "loop"}, enable_crons=True)
    wanted = sum(one["enabled"] for one in await crons(source.url))
    assert sum(one["enabled"] for one in await crons(target)) == wanted
    told = f"{wanted} crons that were created disabled were enabled"
    assert told in [note.message for note in report.notes]


async def test_only_what_arrived_is_counted(source: Filled, target: str) -> None:
    """An assistant whose graph is not there is not among those brought, nor is the one that the
    source made by itself for that graph."""
    report = await bring(source.url, target)
    whole = await bring(source.url, target, map_graph={"gone": "loop"})
    brought, own = report.extras["assistant"], report.extras_unchanged["assistant"]
    assert whole.extras_unchanged["assistant"] == brought + own + 1
    assert whole.extras == {"assistant": 1}
    assert report.extras["cron"] == len(source.crons)
    assert report.extras["store_item"] == len(source.items)


async def test_store_items_arrive(source: Filled, target: str) -> None:
    """Whatever their namespaces, keys and values are."""
    await bring(source.url, target)
    assert await items(target) == await items(source.url)


async def test_items_that_a_server_alters_are_told(target: str, tmp_path: Path) -> None:
    """It says that it took them: texts without their NUL, whole numbers as others."""
    path = tmp_path / "items.ndjson"
    values = {"text": "a\0b", "number": 2**70, "same": {"n": [1.5, "é", None]}}
    lines = [
        lgx.encode_line(lgx.StoreItem(namespace=("odd",), key=key, value=lgx.raw({"is": value})))
        for key, value in values.items()
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")

    report = await lgx.run_async(lgx.use("ndjson", path=path), lgx.use("cloud", url=target))

    assert (report.exit_code, report.extras) == (3, {"store_item": 1})
    reasons = {failure.what: failure.why.partition(", and ")[2] for failure in report.failures}
    assert reasons == {
        "store item 'text' of 'odd'": "shows something else there now",
        "store item 'number' of 'odd'": "shows something else there now",
    }


async def test_what_a_server_alters_of_crons_is_told(
    source: Filled, target: str, tmp_path: Path
) -> None:
    """And what it shows as it was given is not."""
    assistant_id = str(uuid5(UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8"), "loop"))
    lines = []
    for cron_id, value in (("odd", 2**70), ("fine", 7)):
        payload = {"input": {"n": value}, "config": {"tags": ["a"], "configurable": {"m": 1.0}}}
        fields = {"schedule": "0 3 * * *", "end_time": "2050-01-01T00:00:00Z"}
        extra = {name: lgx.raw(value) for name, value in fields.items()}
        extra["payload"] = lgx.raw({"assistant_id": assistant_id, **payload})
        lines.append(lgx.encode_line(lgx.Cron(cron_id=cron_id, extra=extra)))
    path = tmp_path / "crons.ndjson"
    path.write_bytes(b"\n".join(lines) + b"\n")

    report = await lgx.run_async(lgx.use("ndjson", path=path), lgx.use("cloud", url=target))

    assert [failure.what for failure in report.failures] == ["cron odd: input"]
    assert report.extras == {"cron": 1}


async def test_a_time_to_live_that_a_target_does_not_keep_is_told(
    target: str, tmp_path: Path
) -> None:
    """Nothing of such a kind can hold it; others do, and are asked."""
    thread_id = str(uuid4())
    ttl = {"strategy": "delete", "ttl_minutes": 60.0, "expires_at": "2050-01-01T00:00:00Z"}
    thread = lgx.Thread(thread_id=thread_id, metadata=lgx.raw({}), extra={"ttl": lgx.raw(ttl)})
    path = tmp_path / "thread.ndjson"
    path.write_bytes(lgx.encode_line(thread) + b"\n")

    report = await lgx.run_async(lgx.use("ndjson", path=path), lgx.use("cloud", url=target))

    assert (report.exit_code, report.threads.written) == (0, 1)
    assert [(loss.what, loss.holdable) for loss in report.losses] == [("its time to live", False)]


async def test_fields_of_assistants_that_a_server_alters_are_told(
    target: str, tmp_path: Path
) -> None:
    """It says that it took them."""
    assistant = lgx.Assistant(
        assistant_id=str(uuid4()),
        version=1,
        latest=True,
        graph_id="loop",
        extra={
            "name": lgx.raw("a\0b"),
            "config": lgx.raw({"tags": ["x"], "configurable": {"n": 2**70}}),
            "metadata": lgx.raw({"big": 2**70, "kept": [1.5, "é"]}),
            "description": lgx.raw("kept"),
        },
    )
    path = tmp_path / "assistant.ndjson"
    path.write_bytes(lgx.encode_line(assistant) + b"\n")

    report = await lgx.run_async(lgx.use("ndjson", path=path), lgx.use("cloud", url=target))

    (failure,) = report.failures
    assert failure.what == (
        f"assistant {assistant.assistant_id}: config.configurable, metadata.big, name of version 1"
    )
    assert failure.why == "the server took it, and shows something else there now"


async def test_a_second_run_writes_nothing(source: Filled, target: str, proxy: FaultProxy) -> None:
    """And what it brought is not there twice; it is told that all of it was there."""
    first = await bring(source.url, target, map_graph={"gone": "loop"})
    before = await assistants(target), len(await crons(target)), await items(target)
    report = await bring(source.url, proxy.url, map_graph={"gone": "loop"})
    assert report.exit_code == 0, report.failures
    assert writes(proxy) == []
    own = first.extras_unchanged["assistant"]  # what each server has by itself
    count = first.extras["assistant"] + own
    assert report.extras_unchanged == {**first.extras, "assistant": count}
    assert report.extras == {}
    assert (await assistants(target), len(await crons(target)), await items(target)) == before


@pytest.mark.parametrize("conflict", ["fail", "skip", "replace"])
async def test_what_was_changed_there_is_a_conflict(
    conflict: str, source: Filled, target: str
) -> None:
    """An assistant with other content, and an item that is newer there."""
    await bring(source.url, target, map_graph={"gone": "loop"})
    chat = str(uuid5(NAMESPACE_DNS, "assistant-chat"))
    async with Server(target) as server:
        await server.patch(f"/assistants/{chat}", {"name": "changed there"})
        item = {"namespace": ["users"], "key": "first", "value": {"changed": "there"}}
        await server.put("/store/items", item)
    changed = (await assistants(target))[chat]
    report = await bring(source.url, target, map_graph={"gone": "loop"}, on_conflict=conflict)
    names = {f"assistant {chat}", "store item 'first' of 'users'"}
    failed = {failure.what for failure in report.failures}
    told = {loss.what for loss in report.losses}
    if conflict == "replace":
        assert report.exit_code == 0, report.failures
        assert (await assistants(target))[chat] == (await assistants(source.url))[chat]
        assert await items(target) == await items(source.url)
        return
    assert failed == (names if conflict == "fail" else set())
    assert names <= told
    assert (await assistants(target))[chat] == changed
    assert (await items(target))[("users",), "first"] == {"changed": "there"}


async def test_the_servers_own_assistants_stay(source: Filled, target: str) -> None:
    """Whatever is done about conflicts: without them their graphs could not be used."""
    before = {i for i, (versions, _) in (await assistants(target)).items() if versions}
    await bring(source.url, target, on_conflict="replace")
    after = await assistants(target)
    assert before <= after.keys()


async def test_a_cron_that_has_changed_is_told(source: Filled, target: str) -> None:
    """It is made anew where that is asked for, and not there twice then."""
    await bring(source.url, target, map_graph={"gone": "loop"})
    async with Server(target) as server:
        for one in await crons(target):
            label = {**one["metadata"]["lgx"], "made_from": "of something else"}
            change = {"metadata": {**one["metadata"], "lgx": label}}
            await server.patch(f"/runs/crons/{one['cron_id']}", change)
    count = len(await crons(target))
    report = await bring(source.url, target, map_graph={"gone": "loop"})
    assert {failure.what for failure in report.failures} == {
        f"cron {cron_id}" for cron_id in source.crons
    }
    await bring(source.url, target, map_graph={"gone": "loop"}, on_conflict="replace")
    assert len(await crons(target)) == count
    done = await bring(source.url, target, map_graph={"gone": "loop"})
    assert done.exit_code == 0, done.failures


async def test_a_server_that_goes_away_ends_the_run_with_a_reason(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Though many items are sent at once."""
    proxy.fail("PUT /store/items", Status(503), times=None)
    report = await bring(source.url, proxy.url, map_graph={"gone": "loop"}, attempts=1)
    assert report.aborted is not None
    assert "requests in a row were given up" in report.aborted
    assert report.exit_code == 1


async def test_a_dry_run_tells_what_would_become_of_them(
    source: Filled, target: str, proxy: FaultProxy
) -> None:
    """Of all kinds: what would be created, replaced, enabled, or is there; and conflicts."""

    async def told(**options: Any) -> tuple[list[str], set[str]]:
        before = len(proxy.log)
        report = await bring(source.url, proxy.url, dry_run=True, **options)
        assert writes(proxy)[before:] == []
        kinds = ("assistants", "crons", "store items")
        notes = sorted(n.message for n in report.notes if n.message.startswith(kinds))
        return notes, {failure.what for failure in report.failures}

    items, crons_ = len(source.items), len(source.crons)
    notes, failed = await told()
    assert notes == [
        "assistants: 2 would be created",
        f"crons: {crons_} would be created",
        f"store items: {items} would be created",
    ]
    assert failed == {f"assistant {uuid5(NAMESPACE_DNS, 'assistant-gone')}"}

    await bring(source.url, target, map_graph={"gone": "loop"})
    enabled = sum(one["enabled"] for one in await crons(source.url))
    chat = str(uuid5(NAMESPACE_DNS, "assistant-chat"))
    async with Server(target) as server:
        await server.patch(f"/assistants/{chat}", {"name": "changed there"})
        item = {"namespace": ["users"], "key": "first", "value": {"changed": "there"}}
        await server.put("/store/items", item)
    notes, failed = await told(map_graph={"gone": "loop"}, enable_crons=True)
    assert [note.partition(" (")[0] for note in notes] == [
        "assistants: 2 are there already",
        f"crons: {enabled} would be enabled",
        f"store items: {items - 1} are there already",
    ]
    assert notes[1].endswith("1 is there already")
    assert crons_ - enabled == 1
    changed = "store item 'first' of 'users'"
    assert failed == {f"assistant {chat}", changed}

    notes, failed = await told(map_graph={"gone": "loop"}, on_conflict="replace")
    assert notes == [
        f"assistants: 1 would be replaced ({chat}), 2 are there already",
        f"crons: {crons_} are there already",
        f"store items: 1 would be replaced ({changed}), {items - 1} are there already",
    ]
    assert failed == set()


async def test_a_cron_comes_once_by_whatever_way(
    source: Filled, target: str, tmp_path: Path
) -> None:
    """From its server, and from an archive of that: what lgx made of it is known by its id; nor
    are assistants and items there twice."""
    await bring(source.url, target, map_graph={"gone": "loop"})
    before = await assistants(target), await crons(target), await items(target)
    archive = lgx.use("archive", path=str(tmp_path / "archive"))
    nobody = (str(uuid4()),)
    await lgx.run_async(lgx.use("cloud", url=source.url), archive, thread_ids=nobody, extras=True)
    sink = lgx.use("cloud", url=target, map_graph={"gone": "loop"})
    report = await lgx.run_async(archive, sink, thread_ids=nobody, extras=True)
    assert [f for f in report.failures if f.thread_id is None] == []
    assert (await assistants(target), await crons(target), await items(target)) == before


async def test_crons_of_a_graph_that_is_not_there_are_told_beforehand(
    source: Filled, target: str
) -> None:
    """With the remedy; by a dry run as by the run."""
    async with Server(source.url) as server:
        body = {"assistant_id": "gone", "schedule": "0 0 1 1 *", "input": {}}
        made = (await server.post("/runs/crons", body))["cron_id"]
        try:
            reports = [await bring(source.url, target, dry_run=dry) for dry in (True, False)]
        finally:
            await server.delete(f"/runs/crons/{made}")
    for report in reports:
        [why] = [f.why for f in report.failures if f.what == f"cron {made}"]
        assert why == (
            "it runs an assistant of graph 'gone', which the target does not run; deploy it there, "
            "or name another with --sink-map-graph gone=GRAPH"
        )
