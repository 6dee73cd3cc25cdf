"""A thread on its way into a store: its documents under keys of lgx's own, until all are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lgx import Context, ThreadError
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.converting import Converted, Document
from lgx_plugins.checkpointers.redis.keys import Keys, escaped
from lgx_plugins.checkpointers.redis.server import CHUNK_BYTES, Command, Server
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Staged", "clean", "stage"]

_SCHEMA = (
    "CREATE TABLE staged (n INTEGER PRIMARY KEY, key UNIQUE, id, registry, score, latest, expires)"
)
_INSERT = (
    "INSERT INTO staged (n, key, id, registry, score, latest, expires) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_OLD = "CREATE TABLE old (key PRIMARY KEY) WITHOUT ROWID"
_PAGE = 500
_COUNT = 500


class Staged:
    """What was staged of one thread. Closed by its maker.

    Attributes:
        anchor: the key of its latest checkpoint, or of a write.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._table = ScratchDatabase(_SCHEMA, cache=4 << 20)
        self._table.execute(_OLD)
        self._count = 0
        self.anchor = b""
        self._anchored = (-1, "")

    def close(self) -> None:
        self._table.close()

    def take(self, documents: list[Document]) -> list[Command]:
        """Takes some more; what puts them under their keys of lgx's own.

        Raises:
            ThreadError: two of them have one key.
        """
        first = self._count
        commands: list[Command] = []
        for document in documents:
            commands.append(("JSON.SET", self.part(self._count), "$", document.text))
            self._count += 1
            anchored = (int(document.latest is not None), document.checkpoint_id)
            if anchored > self._anchored:
                self._anchored, self.anchor = anchored, document.key
        for at, one in enumerate(documents):
            row = (
                first + at, one.key, one.checkpoint_id.encode("utf-8", "surrogatepass"),
                one.registry, one.score, one.latest, one.expires,
            )  # fmt: skip
            # One at a time: a key that comes twice has to be told from a full disk.
            held = self._table.row("SELECT 1 FROM staged WHERE key = ?", (one.key,))
            if held is not None:
                raise ThreadError(
                    f"two documents of it have the key {one.key.decode('utf-8', 'replace')!r}, as "
                    "ids and namespaces with colons may; an archive or an ndjson file can hold it"
                )
            self._table.execute(_INSERT, row)
        return commands

    def remove(self, keys: Iterable[bytes]) -> None:
        """Keys that are to go first."""
        self._table.insert("INSERT OR IGNORE INTO old VALUES (?)", ((key,) for key in keys))

    def part(self, number: int) -> bytes:
        return f"{self._prefix}{number}".encode()

    def places(self) -> Iterator[bytes]:
        """The keys that its documents will have."""
        for (key,) in self._pages("key"):
            yield key

    def moves(self) -> Iterator[Command]:
        """What puts everything in its place."""
        after = b""
        while rows := self._table.rows(
            f"SELECT key FROM old WHERE key > ? ORDER BY key LIMIT {_PAGE}", (after,)
        ):
            yield "UNLINK", *(key for (key,) in rows)
            after = rows[-1][0]
        for n, key, registry, score, expires in self._pages("n, key, registry, score, expires"):
            yield "RENAME", self.part(n), key
            if registry is not None:
                yield "ZADD", registry, score, key
                if expires is not None:
                    yield "PEXPIREAT", registry, expires
            if expires is not None:
                yield "PEXPIREAT", key, expires
        after = b""
        while True:
            rows = self._table.rows(
                "SELECT latest, key, max(id), expires FROM staged WHERE latest > ? "
                f"GROUP BY latest ORDER BY latest LIMIT {_PAGE}",
                (after,),
            )
            if not rows:
                return
            for latest, key, _, expires in rows:
                yield "SET", latest, key
                if expires is not None:
                    yield "PEXPIREAT", latest, expires
            after = rows[-1][0]

    def parts(self) -> Iterator[bytes]:
        """The keys of lgx's own."""
        return map(self.part, range(self._count))

    def _pages(self, columns: str) -> Iterator[tuple[Any, ...]]:
        after = -1
        while True:
            rows = self._table.rows(
                f"SELECT n, {columns} FROM staged WHERE n > ? ORDER BY n LIMIT {_PAGE}", (after,)
            )
            if not rows:
                return
            for _, *row in rows:
                yield tuple(row)
            after = rows[-1][0]


async def stage(server: Server, converted: Converted, staged: Staged, context: Context) -> None:
    """Puts a thread's documents there.

    Raises:
        ThreadError: the server does not take one of them.
    """
    documents = converted.documents()
    while piece := await run_blocking(_piece, documents):
        commands = await run_blocking(staged.take, piece)
        for answer, document in zip(await server.ask_all(context, commands), piece, strict=True):
            if isinstance(answer, Exception):
                raise ThreadError(
                    f"Redis does not take the document {document.key.decode('utf-8', 'replace')!r} "
                    f"({answer}); an archive or an ndjson file can hold it"
                )


async def clean(server: Server, keys: Keys, context: Context) -> int:
    """Removes what runs that were cut short have left; how many keys."""
    count = 0
    async for found in server.keys(escaped(keys.parts) + b"*", context):
        await server.ask(context, "UNLINK", *found)
        count += len(found)
    return count


def _piece(documents: Iterator[Document]) -> list[Document]:
    found: list[Document] = []
    size = 0
    for document in documents:
        found.append(document)
        size += len(document.text)
        if size >= CHUNK_BYTES or len(found) >= _COUNT:
            break
    return found
