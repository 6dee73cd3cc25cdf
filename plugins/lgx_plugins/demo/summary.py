"""What the demo's export holds, as lines of at most 80 columns."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from lgx import Report
from lgx_plugins.demo.output import Output
from lgx_plugins.invocation import program

__all__ = ["next_commands", "summarize"]

_THREADS = """
SELECT json_extract(t.metadata, '$.title'), t.status,
       (SELECT count(*) FROM langgraph_checkpoints c WHERE c.thread_id = t.thread_id),
       (SELECT count(DISTINCT checkpoint_ns) FROM langgraph_checkpoints c
         WHERE c.thread_id = t.thread_id),
       (SELECT count(*) FROM langgraph_messages m WHERE m.thread_id = t.thread_id)
  FROM langgraph_threads t ORDER BY 1"""
_HEADS = ("thread", "status", "checkpoints", "namespaces", "messages")

_QUERIES = (
    "SELECT content FROM langgraph_messages LIMIT 10",
    "SELECT thread_id, status FROM langgraph_threads",
    "SELECT key, value FROM langgraph_store_items",
)
"""One line each, for `sqlite3 FILE "…"`."""


def summarize(output: Output, reports: tuple[Report, Report]) -> Iterator[str]:
    """What was found, and where it is now: of the runs into the database and the archive."""
    with closing(sqlite3.connect(output.database)) as database:
        rows = [tuple(map(str, row)) for row in database.execute(_THREADS)]
    yield from _table(_HEADS, rows)
    yield ""
    report = reports[0]
    messages = sum(int(row[-1]) for row in rows)
    yield (
        f"{report.threads.written} threads, {report.checkpoints.written} checkpoints, "
        f"{messages} messages"
    )
    extras = ", ".join(f"{n} {kind.replace('_', ' ')}s" for kind, n in report.extras.items() if n)
    if extras:
        yield f"and what belongs to the server: {extras}"
    yield ""
    for path, run in zip((output.database, output.archive), reports, strict=True):
        files = [path, *path.rglob("*")] if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in files if file.is_file())
        yield f"{path}: {size:,} bytes, in {run.seconds:.1f} s with {run.requests} requests"


def next_commands(output: Output) -> Iterator[str]:
    """Commands that work as they are printed."""
    database, archive = shlex.quote(str(output.database)), shlex.quote(str(output.archive))
    for query in _QUERIES:
        yield f'sqlite3 {database} "{query}"'
    yield f"{program()} run --source archive --source-path {archive} \\"
    yield "  --sink ndjson --sink-path - | cut -c 1-100 | head"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        text, numbers = row[:2], row[2:]
        cells = [cell.ljust(width) for cell, width in zip(text, widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(numbers, widths[2:], strict=True)]
        yield "  ".join(cells).rstrip()
