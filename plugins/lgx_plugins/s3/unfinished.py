"""Uploads of parts that were begun and never completed: nobody sees them, and they cost money."""

from __future__ import annotations

from functools import partial
from typing import Any

from lgx_plugins.s3.failures import code_of, status_of
from lgx_plugins.s3.objects import Objects
from lgx_plugins.s3.place import PARTS

__all__ = ["abort_upload", "find_uploads"]


def find_uploads(objects: Objects) -> list[tuple[str, str]]:
    """Unfinished uploads of parts: key and id of each.

    Raises:
        DeniedError: they may not be listed.
    """
    prefix = objects.place.key(PARTS)
    marker: dict[str, str] = {}
    found = []
    while True:
        where = {"Bucket": objects.place.bucket, "Prefix": prefix, **marker}
        page = objects.ask("find unfinished uploads", partial(_page, objects, where))
        found += [
            (upload["Key"], upload["UploadId"])
            for upload in page.get("Uploads", ())
            if "/" not in upload["Key"].removeprefix(prefix)  # else another archive's
        ]
        if not page.get("IsTruncated"):
            return found
        marker = {
            "KeyMarker": page["NextKeyMarker"],
            "UploadIdMarker": page["NextUploadIdMarker"],
        }


def _page(objects: Objects, where: dict[str, str]) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        page: dict[str, Any] = objects.client.list_multipart_uploads(**where)
    except ClientError as error:
        if status_of(error) in (405, 501):  # a store that does not know this request
            return {}
        raise
    return page


def abort_upload(objects: Objects, key: str, upload: str) -> None:
    """Ends an unfinished upload; what it sent is gone. One that has ended is passed."""
    from botocore.exceptions import ClientError

    def call() -> None:
        try:
            objects.client.abort_multipart_upload(
                Bucket=objects.place.bucket, Key=key, UploadId=upload
            )
        except ClientError as error:
            if code_of(error) != "NoSuchUpload" and status_of(error) != 404:
                raise

    objects.ask("abort an upload", call)
