"""The JSON source: one document of threads, lgx's own or the older tool's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Annotated

from lgx import (
    ANY_KIND,
    Context,
    Coverage,
    Fact,
    Loss,
    Probe,
    Query,
    Thread,
    ThreadEnd,
    ThreadError,
    encode_line,
    option,
)
from lgx_plugins.file_source import FileSource, FileSourceConfig, Item
from lgx_plugins.filters import admits
from lgx_plugins.inputs import PIECE
from lgx_plugins.json.layout import OLDER, Entry
from lgx_plugins.json.scanner import Scanner, UnreadableRestError
from lgx_plugins.json.survey import PARTS, Survey
from lgx_plugins.json.thread import ThreadElement, merged
from lgx_plugins.losses import Losses

__all__ = ["JsonSource", "JsonSourceConfig"]


class JsonSourceConfig(FileSourceConfig, frozen=True, kw_only=True):
    path: Annotated[
        Path,
        option(
            "File to read, compressed with gzip or zstd or not at all; - is standard input.",
            example="threads_backup.json",
        ),
    ]


class JsonSource(FileSource[JsonSourceConfig]):
    """Reads the document twice, since what belongs to its first thread may stand at its end,
    and one value at a time. Standard input is kept on disk for that.

    A malformed state costs that state, and its thread is partial. Of a document that is
    cut short every whole thread is passed on, and what there is of the last one.
    """

    name = "json"
    summary = "one JSON document, in the layout of threads_backup.json"
    config_type = JsonSourceConfig
    offers = ANY_KIND

    def __init__(self, config: JsonSourceConfig) -> None:
        super().__init__(config)
        self._surveyed: Survey | None = None

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._surveyed is not None:
            self._surveyed.close()
        await super().__aexit__(exc_type, exc, traceback)

    async def probe(self, context: Context) -> Probe:
        survey = await self._survey()
        return Probe(
            facts=(
                Fact(name="file", value=self._input.name),
                Fact(name="source", value=await self.identity()),
                Fact(name="threads", value=str(survey.threads)),
                Fact(name="states", value=str(survey.checkpoints)),
                *(
                    Fact(name="damage", value=loss.why, level="warn")
                    for loss in self._damage(survey)
                ),
            )
        )

    async def _origin(self) -> str | None:
        return (await self._survey()).source

    async def expected(self, query: Query, context: Context) -> int | None:
        return None if query.filtered else (await self._survey()).threads

    async def coverage(self) -> Coverage:
        return OLDER if (await self._survey()).is_older else Coverage()

    async def _survey(self) -> Survey:
        if self._surveyed is None:
            self._surveyed = Survey(self._input.name)
            async with aclosing(self._input.pieces()) as pieces:
                await self._surveyed.read(Scanner(pieces))
        return self._surveyed

    # -- reading -----------------------------------------------------------------------

    async def scan(self, query: Query, context: Context) -> AsyncIterator[Item]:
        survey = await self._survey()
        reading = _Reading(query, context, survey)
        await context.budget.take(PIECE)
        try:
            if query.extras:
                for record in survey.extras():
                    yield record
            async with (
                aclosing(self._input.pieces()) as pieces,
                aclosing(reading.document(Scanner(_counted(pieces, context)))) as items,
            ):
                async for item in items:
                    yield item
            for loss in (*reading.end(), *self._damage(survey), *self._missing(survey)):
                yield loss
            self._tell(survey, context)
        finally:
            reading.close()
            context.budget.give_page(PIECE)

    def _damage(self, survey: Survey) -> Iterator[Loss]:
        """What is known to be missing at the end of the document."""
        why = self._input.cut or survey.unreadable
        if why is not None:
            yield Loss(what=f"the rest of {self._input.name}", why=f"{why}; use a whole copy of it")

    def _missing(self, survey: Survey) -> Iterator[Loss]:
        """Threads that the document says it holds."""
        promised = survey.promised.get("total_threads", 0)
        if promised > survey.threads:
            lost = promised - survey.threads
            yield Loss(
                what=f"{lost} thread{'s' if lost > 1 else ''}",
                why=f"{self._input.name} says total_threads {promised}, and holds "
                f"{survey.threads} of them; use a whole copy of it",
            )

    def _tell(self, survey: Survey, context: Context) -> None:
        for key in survey.others:
            context.note(f"the key {key!r} of {self._input.name} is not carried over")
        found = {"total_threads": survey.threads, "total_checkpoints": survey.checkpoints}
        for key, promised in survey.promised.items():
            if key == "total_threads" and promised > found[key]:
                continue  # that is a loss
            if promised != found[key]:
                context.note(
                    f"{self._input.name} says {key} {promised}, and holds {found[key]} of them"
                )


async def _counted(
    pieces: AsyncGenerator[bytes, None], context: Context
) -> AsyncGenerator[bytes, None]:
    async for piece in pieces:
        context.received(len(piece))
        yield piece


class _Reading:
    """The second pass: turns elements of `threads` into what the source yields."""

    def __init__(self, query: Query, context: Context, survey: Survey) -> None:
        self._query = query
        self._context = context
        self._survey = survey
        self._element = ThreadElement()
        self._orphans = Losses(None)

    async def document(self, scanner: Scanner) -> AsyncGenerator[Item, None]:
        """The threads of the document, as far as it can be read."""
        try:
            more = await scanner.enter(b"{")
            while more:
                if await scanner.key() == "threads" and await scanner.peek() == b"[":
                    async with aclosing(self._threads(scanner)) as items:
                        async for item in items:
                            yield item
                else:
                    await scanner.skip(PARTS)
                more = await scanner.another(b"{")
        except UnreadableRestError:
            return  # the survey met it too, and the losses tell it

    async def _threads(self, scanner: Scanner) -> AsyncGenerator[Item, None]:
        number = 0
        more = await scanner.enter(b"[")
        while more:
            if await scanner.peek() == b"{":
                try:
                    await self._element.read(scanner, self._query.thread_ids)
                except UnreadableRestError as error:
                    self._element.losses.add("what followed", str(error))
                    for item in self._items(number):
                        yield item
                    raise
                for item in self._items(number):
                    yield item
            else:
                await scanner.skip(PARTS)
                self._orphans.add(f"element {number} of threads", "it is not an object")
            number += 1
            more = await scanner.another(b"[")

    def _items(self, number: int) -> Iterator[Item]:
        element, thread_id = self._element, self._element.thread_id
        if thread_id is None:
            self._orphans.add(
                f"element {number} of threads",
                "it has no thread_id that is text",
                checkpoints=element.states,
            )
            return
        if not self._survey.is_latest(number, thread_id):
            self._context.note(
                "the thread stands in the file more than once; the last was taken",
                thread_id=thread_id,
            )
            return
        entry, others = self._survey.take(thread_id)
        thread, lost = self._record(entry)
        try:
            if not admits(self._query, thread_id, thread, lost=lost):
                return
        except ThreadError as error:
            yield Loss(what="thread", why=str(error), thread_id=thread_id)
            return
        digest = hashlib.blake2b(digest_size=16)
        given = 0
        for record in merged(thread, entry.at, element.checkpoints(), others):
            try:
                digest.update(encode_line(record) + b"\n")
            except ThreadError as error:
                element.losses.add("a record", str(error), checkpoints=record.kind == "checkpoint")
                continue
            given += 1
            yield record
        if element.doubled:
            self._context.note(
                f"{element.doubled} state{'s' if element.doubled > 1 else ''} came twice; one of "
                "each was taken",
                thread_id=thread_id,
            )
        yield from self._end(thread_id, digest.hexdigest(), given)

    def _record(self, entry: Entry) -> tuple[Thread | None, bool]:
        """The thread's own record, and whether there is one that cannot be read."""
        try:
            return self._element.record(entry), False
        except ThreadError as error:
            self._element.losses.add("the thread's own record", str(error))
            return None, True

    def _end(self, thread_id: str, version: str, given: int) -> Iterator[ThreadEnd | Loss]:
        losses = self._element.losses.take()
        if not given and losses:
            yield from losses
            return
        yield ThreadEnd(
            thread_id=thread_id,
            outcome="partial" if losses else "complete",
            version=version,
            losses=losses,
        )

    def end(self) -> Iterator[Loss]:
        """What belongs to no thread that was passed on."""
        yield from self._orphans.take()
        yield from self._survey.losses.take()
        left = Losses(None)
        for thread_id in self._survey.left():
            if not self._query.thread_ids or thread_id in self._query.thread_ids:
                left.add(f"what lgx holds of {thread_id!r}", "threads has no such thread")
        yield from left.take()

    def close(self) -> None:
        self._element.close()
