"""An S3 server for tests: moto's, in a process of its own, or another one by LGX_TEST_S3."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

__all__ = ["S3Process"]

_SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%s" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
# What else boto3, and moto, would heed on a developer's machine.
_FOREIGN = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION"),
)
_KEYS = {
    "AWS_ACCESS_KEY_ID": "lgx-test",
    "AWS_SECRET_ACCESS_KEY": "lgx-test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Process:
    """Serves S3 until the block ends or this process does; needs `moto[server]`.

    with S3Process() as server:
        bucket = server.new_bucket()
        lgx.run(source, lgx.use("s3", url=f"s3://{bucket}/a", endpoint_url=server.endpoint_url))

    With LGX_TEST_S3, the endpoint of another server, nothing is started: credentials are then
    those that boto3 finds, and buckets are emptied and removed at the end. Note that moto takes
    wrong checksums, keys that are too long, and any credentials.

    Attributes:
        endpoint_url: where it listens.
        environ: variables that a process needs to use it, credentials among them.
    """

    def __init__(self) -> None:
        self.endpoint_url = os.environ.get("LGX_TEST_S3", "")
        self.environ: dict[str, str] = {}
        self._given = bool(self.endpoint_url)
        self._process: subprocess.Popen[bytes] | None = None
        self._own: Any = None
        self._buckets: list[str] = []
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> Self:
        if not self._given:
            self.environ |= _KEYS
        self.environ["AWS_DEFAULT_REGION"] = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        foreign = () if self._given else _FOREIGN
        self._before = {name: os.environ.get(name) for name in (*foreign, *self.environ)}
        for name in foreign:
            os.environ.pop(name, None)
        os.environ.update(self.environ)
        try:
            if not self._given:
                self.endpoint_url = self._start()
        except BaseException:
            self._restore()
            raise
        return self

    def _start(self) -> str:
        command = [sys.executable, "-c", _SERVER]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        for line in self._process.stdout:  # moto itself may say something first
            if line.startswith(b"http://"):
                return line.decode().strip()
        self._end()
        raise RuntimeError("moto's server did not start; its own message is above")

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._given:
                for bucket in list(self._buckets):
                    self.remove_bucket(bucket)
        finally:
            own, self._own = self._own, None
            if own is not None:
                own.close()
            self._end()
            self._restore()

    def _restore(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()

    def client(self) -> Any:
        """A client of boto3's, closed by the caller: a bare one, for looking behind lgx's back."""
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint_url)

    def _client(self) -> Any:
        """One that is kept: making one takes as long as several requests."""
        if self._own is None:
            self._own = self.client()
        return self._own

    def new_bucket(self) -> str:
        """The name of a new, empty bucket."""
        bucket = f"lgx-test-{secrets.token_hex(8)}"
        client = self._client()
        client.create_bucket(Bucket=bucket)
        self._buckets.append(bucket)
        return bucket

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """All objects under a prefix, whole, by their keys without it; without those that go
        while they are being read."""
        client = self._client()
        found = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                with contextlib.suppress(client.exceptions.NoSuchKey):
                    body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"]
                    found[item["Key"].removeprefix(prefix)] = body.read()
        return found

    def remove_bucket(self, bucket: str) -> None:
        """Empties and removes a bucket."""
        client = self._client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=bucket, Key=item["Key"])
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            client.abort_multipart_upload(
                Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
        client.delete_bucket(Bucket=bucket)
        if bucket in self._buckets:
            self._buckets.remove(bucket)
