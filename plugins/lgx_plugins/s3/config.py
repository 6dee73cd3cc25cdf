"""Options of the source and the sink. Credentials are none of them: boto3 finds these itself."""

from __future__ import annotations

from typing import Annotated, Literal

from lgx import Config, option

__all__ = ["S3Config", "S3SinkConfig", "S3SourceConfig"]


class S3Config(Config, frozen=True, kw_only=True):
    url: Annotated[
        str, option("Bucket and prefix: s3://BUCKET/PREFIX.", example="s3://my-bucket/threads")
    ]
    endpoint_url: Annotated[
        str | None,
        option("Another store than Amazon's, such as MinIO.", example="https://minio.example:9000"),
    ] = None
    region: Annotated[str | None, option("The bucket's region.", example="eu-central-1")] = None
    profile: Annotated[str | None, option("A profile of ~/.aws/config.")] = None
    addressing_style: Annotated[
        Literal["auto", "path", "virtual"],
        option("Where the bucket's name goes: into the path or the host's name."),
    ] = "auto"
    attempts: Annotated[
        int, option("How often a request is tried, with growing waits.", at_least=1)
    ] = 10


class S3SourceConfig(S3Config, frozen=True, kw_only=True):
    origin: Annotated[
        str | None,
        option("Which source's threads to read, where the archive holds several."),
    ] = None


class S3SinkConfig(S3Config, frozen=True, kw_only=True):
    level: Annotated[int, option("zstd's level, 1 (fast) to 19 (small).", at_least=1)] = 9
    part_size: Annotated[
        int, option("Bytes of records in one part, before compression.", at_least=1 << 16)
    ] = 64 << 20
    request_size: Annotated[
        int,
        option("Bytes of one request of a multipart upload, 5 MiB at least.", at_least=5 << 20),
    ] = 8 << 20
    uploads: Annotated[int, option("How many requests of an upload run at once.", at_least=1)] = 4
    checksum: Annotated[
        Literal["sha256", "crc32", "md5"],
        option("What each upload bears; md5 for stores that know no other."),
    ] = "sha256"
    storage_class: Annotated[
        str | None, option("Storage class of the parts.", example="STANDARD_IA")
    ] = None
    sse: Annotated[
        Literal["AES256", "aws:kms", "aws:kms:dsse"] | None,
        option("Encryption by the store; without it the bucket's own setting holds."),
    ] = None
    kms_key_id: Annotated[str | None, option("The KMS key, with aws:kms.")] = None
    lock: Annotated[
        Literal["wait", "fail"],
        option("What to do while another run writes to this archive: wait for its end, or stop."),
    ] = "fail"
    conditional_writes: Annotated[
        bool,
        option("Rely on If-Match; without it nothing keeps two runs at one moment apart."),
    ] = True
