"""One thread of a server, as replay builds it: over HTTP, and nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from lgx import Checkpoint, Context, RetryableError, ThreadError, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.answers import Answer, RefusedError, UnknownFateError, excerpt
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.restore.attempt import Attempt
from lgx_plugins.cloud.restore.bodies import fitting
from lgx_plugins.cloud.restore.decoding import decoded
from lgx_plugins.cloud.restore.graphs import Graphs
from lgx_plugins.cloud.restore.label import KEY
from lgx_plugins.cloud.restore.marking import Marking
from lgx_plugins.cloud.restore.standing import Standing
from lgx_plugins.cloud.restore.threads import Built
from lgx_plugins.replay import RefusedError as RefusedUpdateError
from lgx_plugins.replay import Topology

__all__ = ["HttpTarget"]

_PATIENCE = 2  # internal errors that a thread's updates may cause before they count as refused


class _Place(Struct):
    checkpoint_id: str


class _Updated(Struct):
    checkpoint: _Place


class HttpTarget:
    """Fulfils `lgx_plugins.replay.Target`.

    What it makes bears a label that says so until the caller changes it: whatever ends this
    process, what is left behind is known for what it is.

    Attributes:
        marking: says what the thread is, once it stands.
        retried: whether something was sent again, while the server may have been at work on
            what was sent before.
    """

    def __init__(
        self,
        client: Client,
        standing: Standing,
        attempt: Attempt,
        marking: Marking,
        graphs: Graphs,
        context: Context,
        *,
        thread_id: str,
        metadata: Mapping[str, Raw],
        graph_id: str | None,
        ttl: Raw | None,
        body_bytes: int,
    ) -> None:
        """
        Args:
            metadata: of the thread; without a label.
            ttl: the thread's time to live, as a server takes it.
        """
        self.body_bytes = body_bytes
        self.marking = marking
        self.retried = False
        self._client = client
        self._standing = standing
        self._attempt = attempt
        self._graphs = graphs
        self._context = context
        self._thread_id = thread_id
        self._path = path_of(thread_id)
        self._metadata = metadata
        self._graph_id = graph_id
        self._ttl = ttl
        self._failures = 0
        self._taken = False  # whether steps were, since it was created last

    # -- writing ----------------------------------------------------------------------

    async def create(self, supersteps: Sequence[bytes]) -> None:
        """Tried again where its fate is not known, after what it may have made was removed.

        Raises:
            TakenError: the id is another's.
            RefusedUpdateError: see `Target`.
        """
        self._attempt.begin()
        self._taken = False
        self.marking.before = None
        content = self._body("raise", supersteps)
        what = f"creation of thread {self._thread_id}"
        tries = 0

        async def call() -> Answer:
            nonlocal tries
            tries += 1
            if tries > 1:
                await self._remove_made()
            try:
                return await self._client.ask("POST", "/threads", content, opening=b"{", what=what)
            except RefusedError as error:
                if error.status == 409:
                    # Something on the way may have sent it twice.
                    await self._remove_made()
                    raise RetryableError(str(error), status=409) from error
                raise _refusal(error) from error
            except RetryableError as error:
                self._attempt.exposed = True
                if error.status == 500:
                    self._count_failure(str(error))
                raise

        answer = await self._context.request(call, what=what, bulk=True)
        self._attempt.exposed = True
        self._check(answer)
        self._taken = bool(supersteps)

    async def _remove_made(self) -> None:
        if await self._attempt.remove_made() is not None:
            self.retried = True

    async def go_on(self, supersteps: Sequence[bytes]) -> None:
        # With all that creating it takes: should it have gone, what comes of this is labelled.
        content = self._body("do_nothing", supersteps)
        self._check(await self._send("/threads", content, "continuation"))
        self._taken = True

    async def branch(self, parent_id: str, update: bytes) -> str:
        # The server takes an id that it does not know, and builds upon nothing.
        place = {"checkpoint": {"checkpoint_id": parent_id, "checkpoint_ns": ""}}
        content = fitting(msgspec.json.encode(place)[:-1] + b"," + update[1:])
        answer = await self._send(f"{self._path}/state", content, "branch")
        return decoded(answer.body, _Updated, "branch").checkpoint.checkpoint_id

    async def remove(self) -> None:
        """Removes what this target made, if anything; see `Attempt`."""
        await self._attempt.remove()

    def _body(self, if_exists: str, supersteps: Sequence[bytes]) -> bytes:
        """
        Raises:
            ThreadError: it is more than a server takes.
        """
        body: dict[str, object] = {
            "thread_id": self._thread_id,
            "metadata": {**self._metadata, KEY: self.marking.unfinished},
            "if_exists": if_exists,
        }
        if self._ttl is not None:
            body["ttl"] = self._ttl
        content = msgspec.json.encode(body)
        if supersteps:
            parts = [content[:-1], b',"supersteps":[']
            for superstep in supersteps:
                parts += (superstep, b",")
            parts[-1] = b"]}"
            content = b"".join(parts)
        return fitting(content)

    async def _send(self, path: str, content: bytes, what: str) -> Answer:
        try:
            return await self._client.send(
                self._context,
                "POST",
                path,
                content,
                opening=b"{",
                what=f"{what} of thread {self._thread_id}",
                first=self._attempt.expose,
            )
        except RefusedError as error:
            raise _refusal(error) from error
        except UnknownFateError as error:
            if error.status == 500:
                self._count_failure(str(error))
            raise

    def _count_failure(self, said: str) -> None:
        """An internal error passes, or is the server's way to refuse a value: the second tells."""
        self._failures += 1
        if self._failures >= _PATIENCE:
            raise RefusedUpdateError(said)

    def _check(self, answer: Answer) -> None:
        """An answer of success that is no thread tells of steps that were not taken; one that
        has another label, of steps that went into somebody else's thread."""
        fields = split_object(answer.body)
        if "thread_id" not in fields:
            said = f"the target answered with success, and said: {excerpt(answer.body)}"
            self._count_failure(said)
            raise UnknownFateError(said, status=None)
        built = decoded(answer.body, Built, "thread")
        self._attempt.recognise(built.label, built.created_at)

    # -- reading ----------------------------------------------------------------------

    async def look(self) -> Built:
        """The thread's record as it stands there; of one that was built, once it is known to be
        that still.

        Raises:
            TakenError, UnknownFateError: see `Attempt`.
        """
        built = await self._look()
        if built is None:
            raise UnknownFateError("the thread is not there any more", status=None)
        return built

    async def _look(self) -> Built | None:
        what = f"record of thread {self._thread_id}"
        return await self._context.request(self._attempt.look, what=what)

    async def used(self) -> bool:
        """Whether somebody has run what stands there, or has a cron that does."""
        return await self._standing.used()

    async def newest(self) -> list[str]:
        """The ids of the newest checkpoints, if there are any."""
        return await self._standing.newest()

    async def head(self) -> str:
        head = await self._standing.head()
        if head is None:
            raise UnknownFateError(
                "the target gives no history of a thread that was just built", status=None
            )
        return head

    async def history(self) -> AsyncIterator[Checkpoint]:
        if self._attempt.id is not None:
            self.marking.before = await self._look()
            if self.marking.before is None and not self._taken:
                return
        empty = True
        async for row in self._standing.history():
            empty = False
            yield row
        if empty and self._taken:
            raise UnknownFateError(
                "the target gives no history of a thread that was just built", status=None
            )

    async def topology(self) -> Topology | None:
        if self._graph_id is None:
            return None
        return await self._graphs.topology(self._graph_id, self._context)


def _refusal(error: RefusedError) -> ThreadError:
    """What a refusal means for replay: only the body's content may be mended by another."""
    return RefusedUpdateError(str(error)) if error.status in (400, 404, 422) else error
