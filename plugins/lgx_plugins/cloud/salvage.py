"""Histories that the server cannot render whole.

One integer beyond 64 bits, or nesting past about 255, and every page that holds that
checkpoint is an internal error, for ever. The pages are narrowed until the sound ones in
front of it are through; what lies behind it no cursor reaches, but each step can be asked
for by its number.
"""

from __future__ import annotations

from lgx import Context
from lgx_plugins.cloud.gathering import Gathering
from lgx_plugins.cloud.history import HistoryReader, PoisonError
from lgx_plugins.cloud.namespaces import advertised

__all__ = ["NARROWER", "salvage"]

NARROWER = (100, 10, 1)
"""Limits that are tried in turn where a page fails."""

_FIRST_STEP = -1  # the input's
_EMPTY = 25  # steps in a row without a checkpoint that end the search
_HOPELESS = 10  # steps in a row that fail, none before them sound
_SOURCES = ("input", "loop", "update", "fork")


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
    named: set[str] = set()
    limit = reader.limit_for(step_size)
    failed: list[tuple[str, str]] = []
    saved = empty = failures = 0
    step, hopeless = _FIRST_STEP, False
    while empty < _EMPTY and (stored is None or step <= stored):
        filters: list[dict[str, object]] = [{"step": step}]
        came = False
        bad: list[tuple[str, str]] = []
        broken = ""
        while filters:
            metadata = filters.pop()
            try:
                page = await reader.page(
                    thread_id,
                    namespace,
                    context,
                    limit=limit,
                    expected=step_size,
                    metadata=metadata,
                )
            except PoisonError as error:
                if "source" in metadata:
                    what = f"checkpoint of step {step} ({metadata['source']})"
                    bad.append((f"{what} of namespace {namespace!r}", str(error)))
                else:
                    # Several checkpoints may share the step: those of other origins are saved.
                    filters = [{"step": step, "source": source} for source in _SOURCES]
                    broken = str(error)
                came = True
                continue
            rows = page.rows
            came = came or bool(rows)
            named.update(advertised(rows))
            saved += gathering.take_salvaged(namespace, page)
            del page, rows
        if broken and len(bad) not in range(1, len(_SOURCES)):
            # None of the origins fails, or the filter makes no difference.
            bad = [(f"checkpoint of step {step} of namespace {namespace!r}", broken)]
        failed += bad
        failures = failures + 1 if bad else 0
        empty = 0 if came else empty + 1
        step += 1
        hopeless = not saved and failures == step - _FIRST_STEP
        if failures == _HOPELESS and hopeless:
            break
    if hopeless and failed:
        # Not single checkpoints: the server renders nothing here.
        failed = [(f"the history of namespace {namespace!r}", failed[0][1])]
    for what, why in failed:
        gathering.unreadable(what, why)
    return named
