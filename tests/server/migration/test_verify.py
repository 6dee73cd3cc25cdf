"""`lgx verify` of two real servers, after one was brought over to the other."""

from __future__ import annotations

from pathlib import Path

import lgx
from lgx import use

from .fill import Filled
from .moving import move
from .requests import Server


async def test_what_differs_is_what_the_run_has_told(source: Filled, target: str) -> None:
    """Rebuilt threads are equal where the server could be given all of them; of those that are
    not the run has told something, and both count the same ways of rebuilding."""
    report = await move(source.url, target)
    sides = use("cloud", url=source.url), use("cloud", url=target)

    found = await lgx.verify_async(*sides)

    names = {thread_id: name for name, thread_id in source.threads.items()}
    lost: dict[str, set[str]] = {}
    for loss in (loss for loss in report.losses if loss.holdable and loss.thread_id):
        lost.setdefault(names[loss.thread_id or ""], set()).add(loss.what.partition(" of ")[0])
    failed = {names[f.thread_id] for f in report.failures if f.thread_id is not None}
    differing = {names[d.thread_id]: d for d in found.differences if d.thread_id is not None}
    assert {n: d.first for n, d in differing.items() if n not in failed} == {}
    assert failed == set(differing)
    for name in (name for name, d in differing.items() if d.what == "different"):
        assert {said(field) for field in differing[name].fields} <= lost[name], name
    assert found.replayed == report.fidelity
    assert found.threads.equal + len(differing) == len(names)
    assert found.threads.equal > 3 * len(differing) / 2
    assert found.checkpoints.equal > 30 * found.checkpoints.different
    assert (found.exit_code, found.aborted, found.threads.additional) == (1, None, 0)
    passed = {item.what.partition(" (")[0] for item in found.left_out}
    assert {"step numbers", "what an input dropped", "parents of copies"} <= passed


def said(field: str) -> str:
    """How a run names what verify names so."""
    if field.startswith("values."):
        return f"channel {field[7:]!r}"
    return {"metadata.source": "source"}.get(field, field)


async def test_what_was_changed_there_afterwards_is_found(source: Filled, target: str) -> None:
    """Also where the step numbers of all checkpoints are others."""
    threads = source.named("exit-") | source.named("root-")
    await move(source.url, target, threads.values())
    sides = use("cloud", url=source.url), use("cloud", url=target)
    assert (await lgx.verify_async(*sides, thread_ids=list(threads.values()))).equal

    async with Server(target) as server:
        for name, values in (("exit-back", {"count": 0}), ("exit-relay", {"log": ["new"]})):
            path = f"/threads/{threads[name]}"
            oldest = (await server.history(threads[name]))[-1]["checkpoint_id"]
            update = {"values": values, "checkpoint": {"checkpoint_id": oldest}}
            await server.post(f"{path}/state", {**update, "checkpoint_ns": ""})
        await server.patch(f"/threads/{threads['exit-chat']}", {"metadata": {"name": "other"}})

    found = await lgx.verify_async(*sides, thread_ids=list(threads.values()))
    words = {d.thread_id: d.first for d in found.differences}
    assert set(words) == {threads[n] for n in ("exit-back", "exit-chat", "exit-relay")}
    assert words[threads["exit-chat"]] == "the thread's metadata.name differs"
    assert "is missing in the source" in words[threads["exit-back"]]


async def test_a_rebuilt_thread_is_equal_from_wherever_it_is_seen(
    source: Filled, target: str, tmp_path: Path
) -> None:
    """Both ways round; beside an export of itself it is no rebuilt thread but a copied one."""
    thread_id = source.threads["chat-plain"]
    await move(source.url, target, [thread_id])
    here, there = use("cloud", url=source.url), use("cloud", url=target)

    for sides in ((here, there), (there, here)):
        found = await lgx.verify_async(*sides, thread_ids=[thread_id])
        assert (found.equal, found.threads.equal, found.replayed) == (True, 1, {"replayed": 1})
    export = use("ndjson", path=tmp_path / "there.ndjson")
    await lgx.run_async(there, export, thread_ids=[thread_id])
    found = await lgx.verify_async(there, export, thread_ids=[thread_id])
    assert (found.equal, found.replayed) == (True, {})
