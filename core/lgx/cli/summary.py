"""What a run came to, in a few lines of at most 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from lgx.cli.meter import counted, duration, size
from lgx.cli.session import printable
from lgx.cli.wrapping import shortened, wrapped
from lgx.report import Counts, Report
from lgx.threads import Loss

__all__ = ["in_brief", "section", "summary"]

_COLUMNS = 80
_SHOWN = 10
_EMPTY = "''"
_NAMED = 3  # of threads, or things of a thread, in one entry
_TELLING = 8  # characters of an id that is not part of a word by chance
_NUMBERED = re.compile(r"(?P<number>\d+) (?P<noun>\w+?)s?(?P<rest>( .*)?)", re.DOTALL)
_Fact: TypeAlias = tuple[str | None, str, str]  # thread, what, why
_STATES = (
    ("written", "written"),
    ("unchanged", "unchanged"),
    ("partial", "in part"),  # of checkpoints: written, of threads that came in part
    ("failed", "failed"),
    ("gone", "gone meanwhile"),
)
_WOULD = {"failed": "would fail"}  # of a dry run


def summary(
    report: Report, *, report_path: str | None = None, listed_all: bool = True
) -> list[str]:
    """The lines for stderr: counts, what is missing, what the target cannot hold.

    Args:
        report_path: where the whole report was written, for the pointer to it.
        listed_all: whether it is known how many threads there are.
    """
    if report.aborted is not None and not report.threads.listed:
        return []
    lines = [f"{report.source} → {report.sink} ({_how(report)})"]
    lines += _wrap(f"  {'threads':<12} ", _threads(report, listed_all=listed_all))
    checkpoints = _counts(report.checkpoints, report)
    if checkpoints:
        # A dry run does not tell how many would be written.
        of = "" if report.dry_run else f" (of {report.checkpoints.listed:,})"
        lines += _wrap(f"  {'checkpoints':<12} ", f"{', '.join(checkpoints)}{of}")
    others = [*_others(report.extras, ""), *_others(report.extras_unchanged, " there already")]
    if others:
        lines += _wrap(f"  {'others':<12} ", ", ".join(others))
    traffic = [f"{size(report.bytes)} of records"] if report.bytes else []
    if report.received:
        traffic.append(f"{size(report.received)} received")
    if report.requests:
        traffic.append(counted(report.requests, "request"))
    if report.retries:
        traffic.append(counted(report.retries, "retry", "retries"))
    if traffic:
        lines += _wrap(f"  {'traffic':<12} ", ", ".join(traffic))
    missing = [(f.thread_id, f.what, f.why) for f in report.failures]
    left = [_fact(loss) for loss in report.losses if loss.left]
    unheld = [_fact(loss) for loss in report.losses if not (loss.holdable or loss.left)]
    notes = [(note.thread_id, note.message, "") for note in report.notes]
    lines += section("missing", missing, report_path)
    lines += _advice(report, report_path)
    lines += section("left as it stands there", left, report_path)
    lines += section("cannot be held there", unheld, report_path, by_kind=True)
    lines += section("notes", notes, report_path)
    return lines


def in_brief(report: Report, *, report_path: str | None = None) -> str:
    """What is missing, in one sentence, for who wants to hear of nothing else."""
    verb = "would fail" if report.dry_run else "failed"
    facts = [f"{counted(report.threads.failed, 'thread')} {verb}"] if report.threads.failed else []
    if report.threads.partial:
        facts.append(f"{counted(report.threads.partial, 'thread')} arrived in part")
    others = sum(failure.thread_id is None for failure in report.failures)
    if others:
        facts.append(f"{counted(others, 'failure')} of what belongs to no thread")
    told = ", ".join(facts) or counted(len(report.failures), "failure")
    return f"{told}; {_pointer(report_path)}"


def _pointer(report_path: str | None) -> str:
    return f"see {report_path}" if report_path else "use --report FILE to see all"


def _threads(report: Report, *, listed_all: bool) -> str:
    """`35 written, 2 failed, 26 not reached (of 63)`"""
    facts = _counts(report.threads, report)
    settled = sum(getattr(report.threads, name) for name, _ in _STATES)
    if report.dry_run:
        facts.insert(0, f"{len(report.would_move):,} would move")
        settled += len(report.would_move)
    left = report.not_reached
    if left and not listed_all:
        return ", ".join([*facts, f"at least {left:,} not reached"])
    if left:
        facts.append(f"{left:,} not reached")
    return f"{', '.join(facts)} (of {max(settled + left, report.threads.listed):,})"


def _counts(counts: Counts, report: Report) -> list[str]:
    return [
        f"{getattr(counts, name):,} {_WOULD.get(name, word) if report.dry_run else word}"
        for name, word in _STATES
        if getattr(counts, name) or (name == "written" and not report.dry_run)
    ]


def _others(extras: Mapping[str, int], what: str) -> list[str]:
    return [
        counted(count, kind.replace("_", " ")) + what
        for kind, count in sorted(extras.items())
        if count
    ]


def _advice(report: Report, report_path: str | None) -> list[str]:
    """One sentence that finishes the job: what was not reached is in no list to retry from."""
    if report.aborted is not None or report.signal is not None:
        said = report.aborted is not None and "run again" in report.aborted
        wanted = report.signal is not None or report.failures
        again = "  run the same command again: it goes on with all that is missing"
        return [again] if wanted and not said and not report.dry_run else []
    if report_path and any(failure.thread_id is not None for failure in report.failures):
        return [f"  try these threads again with --retry {report_path}"]
    return []


def _how(report: Report) -> str:
    if report.aborted is not None or report.signal is not None:
        return f"ended early, after {duration(report.seconds)}"
    return "dry run: nothing was written" if report.dry_run else f"in {duration(report.seconds)}"


def _fact(loss: Loss) -> _Fact:
    return loss.thread_id, loss.what, loss.why


def section(
    title: str,
    facts: Sequence[_Fact],
    report_path: str | None,
    *,
    shown: int = _SHOWN,
    by_kind: bool = False,
) -> list[str]:
    """A list with its first entries; what is said of many threads is said once.

    Args:
        facts: thread (None: of none), what, and why; each in words, or empty.
        by_kind: whether what is of one kind stands together, with its sum, rather than all that
            is said of a thread.
    """
    if not facts:
        return []
    entries = list(_summed(facts) if by_kind else _grouped(facts))
    lines = [f"{title} ({len(entries):,}):"]
    for text in entries[:shown]:
        lines += _wrap("  - ", printable(shortened(text)))
    if (left := len(entries) - shown) > 0:
        lines.append(f"  and {left:,} more; {_pointer(report_path)}")
    return lines


def _summed(facts: Sequence[_Fact]) -> Iterator[str]:
    """Sentences: `96 checkpoints of subgraphs in 15 threads`. What only one thread has stands
    with all else that it alone has."""
    kinds: dict[tuple[str, str], dict[str, list[str]]] = {}
    for thread_id, what, why in facts:
        if thread_id is not None:
            kinds.setdefault((_kind(what), why), {}).setdefault(thread_id, []).append(what)
    shared = {kind: whats for kind, whats in kinds.items() if len(whats) > 1}
    yield from _grouped([fact for fact in facts if fact[0] is None])
    for (_, why), threads in shared.items():
        text = _sum([what for whats in threads.values() for what in whats])
        said = f"{text} in {len(threads):,} threads ({_first_ids(list(threads))})"
        yield ": ".join(part for part in (said, why) if part)
    yield from _grouped(
        [f for f in facts if f[0] is not None and (_kind(f[1]), f[2]) not in shared]
    )


def _kind(what: str) -> str:
    """What a number of things are: the same for one of them."""
    found = _NUMBERED.fullmatch(what)
    return what if found is None else f"# {found['noun']}{found['rest']}"


def _sum(whats: Sequence[str]) -> str:
    """Those of one kind as one."""
    found = [_NUMBERED.fullmatch(what) for what in whats]
    total = sum(int(match["number"]) for match in found if match is not None)
    first = found[0]
    return whats[0] if first is None else f"{counted(total, first['noun'])}{first['rest']}"


def _grouped(facts: Sequence[_Fact]) -> Iterator[str]:
    """Sentences: a thread is named once, and threads of which the same is to be said are named
    together."""
    by_thread: dict[str | None, list[_Fact]] = {}
    for fact in facts:
        by_thread.setdefault(fact[0], []).append(fact)
    for fact in by_thread.pop(None, []):
        yield ": ".join(part for part in fact[1:] if part)
    groups: dict[str, list[str]] = {}
    for thread_id, own in by_thread.items():
        assert thread_id is not None
        # A reason that names its thread is the same for others all the same.
        said = _said(own)
        common = said.replace(thread_id, "…") if len(thread_id) >= _TELLING else said
        groups.setdefault(common, []).append(thread_id)
    for common, ids in groups.items():
        if len(ids) == 1:
            yield shortened(f"thread {ids[0] or _EMPTY}: {_said(by_thread[ids[0]])}", ids[0])
        else:
            yield f"each of {len(ids):,} threads: {common} ({_first_ids(ids)})"


def _said(facts: Sequence[_Fact]) -> str:
    """What is to be said of one thread."""
    by_reason: dict[str, dict[str, None]] = {}
    for _, what, why in facts:
        by_reason.setdefault(why, {})[what] = None
    return "; ".join(
        ": ".join(part for part in (_first([w for w in whats if w != "thread"]), why) if part)
        for why, whats in by_reason.items()
    )


def _first_ids(ids: Sequence[str]) -> str:
    return _first([own or _EMPTY for own in ids])


def _first(items: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(items) - _NAMED
    return ", ".join(shortened(item, item) for item in items[:_NAMED]) + (
        f" and {more:,} more" if more > 0 else ""
    )


def _wrap(first: str, text: str) -> list[str]:
    return wrapped(text, _COLUMNS, first=first, rest=" " * len(first))
