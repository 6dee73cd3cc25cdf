"""One attempt to build a thread, and what tells the thread that it made from anybody else's."""

from __future__ import annotations

import uuid

from lgx import Context, ThreadError
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError, UnknownFateError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.holdings import Holdings
from lgx_plugins.cloud.restore.label import Label

__all__ = ["Attempt", "TakenError"]


class TakenError(ThreadError):
    """A thread has that id already, and this run did not make it."""


class Attempt:
    """At one thread of the target; begun anew as often as it takes.

    Attributes:
        id: stands in the label of what it makes; None where nothing of it is there.
    """

    def __init__(
        self, client: Client, holdings: Holdings, thread_id: str, context: Context
    ) -> None:
        self.id: str | None = None
        self._client = client
        self._holdings = holdings
        self._thread_id = thread_id
        self._context = context
        self._created_at: str | None = None

    def begin(self) -> None:
        """Called before anything is made."""
        self.id, self._created_at = uuid.uuid4().hex, None

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

    async def check(self) -> None:
        """Looks whose the thread is: another run may have replaced what this one was building,
        and be done with it.

        Raises:
            TakenError, UnknownFateError: as `recognise`.
        """
        found = await self._holdings.find([self._thread_id], self._context)
        holding = found.get(self._thread_id)
        if holding is None:
            raise _vanished()
        self.recognise(holding.label, holding.created_at)

    async def remove(self) -> None:
        """Removes what it made, if anything.

        Raises:
            TakenError: meanwhile somebody else made a thread of that id.
            UnknownFateError: it was removed, and had been removed in the middle by somebody
                else: what came of it says nothing.
        """
        if self.id is None:
            return
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
        path = path_of(self._thread_id)
        try:
            await self._client.ask("DELETE", path, opening=None, what="removal of a thread")
        except RefusedError as error:
            if error.status != 404:
                raise
        return holding.created_at


def _vanished() -> UnknownFateError:
    return UnknownFateError("somebody removed the thread while it was being built", status=None)


def _taken() -> TakenError:
    return TakenError("meanwhile somebody else made a thread of that id; a later run looks at it")
