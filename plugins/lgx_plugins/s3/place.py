"""Where in a bucket an archive lies: its url, taken apart and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lgx import UsageError

__all__ = ["MANIFEST", "PARTS", "Place", "parse_url"]

MANIFEST = "manifest.json"
PARTS = "parts/"

_KEY_BYTES = 1024  # more than that no store takes; some take it and lose the object
_LONGEST = 64  # of the keys below a prefix
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_ACCESS_POINT = re.compile(r"(arn:[^/]+:accesspoint/[^/]+)(?:/(.*))?", re.DOTALL)
_SECRET = re.compile(r"^[^/]*//[^/]*@|[?&](x-amz-[a-z-]+|signature)=", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Place:
    """A bucket and what keys in it begin with: nothing, or a text that ends with `/`."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        """The key of an object of the archive. `name` is never made of what data says."""
        key = self.prefix + name
        assert len(key.encode()) <= _KEY_BYTES, key
        return key


def parse_url(url: str) -> Place:
    """What `s3://BUCKET/PREFIX` names.

    Slashes at the prefix's ends, and more than one in a row, are dropped: where they count at
    all they are typing errors. Everything else is taken as it is written.

    Raises:
        UsageError: it is none, or no archive can lie there.
    """
    if _SECRET.search(url):
        raise UsageError(
            "the bucket's url holds credentials or a signature; write it as s3://BUCKET/PREFIX, "
            "and give credentials to boto3 by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a "
            "profile"
        )
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() != "s3":
        raise UsageError(f"{url!r} is not the url of a bucket; write it as s3://BUCKET/PREFIX")
    access_point = _ACCESS_POINT.fullmatch(rest)
    if access_point:
        bucket, path = access_point[1], access_point[2] or ""
    else:
        bucket, _, path = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise UsageError(
                f"{url!r} names no bucket: {bucket!r} cannot be one's name; write it as "
                "s3://BUCKET/PREFIX"
            )
    odd = _UNPRINTABLE.search(path)
    if odd:
        raise UsageError(
            f"the prefix of {url!r} holds {odd[0]!r}, which stores do not keep; leave it out"
        )
    names = [name for name in path.split("/") if name]
    if "." in names or ".." in names:
        raise UsageError(
            f"the prefix of {url!r} holds '.' or '..', which some programs follow and a store does "
            "not; write the prefix itself"
        )
    prefix = "".join(f"{name}/" for name in names)
    size = len(prefix.encode())
    if size > _KEY_BYTES - _LONGEST:
        raise UsageError(
            f"the prefix of 's3://{bucket}/…' has {size} bytes of UTF-8, and keys may have "
            f"{_KEY_BYTES}: choose one of {_KEY_BYTES - _LONGEST} at most"
        )
    return Place(bucket=bucket, prefix=prefix)
