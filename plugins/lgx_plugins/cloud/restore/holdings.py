"""What stands on the target: threads, by id, with lgx's label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Raw, Struct

from lgx import Context, RetryableError, split_object
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.label import Label, label_of

__all__ = ["Holding", "Holdings"]

_TOGETHER = 200


class Holding(Struct, frozen=True):
    """A thread of the target.

    Attributes:
        label: None where lgx did not write it.
    """

    thread_id: str
    updated_at: str | None
    label: Label | None


class _Row(Struct):
    thread_id: str
    updated_at: str | None = None
    metadata: Raw = Raw(b"{}")


_rows = msgspec.json.Decoder(list[_Row])


class Holdings:
    """Looks threads up by their ids, many in one request."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def find(self, thread_ids: Sequence[str], context: Context) -> Mapping[str, Holding]:
        """Those of these threads that are there.

        Raises:
            RetryableError, ThreadError: the server does not answer, or not the question.
        """
        found: dict[str, Holding] = {}
        for start in range(0, len(thread_ids), _TOGETHER):
            some = list(thread_ids[start : start + _TOGETHER])
            what = f"list of {len(some)} threads of the target"
            found |= await context.request(partial(self.ask, some), what=what)
        return found

    async def ask(self, thread_ids: Sequence[str]) -> Mapping[str, Holding]:
        """As `find`, in one request that is not tried again; for what is tried again itself."""
        answer = await self._client.ask(
            "POST",
            "/threads/search",
            {
                "ids": thread_ids,
                "limit": len(thread_ids),
                "select": ["thread_id", "updated_at", "metadata"],
            },
            opening=b"[",
            what="list of the target's threads",
        )
        try:
            rows = _rows.decode(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            why = f"the target's list of threads is malformed: {error}"
            raise RetryableError(why) from None
        found: dict[str, Holding] = {}
        for row in rows:
            if row.thread_id not in thread_ids:
                raise RetryableError(
                    f"asked for {len(thread_ids)} threads, the target gave thread "
                    f"{row.thread_id!r} too; lgx cannot tell what stands there"
                )
            label = label_of(split_object(row.metadata))
            found[row.thread_id] = Holding(row.thread_id, row.updated_at, label)
        return found
