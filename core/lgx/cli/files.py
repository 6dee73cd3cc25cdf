"""Reports on disk: written whole and for the owner alone, and read again by `--retry`."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct, structs

from lgx.errors import FatalError, UsageError
from lgx.hints import unreadable
from lgx.report import Report

__all__ = [
    "Retry",
    "check_report_path",
    "check_spool_directory",
    "path_is_wrong",
    "paths_in",
    "to_retry",
    "without_secrets",
    "write_report",
]

T = TypeVar("T", bound=Struct)


_PATH_ERRORS = frozenset(
    (
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.ELOOP, errno.ENAMETOOLONG),
    )
)
_REPORT = re.compile(rb'\s*\{\s*"format"\s*:\s*"lgx-(?:report|verification)/')


class _Document(Protocol):
    def to_json(self) -> bytes: ...


def paths_in(role: str, config: Struct) -> dict[str, Path]:
    """The paths that a source or a sink was given, by their flags; stdin and stdout are none."""
    return {
        f"--{role}-{name.replace('_', '-')}": value
        for name, value in structs.asdict(config).items()
        if isinstance(value, Path) and str(value) != "-"
    }


def check_report_path(path: Path, others: Mapping[str, Path]) -> None:
    """Before anything is moved: that the report will find its place, and takes nobody else's.

    Args:
        others: the paths that source and sink were given; see `paths_in`.
    """
    for flag, other in others.items():
        if path.resolve() == other.resolve():
            raise UsageError(f"--report {path} is {flag} as well; name another file")
    if path.is_dir():
        raise UsageError(f"--report {path} is a directory; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--report {path}: its directory does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--report {path}: its directory cannot be written to")
    if path.exists() and not _may_be_replaced(path):
        raise UsageError(
            f"--report {path} exists and is no report of lgx; name another file, or remove it"
        )


def _may_be_replaced(path: Path) -> bool:
    """Whether a report stands there, or an empty file."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(200)
    except OSError as error:
        raise UsageError(f"--report {path} {unreadable(error)}") from error
    return not head or _REPORT.match(head) is not None


def check_spool_directory(path: Path) -> None:
    """Before anything is moved: that large threads can be kept there."""
    if not path.is_dir():
        raise UsageError(f"--spool-dir {path} is no directory that exists; create it first")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"--spool-dir {path} cannot be written to; name another directory")


def path_is_wrong(error: BaseException) -> bool:
    """Whether what a source or sink could not open is a path that the user can correct, unlike
    a disk that fails or a server that does not answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.filename is not None:
            return cause.errno in _PATH_ERRORS
        cause = cause.__cause__
    return False


def without_secrets(report: Report, redact: Callable[[str], str]) -> Report:
    """The report with its sentences redacted; thread ids stay exact, for `--retry`."""

    def clean(items: list[T], *fields: str) -> list[T]:
        return [
            structs.replace(item, **{name: redact(getattr(item, name)) for name in fields})
            for item in items
        ]

    return structs.replace(
        report,
        failures=clean(report.failures, "what", "why"),
        losses=clean(report.losses, "what", "why"),
        notes=clean(report.notes, "message"),
        aborted=None if report.aborted is None else redact(report.aborted),
    )


def write_report(path: Path, report: _Document) -> None:
    """The report under that name, whole or not at all; only its owner can read it.

    On return file and name are on the disk.
    """
    temporary = path.with_name(f".lgx-report-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(report.parts() if isinstance(report, Report) else (report.to_json(),))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise FatalError(f"the report {path} cannot be written: {error.strerror}") from error


class _Failed(Struct):
    thread_id: str | None = None


class _Retried(Struct):
    """What `--retry` needs of a report."""

    format: str
    failures: list[_Failed] = []
    quarantined: list[str] = []
    signal: int | None = None
    aborted: str | None = None
    not_reached: int = 0


class Retry(Struct, frozen=True):
    """What a report says is to be tried again.

    Attributes:
        threads: that failed, arrived in part, or were kept out by a validator.
        others: failures that belong to no thread.
        unfinished: how its run ended early, which leaves more than is listed; None where it
            came to its end.
    """

    threads: tuple[str, ...]
    others: int
    unfinished: str | None


def to_retry(path: Path) -> Retry:
    """
    Raises:
        UsageError: it cannot be read, or is no report of a run.
    """
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Retried)
    except OSError as error:
        raise UsageError(f"--retry {path} {unreadable(error)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--retry {path} is no report of lgx: {error}") from None
    if not report.format.startswith("lgx-report/"):
        raise UsageError(f"--retry {path} is no report of lgx: its format is {report.format!r}")
    ids = (*(failed.thread_id for failed in report.failures), *report.quarantined)
    threads = tuple(dict.fromkeys(item for item in ids if item is not None))
    unfinished = None
    if report.signal is not None or report.aborted is not None:
        left = report.not_reached
        unfinished = "was interrupted" if report.signal is not None else "ended early"
        if left:
            unfinished += (
                f" before {left:,} {'thread was' if left == 1 else 'threads were'} reached"
            )
    return Retry(threads, sum(item is None for item in ids), unfinished)
