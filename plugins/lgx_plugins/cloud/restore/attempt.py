"""One attempt to build a thread, and what tells the thread that it made from anybody else's."""

from __future__ import annotations

import uuid

from lgx import Context, ThreadError
from lgx_plugins.cloud.answers import UnknownFateError
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import Label
from lgx_plugins.cloud.restore.standing import Standing
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Attempt", "TakenError", "in_use"]


class TakenError(ThreadError):
    """A thread has that id already, and this run did not make it."""


class Attempt:
    """At one thread of the target; begun anew as often as it takes.

    A server changes nothing on condition: somebody else may take the thread between a look at
    it and the request that follows. What such a request does to theirs is seen afterwards.

    Attributes:
        id: stands in the label of what it makes; None where nothing of it is there.
        exposed: whether a request has gone out since the thread was last seen to be its own.
    """

    def __init__(
        self, holdings: Holdings, standing: Standing, thread_id: str, context: Context
    ) -> None:
        self.id: str | None = None
        self.exposed = False
        self._holdings = holdings
        self._standing = standing
        self._thread_id = thread_id
        self._context = context
        self._created_at: str | None = None

    def begin(self) -> None:
        """Called before anything is made."""
        self.id, self.exposed, self._created_at = uuid.uuid4().hex, False, None

    def recognise(self, label: Label | None, created_at: str | None) -> None:
        """That a thread which an answer or a list shows is the one that this attempt made.

        Raises:
            TakenError: it is somebody else's.
            UnknownFateError: somebody removed it, and what came after was built upon nothing.
        """
        if label is None or label.attempt != self.id:
            raise _taken()
        if self._created_at is None:
            self._created_at = created_at
        elif created_at != self._created_at:
            raise _vanished()

    async def look(self) -> Built | None:
        """The thread's record; None where it is not there. In one request that is not tried
        again, for what is tried again itself.

        Raises:
            TakenError, UnknownFateError: as `recognise`.
        """
        built = await self._holdings.look(self._thread_id)
        if built is not None and self.id is not None:
            self.recognise(built.label, built.created_at)
            self.exposed = False
        return built

    async def expose(self) -> None:
        """Called before each request that goes on with the thread: looks whose it is, as
        another run may have replaced what this one was building, and be done with it.

        Raises:
            TakenError, UnknownFateError: as `recognise`.
        """
        if await self.look() is None:
            raise _vanished()
        self.exposed = True

    async def remove(self) -> None:
        """Removes what it made, if anything.

        Raises:
            TakenError: meanwhile somebody else made a thread of that id, or has run this one.
            UnknownFateError: it was removed, and had been removed in the middle by somebody
                else: what came of it says nothing.
        """
        if self.id is None:
            return
        if await self._standing.used():
            raise in_use()
        what = f"removal of thread {self._thread_id}"
        created_at = await self._context.request(self.remove_made, what=what)
        self.id = None
        if self._created_at is not None and created_at not in (None, self._created_at):
            raise _vanished()

    async def remove_made(self) -> str | None:
        """As `remove`, in requests that are not tried again; for what is tried again itself.

        Returns:
            When the thread was created, if it was there.
        """
        holding = (await self._holdings.ask([self._thread_id])).get(self._thread_id)
        if holding is None:
            return None
        if holding.label is None or holding.label.attempt != self.id:
            raise _taken()
        await self._holdings.remove_once(self._thread_id)
        return holding.created_at


def in_use() -> TakenError:
    return TakenError(
        "somebody has run it while it was being built: what is there is theirs, and not whole"
    )


def _vanished() -> UnknownFateError:
    return UnknownFateError("somebody removed the thread while it was being built", status=None)


def _taken() -> TakenError:
    return TakenError("meanwhile somebody else made a thread of that id; a later run looks at it")
