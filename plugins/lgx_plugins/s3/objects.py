"""Requests for objects under one prefix: read, write under a condition, list, remove."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from lgx import FatalError
from lgx_plugins.s3.checksums import Checksums
from lgx_plugins.s3.client import Contact, make_client
from lgx_plugins.s3.config import S3Config, S3SinkConfig
from lgx_plugins.s3.failures import (
    CutShortError,
    DeniedError,
    UnreachedError,
    explained,
    is_conflict,
    is_missing,
    no_s3,
    status_of,
)
from lgx_plugins.s3.place import Place, parse_url

__all__ = ["Objects", "SpoiledError", "Stored", "read_body"]

T = TypeVar("T")

_READERS = 24


class SpoiledError(Exception):
    """The store holds other bytes than were sent.

    Attributes:
        etag: of what it holds.
    """

    def __init__(self, etag: str) -> None:
        super().__init__(etag)
        self.etag = etag


class Stored(NamedTuple):
    """A small object: what it holds, what a condition calls this version of it, and how many
    seconds ago it was written, all by the store's own clock."""

    data: bytes
    etag: str
    age: float


class Objects:
    """The objects of one archive. Blocks; used from any thread, by many at once.

    Nothing is connected to before the first request.
    """

    def __init__(self, config: S3Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._client: Any = None
        self._place: Place | None = None
        self._contact = Contact()
        self._may_list: bool | None = None
        sink = config if isinstance(config, S3SinkConfig) else None
        self.attempts = config.attempts
        self.checksums = Checksums(sink.checksum if sink else "sha256")
        self.conditional = sink is None or sink.conditional_writes
        self.encryption = _encryption(sink)
        self._connections = _READERS + (sink.uploads if sink else 0)

    @property
    def place(self) -> Place:
        """Raises:
        UsageError: the url names none.
        """
        if self._place is None:
            self._place = parse_url(self._config.url)
        return self._place

    @property
    def client(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = make_client(self._config, self._connections, self._contact)
            return self._client

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.close()

    def where(self, name: str) -> dict[str, str]:
        """The parameters that every request for an object has."""
        return {"Bucket": self.place.bucket, "Key": self.place.key(name)}

    def ask(self, what: str, call: Callable[[], T]) -> T:
        """Does what `call` does, which may be done twice, again where an answer ends early; its
        failure is told in lgx's words, in which `what` is the work."""
        for _ in range(self._config.attempts - 1):
            with suppress(CutShortError), self._explained(what):
                return call()
        with self._explained(what):
            return call()

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            with explained(self.place.url, what):
                yield
        except UnreachedError as error:
            if self._contact.made:
                raise
            role = "sink" if isinstance(self._config, S3SinkConfig) else "source"
            raise FatalError(
                f"{error.said}; see that --{role}-endpoint-url or AWS_ENDPOINT_URL_S3 is right and "
                "the store is running"
            ) from error

    def may_list(self) -> bool:
        """Whether keys may be listed; without that, what is missing answers as if forbidden."""
        if self._may_list is None:
            try:
                next(self.names(""), None)
                self._may_list = True
            except DeniedError:
                self._may_list = False
        return self._may_list

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        """Names, below the prefix, that begin so, with their sizes.

        Raises:
            DeniedError: they may not be listed.
        """
        prefix = self.place.prefix
        token: dict[str, str] = {}
        while True:
            where = {"Bucket": self.place.bucket, "Prefix": prefix + begin, **token}
            page = self.ask("list the keys", partial(self.client.list_objects_v2, **where))
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(prefix), item["Size"]
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def get(self, name: str) -> Stored | None:
        """A small object as a whole; None where there is none, as far as can be told."""
        from botocore.exceptions import ClientError

        def call() -> Stored | None:
            try:
                answer = self.client.get_object(**self.where(name))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise
            data = read_body(answer)
            if "ETag" not in answer:
                raise no_s3(f"cannot read {name} of {self.place.url!r}:", "no ETag")
            return Stored(data, answer["ETag"], _age(answer))

        try:
            return self.ask(f"read {name}", call)
        except DeniedError:
            if self.may_list():
                raise
            return None

    def etag(self, name: str) -> str | None:
        """The version of an object, which is not empty; None where there is none."""
        from botocore.exceptions import ClientError

        def call() -> str | None:
            try:
                # Not HEAD, whose answers bear no word of what is wrong.
                answer = self.client.get_object(**self.where(name), Range="bytes=0-0")
                answer["Body"].close()
                return str(answer["ETag"])
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

        return self.ask(f"read {name}", call)

    def try_put(self, name: str, data: bytes, condition: dict[str, str]) -> str | None:
        """Writes a small object; its ETag, or None where the condition does not hold, or not
        any more.

        Raises:
            SpoiledError: other bytes arrived, and stand there.
        """
        from botocore.exceptions import ClientError

        sums = self.checksums.of(data)

        def call() -> dict[str, Any] | None:
            try:
                answer: dict[str, Any] = self.client.put_object(
                    **self.where(name),
                    Body=data,
                    **self.checksums.sent(sums),
                    **self.encryption,
                    **condition,
                )
            except ClientError as error:
                if condition and (is_conflict(error) or is_missing(error)):
                    return None
                raise
            return answer

        answer = self.ask(f"write {name}", call)
        if answer is None:
            return None
        self.check_encryption(answer, name)
        if self.checksums.agrees(answer, sums) is not True:
            found = self.get(name)
            if found is None or found.data != data:
                if found is not None and found.etag == answer["ETag"]:
                    raise SpoiledError(found.etag)
                return None  # another writer's by now
        return str(answer["ETag"])

    def remove(self, name: str) -> None:
        """Removes an object, if it is there."""
        self.ask(f"remove {name}", lambda: self.client.delete_object(**self.where(name)))

    def remove_this(self, name: str, etag: str | None) -> bool:
        """Removes an object if it is still this version of it; whether it was.

        A store that does not know of conditions there removes it anyway.
        """
        from botocore.exceptions import ClientError

        def call() -> bool:
            condition = {"IfMatch": etag} if self.conditional and etag else {}
            try:
                try:
                    self.client.delete_object(**self.where(name), **condition)
                except ClientError as error:
                    if not condition or status_of(error) not in (400, 405, 501):
                        raise
                    self.client.delete_object(**self.where(name))
            except ClientError as error:
                if is_conflict(error):
                    return False
                if not is_missing(error):
                    raise
            return True

        return self.ask(f"remove {name}", call)

    def check_encryption(self, answer: dict[str, Any], name: str) -> None:
        """Makes sure that what was asked for was done."""
        wanted = self.encryption.get("ServerSideEncryption")
        done = answer.get("ServerSideEncryption")
        if wanted is not None and done != wanted:
            raise FatalError(
                f"{name} of {self.place.url!r} was to be encrypted by {wanted}, and the store says "
                f"{done or 'nothing of it'}; leave --sink-sse out, or use a store that can"
            )

    def spoiled(self, name: str, outcome: str) -> FatalError:
        """What to raise where the store holds other bytes than were sent.

        Args:
            outcome: what was done about it.
        """
        return FatalError(
            f"{name} of {self.place.url!r} is not stored as it was sent: its checksum differs, "
            f"{outcome}; look for a proxy that changes requests or for failing memory, then run "
            "again"
        )


def read_body(answer: dict[str, Any], size: int | None = None) -> bytes:
    """The body of an answer, or its first `size` bytes; within `Objects.ask`."""
    # Not `with answer["Body"]`: that gives what is below, which does not count the bytes.
    with closing(answer["Body"]) as body:
        data: bytes = body.read(size)
    return data


def _age(answer: dict[str, Any]) -> float:
    """Both times are the store's, so that a wrong clock here does not matter."""
    said = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(said) if said else datetime.now(UTC)
    written: datetime = answer["LastModified"]
    return max(0.0, (now - written).total_seconds())


def _encryption(config: S3SinkConfig | None) -> dict[str, str]:
    if config is None or config.sse is None:
        return {}
    key = {"SSEKMSKeyId": config.kms_key_id} if config.kms_key_id else {}
    return {"ServerSideEncryption": config.sse, **key}
