"""Documents that expire: before they are written, and between one run and the next."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lgx import run_async, use


async def test_what_expired_on_its_way_is_told(
    store: Any, other: Any, zoo: Any, tmp_path: Path
) -> None:
    """Redis would remove at once what an archive has kept for longer; the rest of the thread
    comes, and the report says how much did not."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    (write,) = store.json("checkpoint_write:t:*0")
    soon = time.time_ns() // 1_000_000 + 1500
    store.client.pexpireat(write, soon)
    await run_async(store.use(), use("archive", path=tmp_path / "a"))
    while time.time_ns() // 1_000_000 <= soon:
        store.client.execute_command("BLPOP", "nothing", "0.1")  # waits
    report = await run_async(use("archive", path=tmp_path / "a"), other.use())
    assert (report.threads.written, report.failures, report.exit_code) == (1, [], 0)
    assert [loss.what for loss in report.losses if loss.thread_id == "t"] == ["1 documents"]
    assert write not in other.json()
    assert len(other.json()) == len(store.json()) != 0


async def test_a_copy_of_which_some_expired_is_no_changed_one(
    store: Any, other: Any, zoo: Any
) -> None:
    """A thread that goes on while its oldest documents expire is copied again, run by run; one
    that somebody changed is still a conflict."""
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    for after, key in enumerate(sorted(store.json())):
        store.client.pexpire(key, 1_000_000 + after)
    await run_async(store.use(), other.use())
    gone = sorted(store.json())[:2]
    for one in (store, other):
        one.client.delete(*gone)  # as if their time had come
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    report = await run_async(store.use(), other.use())
    assert (report.threads.written, report.failures) == (1, [])
    assert other.json() == store.json()

    lasting = next(key for key in other.json() if other.client.pexpiretime(key) < 0)
    other.client.delete(lasting)
    with store.saver() as saver:
        zoo.put_checkpoint(saver, "t")
    report = await run_async(store.use(), other.use())
    assert "changed there after lgx wrote it" in report.failures[0].why
