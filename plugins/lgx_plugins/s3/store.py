"""An archive's store made of objects:

manifest.json                            replaced as a whole, last, if nobody else has (If-Match)
journal-00000007                         replaced as a whole by each batch, likewise
parts/00000012-0000-9f86d081884c7d65.ndjson.zst   written once
parts/00000012-0000-9f86d081884c7d65.index.zst
.lgx-lock                                who writes

They are the files of an archive in a directory: one can be copied to the other.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import BinaryIO, ClassVar, cast

from lgx import Fact, IntegrityError, LgxError, UsageError
from lgx_plugins.archive.manifest import DATA_SUFFIX, is_part_file
from lgx_plugins.archive.store import NewFile, Store
from lgx_plugins.s3.config import S3Config, S3SinkConfig
from lgx_plugins.s3.failures import DeniedError
from lgx_plugins.s3.lock import BEAT_SECONDS, LOCK, STALE_SECONDS, Lease
from lgx_plugins.s3.objects import Objects, Stored
from lgx_plugins.s3.place import MANIFEST, PARTS
from lgx_plugins.s3.ranges import RangeReader
from lgx_plugins.s3.unfinished import abort_upload, find_uploads
from lgx_plugins.s3.upload import Upload
from lgx_plugins.s3.writes import ConflictError, write_object

__all__ = ["S3Store"]

_JOURNAL = re.compile(r"journal-([0-9]{8})")
_MOST_REQUESTS = 10_000  # that one multipart upload may have
_NONE = Stored(b"", "", 0.0)


class S3Store(Store):
    """An archive under a prefix of a bucket.

    Two writers: the second is refused by the lock. Where a writer was taken for dead and its
    lock taken over, its journal is fenced, so that the condition of its next write cannot hold
    any more; it then fails, and what it has uploaded since its last batch is a leftover. Parts
    have names drawn by lot, so that it cannot have been anybody else's.
    """

    exclusive: ClassVar[bool] = False
    names_first: ClassVar[bool] = True
    reads_twice: ClassVar[bool] = False
    reads_at_once: ClassVar[int] = 16
    journal_bytes: ClassVar[int | None] = 256 << 10

    def __init__(
        self, config: S3Config, *, beat: float = BEAT_SECONDS, stale: float = STALE_SECONDS
    ) -> None:
        self.place = config.url
        self._config = config
        self._objects = Objects(config)
        self._beat = beat
        self._stale = stale
        self._lease: Lease | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._room: threading.Semaphore | None = None
        self._manifest: Stored | None = None
        self._uploads: list[Upload] = []
        self._begun: set[str] = set()
        self._journals: dict[int, tuple[bytes, str]] = {}

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
        self._objects.close()

    def check(self, *, writing: bool) -> bool:
        self.place = self._objects.place.url
        self._check_options()
        if self.read_manifest() is not None:
            return True
        if not self._objects.may_list():
            raise UsageError(
                f"manifest.json of {self.place!r} is not there, or may not be read: without the "
                "permission to list the bucket these are the same; grant s3:GetObject, and "
                "s3:ListBucket" + (" to begin an archive" if writing else "")
            )
        names = [name for name, _ in self._first_names()]
        if names and self.read_manifest() is not None:
            return True  # another run has put it there in the meantime
        if any(_JOURNAL.fullmatch(name) or is_part_file(name) for name in names):
            raise IntegrityError(
                f"archive {self.place!r} has lost its manifest.json; restore it from a "
                "copy, or make a new backup to another prefix"
            )
        if not writing:
            raise UsageError(
                f"there is no archive at {self.place!r}: it has no manifest.json; check bucket and "
                "prefix"
            )
        others = [name for name in names if name not in ("", PARTS, LOCK)]
        if others:
            raise UsageError(
                f"{self.place!r} is not an archive and not empty (it holds {min(others)!r}); name "
                "another prefix"
            )
        return False

    def _check_options(self) -> None:
        config = self._config
        if not isinstance(config, S3SinkConfig):
            return
        if config.kms_key_id and not (config.sse or "").startswith("aws:kms"):
            raise UsageError("a KMS key needs --sink-sse aws:kms; add it")

    def _first_names(self) -> Iterator[tuple[str, int]]:
        for count, found in enumerate(self._objects.names("")):
            if count == 1000:
                return
            yield found

    def lock(self) -> None:
        lease = Lease(self._objects, beat=self._beat, stale=self._stale)
        self._lease = lease
        lease.acquire()

    def unlock(self) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        # One that was begun by a request whose answer was lost is known to nobody, but by its key,
        # which is no other run's. What cannot be removed now is a leftover.
        if self._begun:
            with suppress(LgxError):
                for key, upload in find_uploads(self._objects):
                    if key in self._begun:
                        abort_upload(self._objects, key, upload)
        self._begun.clear()
        lease.release()

    @property
    def _held(self) -> Lease:
        assert self._lease is not None, "used without lock"
        self._lease.check()
        return self._lease

    def fence(self, generation: int) -> None:
        # A line that was cut short is what a crash in a directory leaves, and every reader of the
        # format passes over.
        data, _ = self._journals.get(generation, (b"", None))
        whole = data[: data.rfind(b"\n") + 1]
        self._replace_journal(generation, whole + f"fenced {secrets.token_hex(8)}".encode())

    def files(self) -> dict[str, int] | None:
        if not self._objects.may_list():
            return None
        sizes = {name.removeprefix(PARTS): size for name, size in self._objects.names(PARTS)}
        sizes.pop("", None)  # what some programs make in place of a directory
        # Deeper ones are none of this archive's; there may stand another.
        return {name: size for name, size in sizes.items() if "/" not in name}

    def leftovers(self) -> list[str]:
        with suppress(DeniedError):
            return sorted(key for key, _ in find_uploads(self._objects))
        return []

    def clear_leftovers(self) -> None:
        with suppress(DeniedError):  # `facts` tells of it
            for key, upload in find_uploads(self._objects):
                abort_upload(self._objects, key, upload)

    def facts(self) -> list[Fact]:
        """What concerns the store rather than the archive."""
        place, client = self._objects.place, self._objects.client
        facts = [
            Fact(name="bucket", value=place.bucket),
            Fact(name="endpoint", value=client.meta.endpoint_url),
            Fact(name="region", value=client.meta.region_name),
        ]
        try:
            find_uploads(self._objects)
        except DeniedError:
            words = (
                "may not be listed (s3:ListBucketMultipartUploads): those that a crash left cost "
                "money until a lifecycle rule of the bucket ends them"
            )
            facts.append(Fact(name="unfinished uploads", value=words, level="warn"))
        return facts

    def create(self, name: str | None) -> NewFile:
        assert name is not None
        config = self._config
        assert isinstance(config, S3SinkConfig)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(config.uploads, thread_name_prefix="lgx-s3")
            self._room = threading.Semaphore(config.uploads)
        assert self._room is not None
        storage = {"StorageClass": config.storage_class} if config.storage_class else {}
        upload = Upload(
            self._objects,
            PARTS + name,
            self._pool,
            self._room,
            request_size=max(config.request_size, config.part_size // (_MOST_REQUESTS // 2)),
            storage=storage if name.endswith(DATA_SUFFIX) else {},  # indexes: read by every run
        )
        self._uploads.append(upload)
        self._begun.add(self._objects.place.key(PARTS + name))
        return upload

    def settle(self) -> None:
        uploads, self._uploads = self._uploads, []
        under_way = [upload.arrived for upload in uploads if upload.arrived is not None]
        wait(under_way)
        for arrived in under_way:
            arrived.result()

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", RangeReader(self._objects, PARTS + name, name))

    def remove(self, names: list[str], *, durable: bool) -> None:
        for name in names:
            self._objects.remove(PARTS + name)

    def read_manifest(self) -> bytes | None:
        self._manifest = self._objects.get(MANIFEST)
        return self._manifest and self._manifest.data

    def replace_manifest(self, data: bytes) -> None:
        lease = self._held
        old = self._manifest
        try:
            etag = write_object(
                self._objects,
                MANIFEST,
                data,
                match=old.etag if old else None,
                former=old.data if old else None,
            )
        except ConflictError:
            raise lease.lost() from None
        self._manifest = Stored(data, etag, 0.0)

    def journals(self) -> list[int]:
        if not self._objects.may_list():
            return []
        matches = (_JOURNAL.fullmatch(name) for name, _ in self._objects.names("journal-"))
        return sorted(int(match[1]) for match in matches if match)

    def read_journal(self, generation: int) -> bytes | None:
        found = self._objects.get(_journal(generation))
        if found is None:
            self._journals.pop(generation, None)
            return None
        self._journals[generation] = (found.data, found.etag)
        return found.data

    def append_journal(self, generation: int, line: bytes) -> None:
        data, _ = self._journals.get(generation, (b"", None))
        self._replace_journal(generation, data + line)

    def _replace_journal(self, generation: int, data: bytes) -> None:
        lease = self._held
        former, match = self._journals.get(generation, (None, None))
        try:
            etag = write_object(
                self._objects, _journal(generation), data, match=match, former=former
            )
        except ConflictError:
            raise lease.lost() from None
        self._journals[generation] = (data, etag)
        if match is None and self._objects.etag(MANIFEST) != (self._manifest or _NONE).etag:
            # Another run began this journal, folded it into the manifest and removed it.
            self.remove_journal(generation)
            raise lease.lost()

    def remove_journal(self, generation: int) -> None:
        self._journals.pop(generation, None)
        self._objects.remove(_journal(generation))


def _journal(generation: int) -> str:
    return f"journal-{generation:08d}"
