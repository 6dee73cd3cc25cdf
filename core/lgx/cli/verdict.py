"""What a verification came to, in lines of at most 80 columns, but for names of places."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TypeAlias

from msgspec import structs

from lgx.cli.meter import counted, duration
from lgx.cli.session import printable
from lgx.cli.summary import section
from lgx.cli.wrapping import columns_of, wrapped
from lgx.verification.levels import said
from lgx.verification.report import Compared, Side, Verification

__all__ = ["clean", "in_brief", "verdict"]

_COLUMNS = 80
_SHOWN = 50  # differences that are listed without a report
_STATES = ("equal", "different", "missing", "additional", "unread")
_Fact: TypeAlias = tuple[str | None, str, str]


def clean(found: Verification, redact: Callable[[str], str]) -> Verification:
    """The verification with its sentences redacted; ids stay exact."""

    def side(one: Side | None) -> Side | None:
        if one is None:
            return None
        unread = [
            structs.replace(loss, what=redact(loss.what), why=redact(loss.why))
            for loss in one.unread
        ]
        names = {name: redact(getattr(one, name)) for name in ("identity", "place")}
        return structs.replace(one, unread=unread, **names)

    return structs.replace(
        found,
        source=side(found.source),
        sink=side(found.sink),
        differences=[structs.replace(d, first=redact(d.first)) for d in found.differences],
        checks=[structs.replace(fact, value=redact(fact.value)) for fact in found.checks],
        notes=[structs.replace(note, message=redact(note.message)) for note in found.notes],
        aborted=None if found.aborted is None else redact(found.aborted),
    )


def verdict(found: Verification, *, report_path: str | None = None) -> list[str]:
    """The lines for stdout: counts of both sides, digests, what was left out, what differs."""
    sides = [(r, s) for r, s in (("source", found.source), ("sink", found.sink)) if s is not None]
    if not sides:
        return []
    names = " = ".join(side.plugin for _, side in sides)
    how = f"in {duration(found.seconds)}"
    lines = [f"{names}: {_verdict(found)} ({how})"]
    if not _ended_early(found) or any(side.threads for _, side in sides):
        lines += _table(found, sides)
    if found.level is not None:
        lines.append(f"  compared      {said(found.level)}")
    if found.replayed:  # they have ids of their own, so that digests say nothing
        counts = [f"{n:,} {reached}" for reached, n in sorted(found.replayed.items())]
        lines.append(f"  rebuilt       {', '.join(counts)}")
    else:
        lines += [f"  digest {role:<6} {side.digest}" for role, side in sides if side.digest]
    if found.sample is not None:
        lines += wrapped(
            _sample(found, found.sample),
            _COLUMNS,
            first="  sample        ",
            rest=" " * 16,
        )
    checks = [(None, fact.name, fact.value) for fact in found.checks]
    lines += section("checked", checks, None, shown=len(checks))
    lines += section("left out", [(None, i.what, i.why) for i in found.left_out], report_path)
    lines += section("unread", list(_unread(sides)), report_path)
    lines += section("notes", [(n.thread_id, n.message, "") for n in found.notes], report_path)
    differences: list[_Fact] = [(d.thread_id, "", d.first) for d in found.differences]
    lines += section("differences", differences, report_path, shown=_SHOWN)
    if found.unlisted:
        lines.append(f"  and {found.unlisted:,} more that no report lists")
    return lines


def _sample(found: Verification, size: int) -> str:
    seen = 0 if found.source is None else found.source.threads + found.threads.unread
    if seen < size and not _ended_early(found):
        return f"all {counted(seen, 'thread')} of the source: there are no {size:,}"
    return f"{counted(size, 'thread')} of the source; --seed {found.seed} chooses them again"


def in_brief(found: Verification, *, report_path: str | None = None) -> str:
    """That something differs or is damaged, in one sentence."""
    names = " = ".join(side.plugin for side in (found.source, found.sink) if side is not None)
    where = f"see {report_path}" if report_path else "use --report FILE to see what"
    return f"{names}: {_verdict(found)}; {where}"


def _ended_early(found: Verification) -> bool:
    return found.aborted is not None or found.signal is not None


def _verdict(found: Verification) -> str:
    if _ended_early(found):
        return "not compared to the end" if found.sink and found.source else "not read to the end"
    if found.equal is not None:
        return "equal" if found.equal else "different"
    return "sound" if found.exit_code == 0 else "damaged"


def _table(found: Verification, sides: list[tuple[str, Side]]) -> list[str]:
    """The counts: of each side, then by what the comparison said. Places are whole where a
    program reads them."""
    columns = columns_of(sys.stdout)
    rows = [
        (role, (side.threads, side.checkpoints, side.records), side.place or side.identity)
        for role, side in sides
    ]
    if len(sides) == 2:
        counts: tuple[Compared, ...] = (found.threads, found.checkpoints, found.records)
        for state in _STATES:
            cells = tuple(getattr(one, state) for one in counts)
            if any(cells) or state == "equal":
                rows.append((state, (cells[0], cells[1], cells[2]), ""))
    lines = [f"  {'':<10} {'threads':>11} {'checkpoints':>13} {'others':>9}"]
    for name, cells, note in rows:
        head = f"  {name:<10} {cells[0]:>11,} {cells[1]:>13,} {cells[2]:>9,}"
        text = printable(note)
        if columns is not None and len(head) + 2 + len(text) > columns:
            text = f"…{text[len(head) + 3 - columns :]}"
        lines.append(f"{head}  {text}".rstrip())
    return lines


def _unread(sides: list[tuple[str, Side]]) -> Iterator[_Fact]:
    """What belongs to no thread; of threads it is told among the differences."""
    for role, side in sides:
        for loss in side.unread:
            if loss.thread_id is None:
                yield None, f"{loss.what} of the {role}", loss.why
