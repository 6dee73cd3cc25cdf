"""A part on its way into the store: by multipart upload, while it is still being written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from lgx import LgxError
from lgx_plugins.s3.checksums import Sums
from lgx_plugins.s3.failures import code_of, status_of
from lgx_plugins.s3.objects import Objects
from lgx_plugins.s3.unfinished import abort_upload

__all__ = ["Upload"]

P = ParamSpec("P")
T = TypeVar("T")

_TRIES = 3


class Upload:
    """A `NewFile` in the store. Nobody sees it before it is committed, which is done by the pool:
    `Upload.arrived` ends when it is.

    In memory are what one request bears, once for each upload that runs and once for what
    is being filled. An object that fits into one request takes one.
    """

    def __init__(
        self,
        objects: Objects,
        name: str,
        pool: Executor,
        room: threading.Semaphore,
        *,
        request_size: int,
        storage: dict[str, str],
    ) -> None:
        self._objects = objects
        self._name = name
        self._pool = pool
        self._room = room
        self._request_size = request_size
        self._storage = storage
        self._filled: list[bytes] = []
        self._size = 0
        self._upload: str | None = None
        self._sent: list[Future[tuple[str, Sums]]] = []
        self._doubts = False
        self._ended = False
        self.arrived: Future[None] | None = None

    def write(self, data: bytes) -> None:
        self._filled.append(data)
        self._size += len(data)
        if self._size > self._request_size:
            whole = b"".join(self._filled)
            at = 0
            while len(whole) - at > self._request_size:
                self._send(whole[at : at + self._request_size])
                at += self._request_size
            self._filled = [whole[at:]]
            self._size = len(whole) - at

    def commit(self, name: str) -> None:
        assert self._name.endswith(name)
        data = b"".join(self._filled)
        self._filled, self._size = [], 0
        if self._upload is not None:
            self._send(data)
            data = b""
        self._ended = True
        # What it waits for was given to the pool before it, so that it never waits in vain.
        self.arrived = self._in_pool(self._arrive, data)

    def _arrive(self, data: bytes) -> None:
        try:
            sums = [self._put_whole(data)] if self._upload is None else self._complete()
            if self._doubts and not self._is_stored(sums):
                self._objects.remove(self._name)
                raise self._objects.spoiled(self._name, "and it was removed")
        except BaseException:
            self._abort()
            raise

    def discard(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._filled, self._size = [], 0
        self._abort()

    def _abort(self) -> None:
        for sent in self._sent:
            sent.cancel()
        wait(self._sent)
        if self._upload is not None:
            # The error that led here is the one to tell; what stays is a leftover.
            with suppress(LgxError):
                abort_upload(self._objects, self._objects.place.key(self._name), self._upload)

    def _put_whole(self, data: bytes) -> Sums:
        sums = self._objects.checksums.of(data)

        def call() -> dict[str, Any]:
            answer: dict[str, Any] = self._objects.client.put_object(
                **self._objects.where(self._name),
                Body=data,
                **self._objects.checksums.sent(sums),
                **self._objects.encryption,
                **self._storage,
            )
            return answer

        answer = self._agreeing(call, sums)
        self._objects.check_encryption(answer, self._name)
        return sums

    def _agreeing(self, call: Callable[[], dict[str, Any]], sums: Sums) -> dict[str, Any]:
        """The answer of an upload, which is made again where what arrived is not what was sent;
        in doubt the object is read back in the end."""
        for _ in range(_TRIES):
            answer = self._objects.ask(f"write {self._name}", call)
            agrees = self._objects.checksums.agrees(answer, sums)
            if agrees:
                return answer
            if agrees is None:
                break
        self._doubts = True
        return answer

    def _send(self, data: bytes) -> None:
        if self._upload is None:
            self._begin()
        for sent in self._sent:
            if sent.done():
                sent.result()  # raises what it failed with
        number = len(self._sent) + 1
        self._sent.append(self._in_pool(self._send_one, number, data))

    def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has it done once there is room for what it holds in memory."""
        self._room.acquire()
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _begin(self) -> None:
        answer = self._objects.ask(
            f"write {self._name}",
            lambda: self._objects.client.create_multipart_upload(
                **self._objects.where(self._name),
                **self._objects.checksums.announced(),
                **self._objects.encryption,
                **self._storage,
            ),
        )
        self._upload = str(answer["UploadId"])
        self._objects.check_encryption(answer, self._name)

    def _send_one(self, number: int, data: bytes) -> tuple[str, Sums]:
        sums = self._objects.checksums.of(data)

        def call() -> dict[str, Any]:
            answer: dict[str, Any] = self._objects.client.upload_part(
                **self._objects.where(self._name),
                UploadId=self._upload,
                PartNumber=number,
                Body=data,
                **self._objects.checksums.sent(sums),
            )
            return answer

        return str(self._agreeing(call, sums)["ETag"]), sums

    def _complete(self) -> list[Sums]:
        from botocore.exceptions import ClientError

        sent = [future.result() for future in self._sent]
        sums = [of_one for _, of_one in sent]
        parts = [
            {"PartNumber": number, "ETag": etag, **self._objects.checksums.listed(of_one)}
            for number, (etag, of_one) in enumerate(sent, 1)
        ]

        def call() -> dict[str, Any]:
            try:
                answer: dict[str, Any] = self._objects.client.complete_multipart_upload(
                    **self._objects.where(self._name),
                    UploadId=self._upload,
                    MultipartUpload={"Parts": parts},
                )
            except ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise
                # Completed by a request whose answer was lost, or ended by somebody else.
                try:
                    answer = self._objects.client.head_object(**self._objects.where(self._name))
                except ClientError as absent:
                    raise (error if status_of(absent) == 404 else absent) from None
            return answer

        answer = self._objects.ask(f"write {self._name}", call)
        if not self._objects.checksums.agrees_whole(answer, sums):
            self._doubts = True
        return sums

    def _is_stored(self, sums: list[Sums]) -> bool:
        """Reads the object back, request by request, and compares it."""
        from lgx_plugins.s3.ranges import RangeReader

        with RangeReader(self._objects, self._name, self._name) as file:
            for of_one in sums:
                if self._objects.checksums.of(file.read(of_one.size)) != of_one:
                    return False
            return not file.read(1)
