"""The end of a thread's building: it is said to be whole, where it is, and by nobody else."""

from __future__ import annotations

import msgspec

from lgx import Context, ThreadError, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import Answer, UnknownFateError
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.attempt import Attempt, TakenError, in_use
from lgx_plugins.cloud.restore.decoding import decoded
from lgx_plugins.cloud.restore.label import KEY, Label
from lgx_plugins.cloud.restore.standing import Standing
from lgx_plugins.cloud.restore.threads import Built

__all__ = ["Marking"]


class Marking:
    """Of one thread, by one attempt.

    A server marks nothing on condition, and steps of another run that was cut off may arrive at
    any time: before and after each look the thread has to be the same.

    Attributes:
        before: the thread before it was read back; None where it was not.
    """

    def __init__(
        self,
        client: Client,
        standing: Standing,
        attempt: Attempt,
        context: Context,
        thread_id: str,
        building: Label,
    ) -> None:
        """`building`: the label of a thread that is not whole, but for its attempt."""
        self.before: Built | None = None
        self._client = client
        self._standing = standing
        self._attempt = attempt
        self._context = context
        self._thread_id = thread_id
        self._building = building

    @property
    def unfinished(self) -> Label:
        """The label of what this attempt makes, until it is whole."""
        return msgspec.structs.replace(self._building, unfinished=True, attempt=self._attempt.id)

    async def finish(self, label: Label, built: Built) -> None:
        """Says what the thread is, in place of its being built.

        Args:
            label: what it is, with its newest checkpoint.
            built: the thread, looked at last.

        Raises:
            TakenError: meanwhile somebody else made a thread of that id, or has run this one.
            UnknownFateError: steps have come that are not this attempt's.
        """
        own = self._attempt.id is not None
        if own and self.before is not None:
            await self._hold_to(label, self.before, built)
        now = decoded((await self._mark(label)).body, Built, "thread")
        if not own:
            return
        try:
            await self._hold_to(label, built, now)
        except ThreadError:
            await self._mark(self.unfinished)  # nobody is to take it for whole
            raise

    async def _hold_to(self, label: Label, before: Built, built: Built) -> None:
        """That nothing has come between two looks at the thread."""
        if built.created_at != before.created_at:
            raise TakenError("meanwhile somebody else made a thread of that id")
        same = built.state_updated_at == before.state_updated_at
        if not same and await self._standing.head() != label.head:
            if await self._standing.used():
                raise in_use()
            raise UnknownFateError("another run has written into the thread", status=None)

    async def disown(self) -> bool:
        """Takes its mark off another run's copy, if steps of this one may have gone into it.

        Returns:
            Whether that was so.
        """
        built = await self._standing.look() if self._attempt.exposed else None
        label = None if built is None else built.label
        if built is None or label is None or label.mark is None:
            return False
        if label.state_at == built.state_updated_at:
            return False  # nothing has come since it was found to be whole
        fields = split_object(split_object(built.metadata)[KEY])
        await self._mark({**fields, "version": ""})
        return True

    async def _mark(self, label: object) -> Answer:
        return await self._client.light(
            self._context,
            "PATCH",
            path_of(self._thread_id),
            {"metadata": {KEY: label}},
            opening=b"{",
            what=f"mark of thread {self._thread_id}",
        )
