"""The threads of a checkpointer: who they are, and the version of each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from lgx import Context, LgxError, Loss, Query, Thread, ThreadError, ThreadRef, UsageError
from lgx_plugins.checkpointers.rows.filters import check_filters
from lgx_plugins.checkpointers.rows.forms import metadata_of, stored_metadata
from lgx_plugins.checkpointers.saver.access import Access, SaverError, Unlisted
from lgx_plugins.checkpointers.saver.gathering import Key, version_of
from lgx_plugins.checkpointers.saver.tuples import Unplaced, listed, place_of
from lgx_plugins.filters import admits
from lgx_plugins.ids import id_bytes
from lgx_plugins.losses import Losses
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Listing", "Seen", "read_ids"]

_SEEN = (
    "CREATE TABLE seen (thread, ns, id, digest, size, PRIMARY KEY (thread, ns, id)) WITHOUT ROWID"
)
_HEADS = "CREATE TABLE heads (thread PRIMARY KEY, id, ts, metadata) WITHOUT ROWID"
_HEAD = """
INSERT INTO heads VALUES (?, ?, ?, ?) ON CONFLICT (thread) DO UPDATE
    SET id = excluded.id, ts = excluded.ts, metadata = excluded.metadata
    WHERE excluded.id > heads.id
"""
_THREAD = "SELECT ns, id, digest FROM seen WHERE thread = ? AND (ns, id) > (?, ?) LIMIT 500"
_FIRST = "SELECT ns, id, digest FROM seen WHERE thread = ? ORDER BY ns, id LIMIT 500"


class Seen:
    """What a list showed of all threads, on disk. Closed by its maker."""

    def __init__(self, serde: Any, missed: Callable[[], object]) -> None:
        """`missed` gives the classes that could not be loaded, of which the reads tell."""
        self._serde = serde
        self._missed = missed
        self._rows = ScratchDatabase(_SEEN)
        self._rows.execute(_HEADS)
        self.losses = Losses(None)
        self.count = 0

    def take(self, item: Any) -> None:
        """One checkpoint; that none stays in memory is the point."""
        self.count += 1
        self._missed()
        try:
            place = place_of(item)
        except Unplaced as error:
            self.losses.add("a checkpoint", str(error), 1)
            return
        thread = id_bytes(place.thread_id)
        key = (thread, id_bytes(place.ns), id_bytes(place.checkpoint_id))
        metadata = None
        try:
            found = listed(item, place, self._serde)
            digest, size = found.digest, len(found.checkpoint.blob or b"") * 4 // 3
            size += sum(len(write.blob or b"") * 4 // 3 + 300 for write in found.writes)
            metadata = stored_metadata(found.checkpoint)
        except LgxError:
            raise
        except Exception:  # whoever reads the thread tells of it
            digest, size = b"?", 0
        self._rows.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", (*key, digest, size)
        )
        if not place.ns:
            ts = item.checkpoint.get("ts")
            head = (thread, key[2], ts if isinstance(ts, str) else None, metadata)
            self._rows.execute(_HEAD, head)

    def threads(self) -> Iterator[str]:
        """In the order of the ids' bytes."""
        sql = "SELECT DISTINCT thread FROM seen {}ORDER BY thread LIMIT 500"
        rows = self._rows.rows(sql.format(""))
        while rows:
            for (thread,) in rows:
                yield thread.decode("utf-8", "surrogatepass")
            rows = self._rows.rows(sql.format("WHERE thread > ? "), rows[-1])

    def keys(self, thread_id: str) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Namespace, id and digest of each checkpoint of a thread."""
        thread = id_bytes(thread_id)
        rows = self._rows.rows(_FIRST, (thread,))
        while rows:
            yield from rows
            rows = self._rows.rows(_THREAD, (thread, *rows[-1][:2]))

    def ref(self, thread_id: str) -> ThreadRef:
        row = self._rows.row("SELECT sum(size) FROM seen WHERE thread = ?", (id_bytes(thread_id),))
        return ThreadRef(
            thread_id=thread_id,
            version=version_of(self.keys(thread_id)),
            size_hint=row[0] if row else None,
        )

    def head(self, thread_id: str) -> Thread:
        """What filters look at: of the latest checkpoint of the root namespace."""
        row = self._rows.row(
            "SELECT ts, metadata FROM heads WHERE thread = ?", (id_bytes(thread_id),)
        )
        ts, metadata = row or (None, None)
        found = metadata_of(metadata).text
        if found is UNSET and metadata is not None:
            try:
                found = Raw(bytes(msgspec.json.decode(metadata, type=Raw)))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise ThreadError(
                    "the filters cannot be applied to it: the metadata of its latest checkpoint "
                    "is no JSON"
                ) from None
        return Thread(thread_id=thread_id, updated_at=ts, metadata=found)

    def places(self, thread_id: str) -> Iterator[Key]:
        """The checkpoints of a thread."""
        return ((ns, key) for ns, key, _ in self.keys(thread_id))

    def close(self) -> None:
        """May be called again."""
        self._rows.close()


class Listing:
    def __init__(self, access: Access, seen: Seen, ids: Sequence[str] | None) -> None:
        """`ids`: those of the user's file."""
        self._access = access
        self._seen = seen
        self._ids = ids

    async def refs(self, query: Query, context: Context) -> AsyncIterator[ThreadRef | Loss]:
        """
        Raises:
            UsageError: the checkpointer cannot list its threads, or keeps nothing that a filter
                asks for.
        """
        check_filters(query)
        wanted = query.thread_ids or self._ids
        if wanted is not None and query.thread_ids and self._ids is not None:
            wanted = [one for one in query.thread_ids if one in set(self._ids)]
        failed: list[Loss] = []
        try:
            if wanted is None:
                failed += await self._everything(context)
            else:
                failed += await self._named(wanted, context)
        except Unlisted:
            return
        allowed = None if wanted is None else set(wanted)
        for thread_id in self._seen.threads():
            if allowed is not None and thread_id not in allowed:
                continue  # some lists show more than was asked for
            found = self._ref(thread_id, query)
            if found is not None:
                yield found
        for loss in (*failed, *self._seen.losses.take()):
            yield loss

    def _ref(self, thread_id: str, query: Query) -> ThreadRef | Loss | None:
        try:
            if query.metadata or query.since or query.until:
                head = self._seen.head(thread_id)
            else:
                head = Thread(thread_id=thread_id)
            if not admits(query, thread_id, head):
                return None
        except ThreadError as error:
            return Loss(thread_id=thread_id, what="thread", why=str(error))
        return self._seen.ref(thread_id)

    async def _everything(self, context: Context) -> list[Loss]:
        name = self._access.name
        try:
            await self._access.each(None, self._seen.take, lambda: context.stopping)
        except SaverError as error:
            if not self._seen.count:
                raise UsageError(
                    f"the checkpointer cannot list what it holds: with None for a thread, {error}; "
                    "name the threads by --thread-id, or in a file by --source-thread-ids"
                ) from error
            return [
                Loss(
                    what="threads that were not listed yet",
                    why=f"{error}, after {self._seen.count} checkpoints",
                )
            ]
        if not self._seen.count:
            context.note(
                f"{name}.list(None) gave nothing: it is empty, or cannot list what it holds; then "
                "name the threads by --thread-id, or in a file by --source-thread-ids"
            )
        return []

    async def _named(self, ids: Sequence[str], context: Context) -> list[Loss]:
        failed = []
        for thread_id in dict.fromkeys(ids):
            before = self._seen.count
            try:
                config = {"configurable": {"thread_id": thread_id}}
                await self._access.each(config, self._seen.take, lambda: context.stopping)
            except SaverError as error:
                if self._seen.count == before:
                    failed.append(Loss(what="thread", why=str(error), thread_id=thread_id))
        return failed


def read_ids(path: Path) -> list[str]:
    """The threads that a file names.

    Raises:
        UsageError: it cannot be read as such.
    """
    try:
        text = path.read_bytes().decode()
        if path.suffix != ".json":
            return [line for line in text.splitlines() if line]
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)!r} cannot be read as a list of threads: {error}") from error
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise UsageError(f'{str(path)!r} holds no list of texts; name threads as ["one", "two"]')
    return found
