"""Options that several commands have: which threads, with what effort, what is printed."""

from __future__ import annotations

import functools
from pathlib import Path

import click
import msgspec

from lgx.arguments import STATUSES
from lgx.cli.flags import Flag, count, size, time
from lgx.spec import RunSpec

__all__ = ["EFFORT", "EXTRAS", "OUTPUT", "THREADS"]

_which = functools.partial(Flag, section="Which threads")
_how = functools.partial(Flag, section="How")
_output = functools.partial(Flag, section="Output")
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(RunSpec)}

THREADS = (
    _which(["--thread-id"], multiple=True, metavar="ID", help="These threads alone."),
    _which(
        ["--metadata"],
        multiple=True,
        metavar="KEY=VALUE",
        help='Threads whose metadata contains this; VALUE is JSON or text (for 7 as text: "7").',
    ),
    _which(["--status"], type=click.Choice(STATUSES), help="Threads of this status."),
    _which(["--since"], type=time, metavar="TIME", help="Threads updated at this time or later."),
    _which(["--until"], type=time, metavar="TIME", help="Threads updated before this time."),
    _which(
        ["--as-of"],
        type=time,
        metavar="TIME",
        help="The state at that time, from a source that keeps earlier ones.",
    ),
    _which(["--limit"], type=count, metavar="N", help="At most so many threads."),
)

EXTRAS = _which(
    ["--extras/--no-extras"],
    is_flag=True,
    default=None,
    help="Assistants, crons and store items too. [default: yes, unless threads are filtered]",
)

EFFORT = (
    _how(
        ["--concurrency"],
        type=count,
        default=_DEFAULTS["concurrency"],
        show_default=True,
        metavar="N",
        help="How many large requests or reads run at once.",
    ),
    _how(
        ["--memory"],
        type=size,
        default=f"{_DEFAULTS['memory'] >> 20}M",
        show_default=True,
        metavar="SIZE",
        help="How much data is in flight at most; what is larger goes to disk.",
    ),
    _how(
        ["--attempts"],
        type=count,
        default=_DEFAULTS["attempts"],
        show_default=True,
        metavar="N",
        help="How often a request is tried at most; the first ones, which tell whether the "
        "address is right, are given up sooner.",
    ),
    _how(
        ["--spool-dir"],
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIRECTORY",
        help="Where large threads wait until they are written. [default: the temporary directory]",
    ),
)

OUTPUT = (
    _output(
        ["--report"],
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write the report, one JSON document, to FILE.",
    ),
    _output(["--json"], is_flag=True, help="Print the report on stdout."),
    _output(["--quiet"], is_flag=True, help="Print nothing but warnings and errors."),
)
