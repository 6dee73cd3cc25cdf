"""What sinks that write one file have in common: it is made anew and appears at its end."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from lgx import (
    Bundle,
    Config,
    Context,
    Fact,
    FatalError,
    Mark,
    Probe,
    RunInfo,
    Sink,
    ThreadError,
    ThreadRef,
    WriteOutcome,
)
from lgx_plugins.blocking import run_blocking
from lgx_plugins.extras_log import ExtrasLog
from lgx_plugins.formats import check_replaceable
from lgx_plugins.outputs import Output

__all__ = ["FileSink", "FileSinkConfig"]


class FileSinkConfig(Config, frozen=True, kw_only=True):
    path: Path


C = TypeVar("C", bound=FileSinkConfig)


class FileSink(Sink[C]):
    """Each run writes the whole selection to a new file, in place of an earlier one of the
    same format; it holds no marks.

    The methods with an underscore block and are called in a worker thread, one at a time.
    Cancelled or not, the public ones return only when that has ended.
    """

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._output = Output(config.path)
        self._log = ExtrasLog()
        self._half: str | None = None  # a thread of which a part was written

    def _check(self) -> None:
        """Whether the target could be written; creates nothing.

        Raises:
            UsageError: it could not, or something stands there that is no such file.
        """
        self._output.check()
        if not self._output.standard:
            check_replaceable(self._output.path, self.name)

    @abstractmethod
    def _open(self, run: RunInfo) -> None:
        """Writes what stands before the first thread; the output is open."""

    @abstractmethod
    def _write_thread(self, bundle: Bundle) -> None:
        """Writes a thread.

        Raises:
            ThreadError: nothing of it was written.
        """

    @abstractmethod
    def _write_extra(self, line: bytes) -> None:
        """Writes one of the deployment's own records."""

    def _end(self) -> None:
        """Writes what stands after the last thread."""

    def _close(self) -> None:
        """Lets go of everything; called once, also where `_open` was not, or failed."""
        self._output.close()

    async def probe(self, context: Context) -> Probe:
        self._check()
        return Probe(facts=(Fact(name="target", value=str(self.config.path)),))

    async def begin(self, run: RunInfo, context: Context) -> None:
        self._check()
        if not run.dry_run:
            await run_blocking(self._begin, run)

    def _begin(self, run: RunInfo) -> None:
        self._output.open()
        self._open(run)

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return {}

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        return await run_blocking(self._write, bundles)

    def _write(self, bundles: Sequence[Bundle]) -> Sequence[WriteOutcome]:
        outcomes = []
        for bundle in bundles:
            error = None
            written = self._output.taken
            try:
                self._write_thread(bundle)
            except ThreadError as found:
                error = str(found)
                if self._output.taken != written:
                    self._half = bundle.thread_id
            outcomes.append(WriteOutcome(thread_id=bundle.thread_id, error=error))
        if self._output.standard:
            self._output.flush()
        return outcomes

    async def write_extras(self, kind: str, bundle: Bundle, context: Context) -> WriteOutcome:
        await run_blocking(self._write_extras, kind, bundle)
        return WriteOutcome(thread_id=None)

    def _write_extras(self, kind: str, bundle: Bundle) -> None:
        for line in self._log.fresh(kind, bundle):
            self._write_extra(line)

    async def finish(self, context: Context) -> None:
        await run_blocking(self._finish)

    def _finish(self) -> None:
        if self._half is not None:
            raise FatalError(
                f"{str(self.config.path)!r} was not written: thread {self._half!r} broke off in "
                "the middle, which no file can take back; run again"
            )
        self._end()
        self._output.commit()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_blocking(self._close)
