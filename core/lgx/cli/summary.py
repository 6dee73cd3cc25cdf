"""What a run came to, in a few lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from lgx.cli.meter import duration, size
from lgx.cli.session import printable
from lgx.report import Report
from lgx.threads import Loss

__all__ = ["summary"]

_COLUMNS = 80
_SHOWN = 10
_STATES = (
    ("written", "written"),
    ("unchanged", "unchanged"),
    ("partial", "in part"),  # of checkpoints: written, of threads that came in part
    ("failed", "failed"),
    ("gone", "gone meanwhile"),
)


def summary(report: Report, *, report_path: str | None = None) -> list[str]:
    """The lines for stderr: counts, what is missing, what the target cannot hold.

    Args:
        report_path: where the whole report was written, for the pointer to it.
    """
    if report.aborted is not None and not report.threads.listed:
        return []
    lines = [f"{report.source} → {report.sink} ({_how(report)})"]
    for noun, counts in (("threads", report.threads), ("checkpoints", report.checkpoints)):
        facts = [
            f"{getattr(counts, name):,} {word}"
            for name, word in _STATES
            if getattr(counts, name) or (name == "written" and not report.dry_run)
        ]
        if report.dry_run and noun == "threads":
            facts.insert(0, f"{len(report.would_move):,} would move")
        left = counts.listed - sum(getattr(counts, name) for name, _ in _STATES)
        if left > 0 and not report.dry_run:
            facts.append(f"{left:,} not reached")
        if facts:
            lines += _wrap(f"  {noun:<12} ", f"{', '.join(facts)} (of {counts.listed:,})")
    extras = [f"{count:,} {kind}" for kind, count in sorted(report.extras.items()) if count]
    if extras:
        lines += _wrap(f"  {'others':<12} ", ", ".join(extras))
    if report.bytes or report.requests:
        traffic = [f"{size(report.bytes)} of records"]
        if report.received:
            traffic.append(f"{size(report.received)} received")
        if report.requests:
            traffic.append(f"{report.requests:,} requests")
        if report.retries:
            traffic.append(f"{report.retries:,} retries")
        lines += _wrap(f"  {'traffic':<12} ", ", ".join(traffic))
    missing = [_entry(f.thread_id, f.what, f.why) for f in report.failures]
    unheld = [_entry(loss.thread_id, loss.what, loss.why) for loss in _unheld(report.losses)]
    notes = [_entry(note.thread_id, note.message, "") for note in report.notes]
    lines += _section("missing", missing, report_path)
    if report_path and any(failure.thread_id is not None for failure in report.failures):
        lines.append(f"  try these threads again with --retry {report_path}")
    lines += _section("cannot be held there", unheld, report_path)
    lines += _section("notes", notes, report_path)
    return lines


def _how(report: Report) -> str:
    if report.aborted is not None or report.signal is not None:
        return f"ended early, after {duration(report.seconds)}"
    return "dry run: nothing was written" if report.dry_run else f"in {duration(report.seconds)}"


def _unheld(losses: Sequence[Loss]) -> Iterator[Loss]:
    return (loss for loss in losses if not loss.holdable)


def _entry(thread_id: str | None, what: str, why: str) -> str:
    parts = [f"thread {thread_id}" if thread_id is not None else "", what, why]
    if thread_id is not None and what == "thread":
        parts[1] = ""
    return printable(": ".join(part for part in parts if part))


def _section(title: str, entries: Sequence[str], report_path: str | None) -> list[str]:
    """A list with its first entries; the same text for many threads is told once."""
    if not entries:
        return []
    lines = [f"{title} ({len(entries):,}):"]
    for entry in entries[:_SHOWN]:
        lines += _wrap("  - ", entry)
    if len(entries) > _SHOWN:
        where = f"see {report_path}" if report_path else "use --report FILE to see all"
        lines.append(f"  and {len(entries) - _SHOWN:,} more; {where}")
    return lines


def _wrap(first: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_on_hyphens=False,
    )
