"""A reader of JSON that holds one value at a time, however large the document.

It walks objects and arrays from the outside and hands out the values in them as text. Where
a value ends is found by msgspec, which names the byte at which a value is followed by more; what
it refuses though it is legal (lone surrogates, deep nesting), and what is not JSON but has an
end all the same (NaN), is followed bracket by bracket.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from functools import cache

import msgspec
from msgspec import Raw

from lgx import ThreadError, compact

__all__ = ["Scanner", "UnreadableRestError"]

_SPACE = re.compile(rb"[ \t\n\r]*+")
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_TRUNCATED = "truncated"
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|([\[\]{}])', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_WORD = re.compile(rb'[^ \t\n\r,:"\[\]{}]*+')
_CLOSING = {b"{": b"}", b"[": b"]"}
_PARTNER = {0x5D: 0x5B, 0x7D: 0x7B}

_values = msgspec.json.Decoder(Raw)


class UnreadableRestError(ThreadError):
    """The document is cut short or damaged here: nothing can be read from here on."""


class Scanner:
    """Reads one document; each call goes on where the one before ended."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self._pieces = pieces
        self._text = b""
        self._at = 0
        self._dropped = 0
        self._ended = False

    @property
    def offset(self) -> int:
        """Bytes before the current place."""
        return self._dropped + self._at

    async def peek(self) -> bytes:
        """The next byte that is not white space, which stays; empty at the end."""
        while True:
            self._at = _skip_space(self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at : self._at + 1]
            if self._ended:
                return b""
            await self._more(1)

    async def enter(self, opening: bytes) -> bool:
        """Goes into the object (`{`) or array (`[`) that comes next; False if it is empty.

        The caller then takes what is in it, in an object a `key` before each value, and
        asks for `another` after each value until there is none.

        Raises:
            UnreadableRestError: something else comes.
        """
        await self._mark(opening)
        if await self.peek() == _CLOSING[opening]:
            self._at += 1
            return False
        return True

    async def another(self, opening: bytes) -> bool:
        """Whether more follows in the object or array; if not, the scanner stands behind it."""
        return await self._mark(b"," + _CLOSING[opening]) == b","

    async def key(self) -> str | None:
        """The key that comes next; None for one that is not text."""
        if await self.peek() not in (b'"', b""):
            raise self._damaged("a key was expected")
        text = await self.value()
        await self._mark(b":")
        try:
            return msgspec.json.decode(text, type=str)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    async def value(self) -> bytes:
        """The text of the value that comes next; whether it is UTF-8 is not looked at.

        Raises:
            ThreadError: it is not JSON; the scanner stands behind it.
            UnreadableRestError: its end cannot be found.
        """
        if await self.peek() in (b"", b",", b":", b"]", b"}"):
            raise self._damaged("a value was expected")
        while True:
            end, sound = self._find_end()
            if end is not None:
                break
            if self._ended:
                raise self._cut()
            await self._more(len(self._text) - self._at)
        text = self._text[self._at : end].rstrip()
        self._at = end
        if not sound:
            compact(text)
        return text

    async def skip(self, depth: int = 0) -> None:
        """Passes over the value that comes next.

        Args:
            depth: down to this depth one part after the other, so that it may be large.
        """
        opening = await self.peek()
        if depth and opening in _CLOSING:
            more = await self.enter(opening)
            while more:
                if opening == b"{":
                    await self.key()
                await self.skip(depth - 1)
                more = await self.another(opening)
            return
        try:
            await self.value()
        except UnreadableRestError:
            raise
        except ThreadError:
            return

    async def _mark(self, wanted: bytes) -> bytes:
        mark = await self.peek()
        if not mark or mark not in wanted:
            raise self._damaged(f"{' or '.join(map(chr, wanted))} was expected")
        self._at += 1
        return mark

    async def _more(self, size: int) -> None:
        """Reads at least so many bytes, and lets go of those before the current place."""
        gathered = [self._text[self._at :]]
        while size > 0:
            piece = await anext(self._pieces, b"")
            if not piece:
                self._ended = True
                break
            gathered.append(piece)
            size -= len(piece)
        self._dropped += self._at
        self._at = 0
        self._text = b"".join(gathered)

    def _find_end(self) -> tuple[int | None, bool]:
        """Where the value ends, or None if that has not been read; and if it is surely JSON."""
        shift = _shift()
        try:
            _values.decode(memoryview(self._text)[self._at :])
        except msgspec.DecodeError as error:
            message = str(error)
            trailing = _TRAILING.search(message)
            if trailing and shift is not None:
                return self._at + int(trailing[1]) - shift, True
            if _TRUNCATED in message and not self._ended:
                return None, False
        except RecursionError:
            pass
        else:
            return (len(self._text), True) if self._ended else (None, False)
        return self._follow(), False

    def _follow(self) -> int | None:
        """The end of a value, bracket by bracket."""
        text, at = self._text, self._at
        first = text[at]
        if first == 0x22:
            match = _STRING.match(text, at)
            return match.end() if match and match[1] else None
        if first not in b"[{":
            match = _WORD.match(text, at)
            end = match.end() if match else at
            return end if end < len(text) else None
        opened = bytearray()
        for match in _TOKEN.finditer(text, at):
            if match[2] is None:
                if not match[1]:
                    return None
                continue
            mark = match[2][0]
            if mark in b"[{":
                opened.append(mark)
            elif opened.pop() != _PARTNER[mark]:
                self._at = match.start()
                raise self._damaged("a bracket closes what was not opened")
            if not opened:
                return match.end()
        return None

    def _cut(self) -> UnreadableRestError:
        end = self._dropped + len(self._text)
        return UnreadableRestError(f"the document ends in the middle, after byte {end}")

    def _damaged(self, why: str) -> UnreadableRestError:
        if self._at >= len(self._text):
            return self._cut()
        found = self._text[self._at : self._at + 20]
        return UnreadableRestError(
            f"the document is damaged at byte {self.offset}: {why}, not {found!r}"
        )


def _skip_space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


@cache
def _shift() -> int | None:
    """By how much the byte that msgspec names lies behind the first one that is too many."""
    try:
        _values.decode(b"[] ,")
    except msgspec.DecodeError as error:
        trailing = _TRAILING.search(str(error))
        return int(trailing[1]) - 3 if trailing else None
    return None
