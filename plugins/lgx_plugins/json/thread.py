"""One element of `threads`: read whole, then turned into records, oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw

from lgx import (
    Checkpoint,
    Record,
    Thread,
    ThreadError,
    compact,
    decode_line,
    from_fields,
    raw,
    state_to_checkpoint,
)
from lgx_plugins.json.layout import Entry
from lgx_plugins.json.scanner import Scanner, UnreadableRestError
from lgx_plugins.lineage import parents_first
from lgx_plugins.losses import Losses
from lgx_plugins.scratch import Scratch

__all__ = ["ThreadElement", "merged"]


_Key = tuple[str, str]  # namespace and id of a checkpoint


class ThreadElement:
    """Keeps the states on disk past a few megabytes. Closed by its maker; used again by `read`.

    What is malformed in a thread is listed in `losses`, the rest is passed on.
    """

    def __init__(self) -> None:
        self.thread_id: str | None = None
        self.losses = Losses(None)
        self.doubled = 0
        self._fields: dict[str, Raw] = {}
        self._scratch = Scratch()
        self._states: list[tuple[_Key, _Key | None, int]] = []

    async def read(self, scanner: Scanner, wanted: Sequence[str]) -> None:
        """Reads the element that comes next.

        Args:
            wanted: ids; the states of other threads are passed over. Empty: all.

        Raises:
            UnreadableRestError: what was read until then is kept.
        """
        self.thread_id = None
        self.losses = Losses(None)
        self.doubled = 0
        self._fields = {}
        self._scratch.clear()
        self._states = []
        more = await scanner.enter(b"{")
        while more:
            key = await scanner.key()
            unwanted = wanted and self.thread_id is not None and self.thread_id not in wanted
            if unwanted:
                await scanner.skip(1)
            elif key == "history" and await scanner.peek() == b"[":
                await self._read_history(scanner)
            else:
                await self._read_field(scanner, key)
            more = await scanner.another(b"{")

    async def _read_field(self, scanner: Scanner, key: str | None) -> None:
        try:
            value = Raw(compact(await scanner.value()))
            if key is None:
                raise ThreadError("its key is not text")
            if key == "thread_id":
                self.thread_id = _text(value)
                self.losses.thread_id = self.thread_id
            elif key != "history":
                self._fields[key] = value
            elif bytes(value) != b"null":
                raise ThreadError("it is not an array of states")
        except UnreadableRestError:
            raise
        except ThreadError as error:
            self.losses.add(f"{key or 'a field'} of the thread", str(error))

    async def _read_history(self, scanner: Scanner) -> None:
        number = 0
        more = await scanner.enter(b"[")
        while more:
            number += 1
            try:
                state = compact(await scanner.value())
                record = state_to_checkpoint(state, "")
            except UnreadableRestError:
                raise
            except ThreadError as error:
                self.losses.add(f"state {number} of its history", str(error), checkpoints=1)
            else:
                self._states.append(_identify(record, self._scratch.append(state)))
            more = await scanner.another(b"[")

    @property
    def states(self) -> int:
        """How many states were read."""
        return len(self._states)

    # -- records -----------------------------------------------------------------------

    def record(self, entry: Entry) -> Thread | None:
        """The thread's own record, with what `lgx` holds of it.

        Raises:
            ThreadError: its fields are malformed.
        """
        if entry.thread is None:
            return None
        fields = {key: value for key, value in self._fields.items() if key not in entry.unset}
        fields |= entry.thread
        fields |= {"kind": raw("thread"), "thread_id": raw(self.thread_id)}
        record = from_fields(fields)
        assert isinstance(record, Thread)
        return record

    def checkpoints(self) -> Iterator[Checkpoint]:
        """One for each state, parents before children."""
        assert self.thread_id is not None
        for place in self._in_order():
            yield state_to_checkpoint(self._scratch.last(place), self.thread_id)

    def _in_order(self) -> Iterator[int]:
        """The states from the last to the first, which is the older before the newer."""
        places: dict[_Key, int] = {}
        parents: dict[_Key, _Key | None] = {}
        for key, parent, place in reversed(self._states):
            self.doubled += key in places
            places[key] = place
            parents[key] = parent
        return (places[key] for key in parents_first(parents))

    def close(self) -> None:
        self._scratch.close()


def merged(
    thread: Thread | None,
    at: int,
    checkpoints: Iterator[Checkpoint],
    others: Iterator[tuple[int, bytes]],
) -> Iterator[Record]:
    """The records of a thread in their order: those that have a place, and between them
    the checkpoints."""
    waiting = thread
    place = 0
    following = next(others, None)
    checkpoint = next(checkpoints, None)
    while True:
        if waiting is not None and (place >= at or (checkpoint is None and following is None)):
            record: Record = waiting
            waiting = None
        elif following is not None and (place >= following[0] or checkpoint is None):
            record = decode_line(following[1])
            following = next(others, None)
        elif checkpoint is not None:
            record = checkpoint
            checkpoint = next(checkpoints, None)
        else:
            return
        yield record
        place += 1


def _text(value: Raw) -> str:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ThreadError(f"it is not text: {error}") from error


def _identify(record: Checkpoint, place: int) -> tuple[_Key, _Key | None, int]:
    namespace, parent = record.checkpoint_ns, record.parent_checkpoint_id
    key = (namespace, record.checkpoint_id)
    return key, (namespace, parent) if parent is not None else None, place
