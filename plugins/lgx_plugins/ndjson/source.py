"""The NDJSON source: lines of records from a file or from standard input."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from lgx import (
    ANY_KIND,
    EXTRA_KINDS,
    Context,
    Fact,
    Loss,
    Probe,
    Query,
    Record,
    Thread,
    ThreadEnd,
    ThreadError,
    UsageError,
    decode_line,
    option,
)
from lgx_plugins.file_source import FileSource, FileSourceConfig, Item
from lgx_plugins.filters import admits
from lgx_plugins.inputs import PIECE, Input
from lgx_plugins.losses import Losses
from lgx_plugins.ndjson.header import Header, check_header
from lgx_plugins.ndjson.lines import Envelope, guess_thread, lines_of, look
from lgx_plugins.ndjson.loose import LooseThreads
from lgx_plugins.ndjson.survey import Survey

__all__ = ["NdjsonSource", "NdjsonSourceConfig"]

_HOPELESS = 1000  # malformed lines without one that is not, after which a file is given up


class NdjsonSourceConfig(FileSourceConfig, frozen=True, kw_only=True):
    path: Annotated[
        Path,
        option(
            "File to read, compressed with gzip or zstd or not at all; - is standard input.",
            example="threads.ndjson.zst",
        ),
    ]


class NdjsonSource(FileSource[NdjsonSourceConfig]):
    """Reads the file twice: whether a thread's lines all stand together is known only at its
    end. Threads that do are passed on line by line; the lines of others are gathered on disk.
    Standard input is kept on disk for that, and read to its end before the first thread comes.

    A malformed line costs the thread that it stands in, which then is partial.
    """

    name = "ndjson"
    summary = "one record a line; gzip or zstd, - for standard input"
    config_type = NdjsonSourceConfig
    offers = ANY_KIND

    def __init__(self, config: NdjsonSourceConfig) -> None:
        super().__init__(config)
        self._first: Header | None = None
        self._surveyed: Survey | None = None

    async def probe(self, context: Context) -> Probe:
        header = await self._header()
        return Probe(
            facts=(
                Fact(name="file", value=self._input.name),
                Fact(name="header", value=f"version {header.version}" if header else "none"),
                Fact(name="source", value=await self.identity()),
            )
        )

    async def versions(self, context: Context) -> Mapping[str, str]:
        header = await self._header()
        return {"lgx-ndjson": str(header.version)} if header else {}

    async def _origin(self) -> str | None:
        header = await self._header()
        await self._survey()  # which refuses a file of two sources, before anything is begun
        return header.source if header is not None else None

    async def _header(self) -> Header | None:
        """The header, where the file begins with one.

        Raises:
            UsageError: nothing at all is in the file, or its header is not for this lgx.
        """
        if self._first is None:
            async with aclosing(lines_of(self._input.pieces())) as lines:
                async for line, _ in lines:
                    if line:
                        self._first = _header_of(line, self._input.name)
                        break
                else:
                    raise UsageError(
                        f"{self._input.name} is empty: not even a header is in it; was the export "
                        "that wrote it cut short?"
                    )
        return self._first

    # -- reading -----------------------------------------------------------------------

    async def scan(self, query: Query, context: Context) -> AsyncIterator[Item]:
        await context.budget.take(PIECE)
        try:
            survey = await self._survey()
            reading = _Reading(query, context, survey, self._input)
            try:
                async with aclosing(lines_of(self._input.pieces())) as lines:
                    async for line, ended in lines:
                        context.received(len(line) + 1)
                        for item in reading.line(line, ended=ended):
                            yield item
                for item in reading.end():
                    yield item
            finally:
                reading.close()
        finally:
            context.budget.give_page(PIECE)

    async def _survey(self) -> Survey:
        if self._surveyed is None:
            self._surveyed = await self._looked_through()
        return self._surveyed

    async def _looked_through(self) -> Survey:
        """
        Raises:
            UsageError: the file holds no records, is not for this lgx, or is of two sources.
        """
        survey = Survey()
        source: str | None = None
        number = 0
        current: str | None = None
        malformed: str | None = None
        async with aclosing(lines_of(self._input.pieces())) as lines:
            async for line, _ in lines:
                number += 1
                if not line:
                    continue
                envelope, owner, why = _place(line, current)
                if envelope is not None and envelope.kind == "header":
                    header = check_header(line, self._input.name)
                    if source is not None and header.source not in (None, source):
                        raise UsageError(
                            f"{self._input.name} holds what was exported from {source!r} and "
                            f"from {header.source!r}; read the files that it was made of one "
                            "by one, with --merge into one target"
                        )
                    source = source or header.source
                survey.show(envelope, owner)
                current = owner
                if why is not None and malformed is None:
                    malformed = f"line {number}: {why}"
                if malformed is not None and not survey.records and number >= _HOPELESS:
                    break
        if malformed is not None and not survey.records:
            raise UsageError(
                f"{self._input.name} holds no records, one a line ({malformed}); a file that is "
                "one JSON document is read by the json source"
            )
        return survey


def _header_of(line: bytes, name: str) -> Header | None:
    try:
        is_header = look(line).kind == "header"
    except ThreadError:
        return None
    return check_header(line, name) if is_header else None


def _place(line: bytes, current: str | None) -> tuple[Envelope | None, str | None, str | None]:
    """Envelope and owner of a line; for a malformed one no envelope, and why."""
    try:
        envelope = look(line)
    except ThreadError as error:
        return None, guess_thread(line) or current, str(error)
    return envelope, envelope.owner, None


class _Reading:
    """The second pass: turns lines into what the source yields."""

    def __init__(self, query: Query, context: Context, survey: Survey, file: Input) -> None:
        self._query = query
        self._context = context
        self._survey = survey
        self._input = file
        self._number = 0
        self._open: _OpenThread | None = None
        self._near: str | None = None
        self._loose = LooseThreads()
        self._loose_losses: dict[str, Losses] = {}
        self._orphans = Losses(None)

    def line(self, line: bytes, *, ended: bool) -> Iterator[Item]:
        self._number += 1
        if not line:
            return
        envelope, owner, why = _place(line, self._near)
        if why is not None and not ended:
            why = f"it is the last line and has no end, so the file was cut short ({why})"
        self._near = owner
        if self._open is not None and owner != self._open.thread_id:
            yield from self._close_open()
        if owner is None:
            yield from self._without_thread(line, envelope, why)
        elif self._survey.is_loose(owner):
            if envelope is not None:
                self._loose.add(owner, line)
            else:
                losses = self._loose_losses.setdefault(owner, Losses(owner))
                losses.add(f"line {self._number}", why or "")
        else:
            if self._open is None:
                self._open = _OpenThread(owner, self._query)
            yield from self._open.line(line, f"line {self._number}", why)

    def end(self) -> Iterator[Item]:
        """What can be said only when all lines were read."""
        if self._input.cut is not None and self._open is not None:
            self._open.losses.add("what followed", f"{self._input.cut}; use a whole copy of it")
        if self._open is not None:
            yield from self._close_open()
        for thread_id in self._loose:
            yield from self._arranged(thread_id, self._loose_losses.pop(thread_id, None))
        for losses in self._loose_losses.values():
            yield from losses.take()
        if self._input.cut is not None:
            what = f"the rest of {self._input.name}"
            self._orphans.add(what, f"{self._input.cut}; use a whole copy of it")
        yield from self._orphans.take()

    def close(self) -> None:
        self._loose.close()

    def _close_open(self) -> Iterator[Item]:
        assert self._open is not None
        yield from self._open.end()
        self._open = None

    def _without_thread(
        self, line: bytes, envelope: Envelope | None, why: str | None
    ) -> Iterator[Item]:
        what = f"line {self._number}"
        if envelope is None:
            self._orphans.add(what, why or "")
        elif envelope.kind in EXTRA_KINDS:
            if self._query.extras:
                try:
                    yield decode_line(line)
                except ThreadError as error:
                    self._orphans.add(what, str(error))
        elif envelope.kind != "header":
            self._orphans.add(
                f"{what}, of kind {envelope.kind!r}", "the record says of no thread that it is its"
            )

    def _arranged(self, thread_id: str, losses: Losses | None) -> Iterator[Item]:
        arrangement = self._loose.arrange(thread_id)
        thread = _OpenThread(thread_id, self._query, losses)
        if not arrangement.places and losses is None:
            if thread.admits_id:
                yield ThreadEnd(thread_id=thread_id, outcome="deleted", version="")
            return
        for place in arrangement.places:
            yield from thread.line(self._loose.line(place), "a line", None)
        if arrangement.doubled:
            many = arrangement.doubled > 1
            what = f"{arrangement.doubled} record{'s' if many else ''} came twice"
            taken = "the later ones were taken" if many else "the later one was taken"
            self._context.note(f"{what}; {taken}", thread_id=thread_id)
        yield from thread.end()


class _OpenThread:
    """The thread whose lines are coming in."""

    def __init__(self, thread_id: str, query: Query, losses: Losses | None = None) -> None:
        self.thread_id = thread_id
        self.losses = losses if losses is not None else Losses(thread_id)
        self.admits_id = not query.thread_ids or thread_id in query.thread_ids
        self._query = query
        self._admitted: bool | None = None
        self._unsure: str | None = None
        self._malformed = losses is not None
        self._given = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def line(self, line: bytes, what: str, why: str | None) -> Iterator[Record]:
        """The record of a line, where it is wanted and not malformed."""
        if why is not None:
            self._malformed = True
            self.losses.add(what, why)
            return
        if self._admitted is False:
            return
        try:
            record = decode_line(line)
        except ThreadError as error:
            self._malformed = True
            self.losses.add(what, str(error))
            return
        if self._admitted is None:
            self._admitted = self._admits(record)
        if self._admitted:
            self._given += 1
            self._digest.update(line)
            self._digest.update(b"\n")
            yield record

    def _admits(self, first: Record) -> bool:
        try:
            thread = first if isinstance(first, Thread) else None
            return admits(self._query, self.thread_id, thread, lost=self._malformed)
        except ThreadError as error:
            self._unsure = str(error)
            return False

    def end(self) -> Iterator[ThreadEnd | Loss]:
        """How it ended; only its losses, where nothing came of it."""
        if self._unsure is not None:
            yield Loss(what="thread", why=self._unsure, thread_id=self.thread_id)
        if self._admitted is False or not self.admits_id:
            return
        losses = self.losses.take()
        if not self._given:
            yield from losses
            return
        yield ThreadEnd(
            thread_id=self.thread_id,
            outcome="partial" if losses else "complete",
            version=self._digest.hexdigest(),
            losses=losses,
        )
