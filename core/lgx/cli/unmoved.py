"""What a dry run lists on stdout: the threads that would move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lgx.cli.meter import size
from lgx.cli.session import printable
from lgx.report import Unmoved

__all__ = ["unmoved_lines"]

_LEAST = 8  # characters of a version


def unmoved_lines(threads: Sequence[Unmoved], columns: int | None) -> Iterator[str]:
    """Id, version, and bytes if known; under a header on a terminal.

    Args:
        columns: of a terminal, where a version that does not fit is shortened; None: for a
            program, which gets all of it, and tabs between.
    """
    sized = any(item.size_hint is not None for item in threads)
    for number, item in enumerate(threads):
        own, version = printable(item.thread_id), printable(item.version)
        hint = item.size_hint
        if columns is None:
            cells = [own, version]
            if sized:
                cells.append("-" if hint is None else str(hint))
            yield "\t".join(cells)
            continue
        last = f"  {'-' if hint is None else size(hint)}" if sized else ""
        room = max(_LEAST, columns - len(own) - len(last) - 2)
        if len(version) > room:
            version = f"{version[: room - 1]}…"
        if number == 0:  # ids of one source are mostly of one length
            head = f"{'thread':<{len(own)}}  {'version':<{len(version)}}"
            yield f"{head}  size" if sized else head.rstrip()
        yield f"{own}  {version}{last}"
