"""`main`: the one place where errors become messages and exit codes."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType

import click

from lgx.cli.allocator import hand_back_large_blocks
from lgx.cli.root import root
from lgx.cli.session import Session, printable
from lgx.errors import LgxError, UsageError
from lgx.hints import closest

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        args: in place of the process's own.
    """
    session = Session()
    _install_hooks(session)
    hand_back_large_blocks()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A thread id may hold what the terminal's encoding cannot show.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = root.main(
            args=None if args is None else list(args),
            prog_name="lgx",
            standalone_mode=False,
            obj=session,
            # None: colours on a terminal only.
            color=False if os.environ.get("NO_COLOR") else None,
        )
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        session.say(f"error: {_click_message(error)}")
        return 2
    except (click.Abort, KeyboardInterrupt, asyncio.CancelledError):
        session.say("interrupted")
        return 130
    except LgxError as error:
        session.say(f"error: {printable(str(error))}")
        return error.exit_code if isinstance(error, UsageError) else session.failure_code
    except BrokenPipeError:
        # Whoever read our output has gone; without this Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return session.failure_code
    except Exception:
        click.echo(session.redact(traceback.format_exc()), err=True, nl=False)
        session.say("this is a bug in lgx or in one of its plugins; please report the above")
        return session.failure_code
    return result if isinstance(result, int) else 0


def _click_message(error: click.ClickException) -> str:
    """click's message in the form of lgx's: one lowercase sentence and where to look."""
    if isinstance(error, click.NoSuchOption):
        near = closest(error.option_name, error.possibilities or ())
        text = f"no such option {error.option_name!r}{near}"
    else:
        text = " ".join(error.format_message().split()).rstrip(".")
        text = text[:1].lower() + text[1:]
    context = getattr(error, "ctx", None)
    if isinstance(context, click.Context):
        text += f"; see {context.command_path} --help"
    return printable(text)


def _install_hooks(session: Session) -> None:
    """Nothing reaches stderr past the redaction: no traceback, of whatever thread, no log."""

    def show(
        kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
    ) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        click.echo(session.redact(text), err=True, nl=False)

    def show_in_thread(args: threading.ExceptHookArgs) -> None:
        show(args.exc_type, args.exc_value, args.exc_traceback)

    sys.excepthook = show
    threading.excepthook = show_in_thread
    logger = logging.getLogger()
    for handler in [h for h in logger.handlers if isinstance(h, _Handler)]:
        logger.removeHandler(handler)
    logger.addHandler(_Handler(session))


class _Handler(logging.Handler):
    """What libraries log, warnings and worse, redacted."""

    def __init__(self, session: Session) -> None:
        super().__init__(logging.WARNING)
        self._session = session

    def emit(self, record: logging.LogRecord) -> None:
        # The name of a module of lgx or its plugins says nothing to a user.
        own = record.name.startswith("lgx")
        text = printable(self.format(record)) if own else self.format(record)
        self._session.say(text if own else f"{record.name}: {text}")
