"""The first pass over a document: what must be known before its first thread is passed on.

That is what stands under `lgx`, which comes last, and which threads come twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
from msgspec import Raw

from lgx import Record, ThreadError, UsageError, compact, decode_line
from lgx_plugins.ids import id_digest
from lgx_plugins.json.layout import Entry, check_format, read_entry, read_placed
from lgx_plugins.json.scanner import Scanner, UnreadableRestError
from lgx_plugins.losses import Losses
from lgx_plugins.scratch import Scratch

__all__ = ["PARTS", "Survey"]

PARTS = 4
"""Levels of a value of unknown size that are passed over part by part."""

_KNOWN = ("threads", "lgx", "export_date", "source", "total_threads", "total_checkpoints")


class Survey:
    """Closed by its maker; `read` is called once, before all else."""

    def __init__(self, name: str) -> None:
        self.source: str | None = None
        self.threads = 0
        self.checkpoints = 0
        self.promised: dict[str, int] = {}
        """What the document says how many threads and checkpoints it holds."""
        self.others: list[str] = []
        """Keys of the document that lgx does not know."""
        self.is_older = True
        """Whether nothing stands under `lgx`: another program wrote it."""
        self.unreadable: str | None = None
        """Why the end of the document cannot be read."""
        self.losses = Losses(None)
        self._name = name
        self._found_threads = False
        self._seen: set[bytes] = set()
        self._latest: dict[bytes, int] = {}
        self._scratch = Scratch()
        self._entries: dict[str, int] = {}  # chains of a thread's records, its entry the last
        self._extras = 0

    # -- what was found ----------------------------------------------------------------

    def is_latest(self, number: int, thread_id: str) -> bool:
        """Whether that element of `threads` is the one to take: the last whole one of its id."""
        key = id_digest(thread_id)
        if number >= self.threads:  # where the document is cut
            return key not in self._seen
        return self._latest.get(key, number) == number

    def take(self, thread_id: str) -> tuple[Entry, Iterator[tuple[int, bytes]]]:
        """What `lgx` holds of a thread: its entry, and its records as places and lines, in
        order. Once for each thread."""
        chain = self._entries.pop(thread_id, 0)
        if not chain:
            return Entry(), iter(())
        *pieces, last = self._scratch.pieces(chain)
        lines = (read_placed(self._scratch.last(piece)) for piece in reversed(pieces))
        return read_entry(self._scratch.last(last)), lines

    def left(self) -> Iterator[str]:
        """The threads that `lgx` knows and nobody has taken."""
        return iter(self._entries)

    def extras(self) -> Iterator[Record]:
        """The deployment's own records."""
        for piece in self._scratch.pieces(self._extras):
            yield decode_line(self._scratch.last(piece))

    def close(self) -> None:
        self._scratch.close()

    # -- the pass ----------------------------------------------------------------------

    async def read(self, scanner: Scanner) -> None:
        """Passes over the document; where it is cut short, over what there is of it.

        Raises:
            UsageError: it is no document of threads, or not for this lgx.
        """
        opening = await scanner.peek()
        if not opening:
            raise UsageError(f"{self._name} is empty; was the export that wrote it cut short?")
        try:
            if opening != b"{":
                raise UnreadableRestError("it does not begin with {")
            await self._document(scanner)
        except UnreadableRestError as error:
            if not self._found_threads:
                raise UsageError(
                    f"{self._name} is not a JSON document of threads: {error}; name another file"
                ) from error
            self.unreadable = str(error)

    async def _document(self, scanner: Scanner) -> None:
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            if key == "threads":
                self._found_threads = True
                await self._threads(scanner)
            elif key == "lgx":
                await self._lgx(scanner)
            elif key in ("source", "total_threads", "total_checkpoints"):
                await self._scalar(scanner, key)
            else:
                if key not in _KNOWN:
                    self.others.append(key or "?")
                await scanner.skip(PARTS)
            more = await scanner.another(b"{")
        if not self._found_threads:
            raise UsageError(
                f'{self._name} has no key "threads"; a file of one record a line is read by the '
                "ndjson source"
            )
        if await scanner.peek():
            raise UnreadableRestError("more follows the document")

    async def _scalar(self, scanner: Scanner, key: str) -> None:
        try:
            value = msgspec.json.decode(await scanner.value())
        except UnreadableRestError:
            raise
        except (ThreadError, msgspec.MsgspecError, RecursionError):
            return
        if key == "source" and isinstance(value, str):
            self.source = value
        elif isinstance(value, int):
            self.promised[key] = value

    async def _threads(self, scanner: Scanner) -> None:
        opening = await scanner.peek()
        if opening and opening != b"[":
            raise UsageError(
                f"{self._name} is not a threads backup: `threads` is {_sort(opening)}, not a list; "
                "name another file"
            )
        more = await scanner.enter(b"[")
        while more:
            thread_id = await self._thread(scanner)
            if thread_id is not None:
                self._note(thread_id)
            self.threads += 1
            more = await scanner.another(b"[")

    def _note(self, thread_id: str) -> None:
        key = id_digest(thread_id)
        if key in self._seen:
            self._latest[key] = self.threads
        self._seen.add(key)

    async def _thread(self, scanner: Scanner) -> str | None:
        if await scanner.peek() != b"{":
            await scanner.skip(PARTS)
            return None
        thread_id = None
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            if key == "thread_id":
                thread_id = await text_of(scanner)
            elif key == "history" and await scanner.peek() == b"[":
                await self._history(scanner)
            else:
                await scanner.skip()
            more = await scanner.another(b"{")
        return thread_id

    async def _history(self, scanner: Scanner) -> None:
        more = await scanner.enter(b"[")
        while more:
            await scanner.skip()
            self.checkpoints += 1
            more = await scanner.another(b"[")

    # -- under `lgx` -------------------------------------------------------------------

    async def _lgx(self, scanner: Scanner) -> None:
        self.is_older = False
        if (opening := await scanner.peek()) != b"{":
            await self._misplaced(scanner, "lgx", opening, "an object")
            return
        fields: dict[str, Raw] = {}
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            opening = await scanner.peek()
            if key == "threads":
                if opening == b"{":
                    await self._all_entries(scanner)
                else:
                    await self._misplaced(scanner, "lgx.threads", opening, "an object")
            elif key == "extras" and opening != b"[":
                await self._misplaced(scanner, "lgx.extras", opening, "a list")
            elif key == "extras":
                self._extras = await self._kept(scanner, "record {} of the deployment", decode_line)
            elif key in ("format", "version", "encryption"):
                fields[key] = Raw(await scanner.value())
            else:
                await scanner.skip(PARTS)
            more = await scanner.another(b"{")
        check_format(fields, self._name)

    async def _misplaced(self, scanner: Scanner, what: str, opening: bytes, wanted: str) -> None:
        """Passes over a value of the wrong sort, and lists it."""
        self.losses.add(f"what stands under {what}", f"it is {_sort(opening)}, not {wanted}")
        await scanner.skip(PARTS)

    async def _all_entries(self, scanner: Scanner) -> None:
        more = await scanner.enter(b"{")
        while more:
            thread_id = await scanner.key()
            if thread_id is not None and await scanner.peek() == b"{":
                await self._entry(scanner, thread_id)
            else:
                self.losses.add("an entry of lgx.threads", "it is not the object of a thread")
                await scanner.skip(PARTS)
            more = await scanner.another(b"{")

    async def _entry(self, scanner: Scanner, thread_id: str) -> None:
        fields: dict[str, Raw] = {}
        chain = 0
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            opening = await scanner.peek()
            if key == "records" and opening != b"[":
                what = f"records of {thread_id!r} under lgx"
                await self._misplaced(scanner, what, opening, "a list")
            elif key == "records":
                chain = await self._kept(scanner, f"record {{}} of {thread_id!r}", read_placed)
            elif key in ("thread", "at", "unset"):
                try:
                    fields[key] = Raw(compact(await scanner.value()))
                except UnreadableRestError:
                    raise
                except ThreadError as error:
                    self.losses.add(f"{key} of thread {thread_id!r} under lgx", str(error))
            else:
                await scanner.skip(PARTS)
            more = await scanner.another(b"{")
        text = msgspec.json.encode(fields)
        try:
            read_entry(text)
        except ThreadError as error:
            self.losses.add(f"fields of {thread_id!r} under lgx", str(error))
            text = b"{}"
        self._entries[thread_id] = self._scratch.append(text, chain)

    async def _kept(self, scanner: Scanner, what: str, check: Callable[[bytes], object]) -> int:
        """Puts the elements of an array into scratch space; their chain."""
        chain = number = 0
        more = await scanner.enter(b"[")
        while more:
            number += 1
            try:
                text = compact(await scanner.value())
                check(text)
            except UnreadableRestError:
                raise
            except ThreadError as error:
                self.losses.add(what.format(number) + " under lgx", str(error))
            else:
                chain = self._scratch.append(text, chain)
            more = await scanner.another(b"[")
        return chain


def _sort(opening: bytes) -> str:
    """What a value is that begins so."""
    sorts = {b"{": "an object", b"[": "a list", b'"': "text", b"n": "null", b"t": "true"}
    return sorts.get(opening, "false" if opening == b"f" else "a number")


async def text_of(scanner: Scanner) -> str | None:
    """The string that comes next; None for anything else."""
    try:
        return msgspec.json.decode(await scanner.value(), type=str)
    except UnreadableRestError:
        raise
    except (ThreadError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
