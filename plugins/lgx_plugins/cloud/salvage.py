"""Histories that the server cannot render whole.

One integer beyond 64 bits, or nesting past about 255, and every page that holds that
checkpoint is an internal error, for ever. The pages are narrowed until the sound ones in
front of it are through; what lies behind it no cursor reaches, but each step can be asked
for by its number.
"""

from __future__ import annotations

from collections.abc import Sequence

from lgx import Context
from lgx_plugins.cloud.gathering import Gathering
from lgx_plugins.cloud.history import PATIENCE, HistoryReader, PoisonError
from lgx_plugins.cloud.namespaces import advertised

__all__ = ["NARROWER", "salvage"]

NARROWER = (100, 10, 1)
"""Limits that are tried in turn where a page fails."""

_FIRST_STEP = -1  # the input's
_EMPTY = 25  # steps in a row without a checkpoint that end the search
_HOPELESS = 10  # steps in a row that fail, none before them sound
_SOURCES = ("input", "loop", "update", "fork")  # origins of checkpoints, as metadata has them


async def salvage(
    reader: HistoryReader,
    gathering: Gathering,
    namespace: str,
    context: Context,
    *,
    thread_id: str,
    step_size: int | None,
    stored: int | None,
) -> set[str]:
    """Reads a namespace step by step; gives the namespaces that the saved rows name.

    Args:
        stored: how many checkpoints the thread has, if the server tells.

    Raises:
        RetryableError: the server went away.
    """
    steps = _Steps(reader, gathering, namespace, context, thread_id, step_size)
    failed: list[tuple[str, str]] = []
    empty = failures = 0
    step, hopeless = _FIRST_STEP, False
    while empty < _EMPTY and (stored is None or step <= stored):
        came, bad = await steps.read(step)
        failed += bad
        failures = failures + 1 if bad else 0
        empty = 0 if came else empty + 1
        step += 1
        hopeless = not steps.saved and failures == step - _FIRST_STEP
        if failures == _HOPELESS and hopeless:
            break
    if hopeless and failed:
        # Not single checkpoints: the server renders nothing here.
        failed = [(f"the history of namespace {namespace!r}", failed[0][1])]
    for what, why in failed:
        gathering.unreadable(what, why)
    return steps.named


class _Steps:
    """The steps of one namespace, each asked for by its number.

    No checkpoint is given up that has not failed twice: with its step, and with those of its
    origin or once more. As soon as something has come, the second try needs no wait before it:
    the server is there, and it is the data that it fails at.
    """

    def __init__(
        self,
        reader: HistoryReader,
        gathering: Gathering,
        namespace: str,
        context: Context,
        thread_id: str,
        step_size: int | None,
    ) -> None:
        self._reader = reader
        self._gathering = gathering
        self._namespace = namespace
        self._context = context
        self._thread_id = thread_id
        self._step_size = step_size
        self._limit = reader.limit_for(step_size)
        self._answered = False
        self.saved = 0
        self.named: set[str] = set()

    async def read(self, step: int) -> tuple[bool, list[tuple[str, str]]]:
        """Whether the step has checkpoints, and what of it cannot be had, with the reason."""
        whole: dict[str, object] = {"step": step}
        try:
            return await self._take(whole), []
        except PoisonError as error:
            broken = str(error)
        # Several checkpoints may share the step: those of other origins are saved.
        failed = await self._without(step, _SOURCES)
        if 1 < len(failed) < len(_SOURCES):
            failed = await self._without(step, tuple(failed))
        where = f"of namespace {self._namespace!r}"
        if 0 < len(failed) < len(_SOURCES):
            bad = [
                (f"checkpoint of step {step} ({source}) {where}", why)
                for source, why in failed.items()
            ]
            return True, bad
        if not failed:
            # It was no lasting failure, or its origin is one that we do not know.
            try:
                await self._take(whole)
            except PoisonError as error:
                broken = str(error)
            else:
                return True, []
        return True, [(f"checkpoint of step {step} {where}", broken)]

    async def _without(self, step: int, sources: Sequence[str]) -> dict[str, str]:
        """Takes what these origins have of a step; those that fail, with the reason."""
        failed: dict[str, str] = {}
        for source in sources:
            try:
                await self._take({"step": step, "source": source})
            except PoisonError as error:
                failed[source] = str(error)
        return failed

    async def _take(self, metadata: dict[str, object]) -> bool:
        """Whether rows came."""
        page = await self._reader.page(
            self._thread_id,
            self._namespace,
            self._context,
            limit=self._limit,
            expected=self._step_size,
            metadata=metadata,
            patience=1 if self._answered else PATIENCE,
        )
        came = bool(page.rows)
        self._answered = self._answered or came
        self.named.update(advertised(page.rows))
        self.saved += self._gathering.take_salvaged(self._namespace, page)
        return came
