"""Reports on disk: written whole and for the owner alone, and read again by `--retry`."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from lgx.errors import FatalError, UsageError
from lgx.report import Report

__all__ = ["check_report_path", "threads_to_retry", "without_secrets", "write_report"]

T = TypeVar("T", bound=Struct)


def check_report_path(path: Path) -> None:
    """Before anything is moved: that the report will find its place."""
    if path.is_dir():
        raise UsageError(f"--report {path} is a directory; name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"--report {path}: its directory does not exist; create it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--report {path}: its directory cannot be written to")


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


def write_report(path: Path, report: Report) -> None:
    """The report under that name, whole or not at all; only its owner can read it."""
    temporary = path.with_name(f".lgx-report-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(report.to_json())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise FatalError(f"the report {path} cannot be written: {error.strerror}") from error


class _Failed(Struct):
    thread_id: str | None = None


class _Retried(Struct):
    """What `--retry` needs of a report."""

    format: str
    failures: list[_Failed] = []
    quarantined: list[str] = []


def threads_to_retry(path: Path) -> tuple[tuple[str, ...], int]:
    """The threads of a report that failed, arrived in part, or were kept out by a validator;
    and how many failures belong to no thread."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Retried)
    except OSError as error:
        raise UsageError(f"--retry {path} cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--retry {path} is no report of lgx: {error}") from None
    if not report.format.startswith("lgx-report/"):
        raise UsageError(f"--retry {path} is no report of lgx: its format is {report.format!r}")
    ids = (*(failed.thread_id for failed in report.failures), *report.quarantined)
    threads = tuple(dict.fromkeys(item for item in ids if item is not None))
    return threads, sum(item is None for item in ids)
