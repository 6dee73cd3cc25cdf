"""What the server stores of a thread: how many checkpoints, and how large their steps are."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from lgx import Context, RetryableError
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client

__all__ = ["Storage", "StorageReader"]

_STEP = 1500  # bytes of a step without its values: ids, metadata, tasks


class _Amount(Struct, frozen=True):
    count: int = 0
    bytes: int = 0


class _Channel(Struct, frozen=True):
    versions: int = 1
    bytes: int = 0


class _Channels(Struct, frozen=True):
    bytes: int = 0
    by_channel: dict[str, _Channel] = {}


class Storage(Struct, frozen=True):
    """The answer of `GET /threads/{id}/storage`, over all namespaces."""

    checkpoints: _Amount
    channel_values: _Channels = _Channels()
    pending_writes: _Amount = _Amount()

    @property
    def count(self) -> int:
        return self.checkpoints.count

    def step_size(self) -> int:
        """Bytes that a large step of the history has, about.

        A channel that does not change is stored once and repeated in every step, so the size
        is made up of one version of each channel; of growing ones the last is twice the mean.
        """
        values = sum(c.bytes // max(1, c.versions) for c in self.channel_values.by_channel.values())
        writes = self.pending_writes.bytes // max(1, self.count)
        return _STEP + 2 * (values or self.channel_values.bytes // max(1, self.count)) + 2 * writes


_decoder = msgspec.json.Decoder(Storage)


class StorageReader:
    """Asks for the storage of threads, as long as the server knows that question."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.present: bool | None = None
        """Whether the server has the endpoint; None until the first answer."""

    async def read(self, thread_id: str, context: Context) -> Storage | None:
        """None where the server does not tell."""
        if self.present is False:
            return None
        try:
            answer = await self._client.light(
                context,
                "GET",
                path_of(thread_id, "/storage"),
                opening=b"{",
                what=f"storage of thread {thread_id}",
            )
        except RefusedError as error:
            if error.status in (401, 403):
                raise
            # A thread that is gone is refused by the same 404, and says nothing of the others.
            if self.present is None and "hread" not in error.detail:
                self.present = False
                context.note(
                    f"the server does not tell how many checkpoints it stores ({error.detail}); "
                    "completeness was checked by the chain of parents alone"
                )
            return None
        except RetryableError as error:
            if error.outage or error.throttled or (error.status or 0) < 500:
                raise
            self._note(thread_id, str(error), context)  # its history may be sound all the same
            return None
        try:
            storage = _decoder.decode(answer.body)
        except (msgspec.MsgspecError, RecursionError) as error:
            self._note(thread_id, str(error), context)
            return None
        self.present = True
        return storage

    def _note(self, thread_id: str, why: str, context: Context) -> None:
        context.note(
            f"the server did not tell how many checkpoints it stores ({why}); completeness was "
            "checked by the chain of parents alone",
            thread_id=thread_id,
        )
