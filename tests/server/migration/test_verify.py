"""`lgx verify` of two real servers, after one was brought over to the other."""

from __future__ import annotations

import lgx
from lgx import use

from .fill import Filled
from .moving import move


async def test_what_differs_is_what_the_run_has_told(source: Filled, target: str) -> None:
    """Rebuilt threads are equal where the server could be given all of them; of those that are
    not the run has told something, and both count the same ways of rebuilding."""
    report = await move(source.url, target)
    sides = use("cloud", url=source.url), use("cloud", url=target)

    found = await lgx.verify_async(*sides)

    names = {thread_id: name for name, thread_id in source.threads.items()}
    told = {loss.thread_id for loss in report.losses} | {f.thread_id for f in report.failures}
    differing = {d.thread_id: d.first for d in found.differences if d.thread_id is not None}
    assert {names[i]: words for i, words in differing.items() if i not in told} == {}
    assert found.replayed == report.fidelity
    assert found.threads.equal + len(differing) == len(names)
    assert found.threads.equal > 3 * len(differing) / 2
    assert found.checkpoints.equal > 30 * found.checkpoints.different
    assert (found.exit_code, found.aborted, found.threads.additional) == (1, None, 0)


async def test_a_rebuilt_thread_is_equal_from_wherever_it_is_seen(
    source: Filled, target: str
) -> None:
    """Both ways round, also after an export of the target; what is gone on with is not."""
    thread_id = source.threads["chat-plain"]
    await move(source.url, target, [thread_id])
    here, there = use("cloud", url=source.url), use("cloud", url=target)

    for sides in ((here, there), (there, here)):
        found = await lgx.verify_async(*sides, thread_ids=[thread_id])
        assert (found.equal, found.threads.equal, found.replayed) == (True, 1, {"replayed": 1})
    assert (await lgx.verify_async(there, there, thread_ids=[thread_id])).replayed == {}
