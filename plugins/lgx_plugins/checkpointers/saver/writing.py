"""Threads into a checkpointer: compared with what stands there, put, and read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, TypeVar

from lgx import Bundle, Context, Loss, ThreadError, WriteOutcome
from lgx_plugins.blocking import run_to_end
from lgx_plugins.checkpointers.rows.conflicts import Course, Judgement, Policy, left
from lgx_plugins.checkpointers.rows.encryption import Cipher
from lgx_plugins.checkpointers.rows.joining import Joiner
from lgx_plugins.checkpointers.saver.access import Access, SaverError
from lgx_plugins.checkpointers.saver.comparison import Comparison, Side
from lgx_plugins.checkpointers.saver.loading import Allowed, Loader
from lgx_plugins.checkpointers.saver.preparing import Thread
from lgx_plugins.checkpointers.saver.walking import walk
from lgx_plugins.checkpointers.serde import Name

__all__ = ["Writer"]

T = TypeVar("T")

_OTHER = Judgement(Course.LEAVE, "with content that is no part of what comes")


class Writer:
    def __init__(self, access: Access, *, policy: Policy, allowed: Allowed, cipher: Cipher) -> None:
        self._access = access
        self._policy = policy
        self._allowed = allowed
        self._cipher = cipher

    async def store(self, bundle: Bundle, context: Context) -> WriteOutcome:
        """The thread stands there whole, as it comes, or the outcome says why not."""
        return await self._treated(bundle, dry=False)

    async def preview(self, bundle: Bundle) -> WriteOutcome:
        return await self._treated(bundle, dry=True)

    async def _treated(self, bundle: Bundle, *, dry: bool) -> WriteOutcome:
        thread_id = bundle.thread_id
        serde = self._access.serde
        with ExitStack() as stack:
            joiner = stack.enter_context(closing(Joiner(self._cipher)))
            loader = Loader(self._allowed, self._cipher, serde)
            thread = stack.enter_context(closing(Thread(bundle, joiner, loader)))
            comparison = stack.enter_context(closing(Comparison(thread_id, serde)))
            try:
                refused = await self._access.work(thread.scan)
                if refused:
                    return WriteOutcome(thread_id=thread_id, error=_refusal(refused))
                await walk(self._access, thread_id, comparison)
                stands = comparison.holds("standing")
                if stands or dry:
                    await self._access.work(_compare, thread, comparison)
                if stands:
                    outcome = self._judged(bundle, comparison)
                    if outcome is not None:
                        return outcome
                if dry:
                    return WriteOutcome(thread_id=thread_id)
                return await self._write(thread, comparison, stands=stands)
            except ThreadError as error:
                return WriteOutcome(thread_id=thread_id, error=str(error))

    def _judged(self, bundle: Bundle, comparison: Comparison) -> WriteOutcome | None:
        """None where it is to be written."""
        if comparison.beyond("standing"):
            return None if self._policy == "replace" else left(self._policy, bundle, _OTHER)
        if comparison.beyond("coming"):
            return None  # an earlier state of it, or a copy that was cut short
        return WriteOutcome(thread_id=bundle.thread_id, written=False)

    # -- writing -----------------------------------------------------------------------

    async def _write(self, thread: Thread, comparison: Comparison, *, stands: bool) -> WriteOutcome:
        thread_id = thread.bundle.thread_id
        extra = stands and bool(comparison.beyond("standing"))
        if stands and not await self._access.delete_thread(thread_id) and extra:
            raise ThreadError(
                f"it stands there with other content, and {self._access.name} cannot remove "
                "threads (it has no delete_thread); remove it by other means, and run again"
            )
        try:
            await self._put(thread, comparison)
        except ThreadError as error:
            raise ThreadError(f"{error}; {await self._removed(thread_id)}") from error
        except BaseException:
            await run_to_end(self._removed(thread_id))
            raise
        return WriteOutcome(thread_id=thread_id, losses=await self._proof(thread_id, comparison))

    async def _put(self, thread: Thread, comparison: Comparison) -> None:
        puts = thread.puts()
        while (put := await self._access.work(_next, puts)) is not None:
            await self._access.work(
                comparison.checkpoint, "coming", put.key, put.parent, put.checkpoint, put.metadata
            )
            await self._access.put(put.config, put.checkpoint, put.metadata, put.new_versions)
        tasks = thread.put_writes()
        while (one := await self._access.work(_next, tasks)) is not None:
            await self._access.work(_compare_writes, one, comparison)
            await self._access.put_writes(one.config, one.writes, one.task_id, one.task_path)

    async def _removed(self, thread_id: str) -> str:
        """Takes away what was put; what is to be said of it."""
        try:
            if await self._access.delete_thread(thread_id):
                return "nothing of it stands there"
        except SaverError as error:
            return f"part of it stands there, and could not be removed ({error})"
        return (
            f"part of it stands there, since {self._access.name} cannot remove threads (it has "
            "no delete_thread); the next run completes it"
        )

    # -- reading -----------------------------------------------------------------------

    async def _proof(self, thread_id: str, comparison: Comparison) -> tuple[Loss, ...]:
        """What of it the checkpointer does not give back as it was put."""
        comparison.forget("standing")
        try:
            await walk(self._access, thread_id, comparison, comparison.coming)
        except ThreadError as error:
            why = f"it was written, and could not be read back ({error})"
            return (Loss(what="proof", why=why, thread_id=thread_id),)
        changed, more = comparison.beyond("coming"), comparison.beyond("standing")
        if not changed and not more:
            return ()
        side: Side = "coming" if changed else "standing"
        return (
            Loss(
                what=f"{max(changed, more)} checkpoints and writes",
                why=(
                    f"{self._access.name} does not give them back as they were put, first "
                    f"{comparison.first_beyond(side)}"
                ),
                thread_id=thread_id,
            ),
        )


def _next(iterator: Iterator[T]) -> T | None:
    return next(iterator, None)


def _compare(thread: Thread, comparison: Comparison) -> None:
    for put in thread.puts():
        comparison.checkpoint("coming", put.key, put.parent, put.checkpoint, put.metadata)
    for one in thread.put_writes():
        _compare_writes(one, comparison)


def _compare_writes(one: Any, comparison: Comparison) -> None:
    """Those of a checkpoint that is not there are shown by no list."""
    if not comparison.holds("coming", one.key):
        return
    for number, (channel, value) in zip(one.numbers, one.writes, strict=True):
        comparison.write("coming", one.key, one.task_id, number, channel, value)


def _refusal(names: set[Name]) -> str:
    modules = sorted({module for module, _ in names})
    shown = ", ".join(sorted(".".join(name) for name in names)[:20])
    return (
        f"its data would have {', '.join(modules)} imported and called ({shown}), which are not "
        "on LangGraph's list of harmless names; where the source is trusted, add "
        f"--sink-allow-modules {','.join(modules)}"
    )
