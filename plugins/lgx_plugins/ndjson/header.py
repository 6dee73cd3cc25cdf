"""The first line: what the file is, and where its threads come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from lgx import UsageError

__all__ = ["VERSION", "Header", "check_header"]

VERSION = 1


class Header(Struct, frozen=True, kw_only=True, tag_field="kind", tag="header"):
    """What `lgx-ndjson` files begin with.

    Attributes:
        version: of the format; raised when an older lgx could not read the file.
        lgx: the version of lgx that wrote the file.
        source: identity of the place that the threads came from.
        encryption: how the lines that follow are encrypted; null where they are not.
    """

    format: Literal["lgx-ndjson"] = "lgx-ndjson"
    version: Annotated[int, Meta(ge=1)] = VERSION
    lgx: str = ""
    source: str | None = None
    exported_at: str | None = None
    encryption: Any = None


def check_header(line: bytes, name: str) -> Header:
    """The header that a line holds.

    Raises:
        UsageError: it is of another format, or of a version that this lgx does not read.
    """
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"the header of {name} is not one of lgx-ndjson: {str(error).lower()}; was the file "
            "written by another program?"
        ) from error
    if header.version > VERSION:
        raise UsageError(
            f"{name} has version {header.version} of lgx-ndjson, and this lgx reads up to "
            f"{VERSION}; upgrade lgx"
        )
    if header.encryption is not None:
        raise UsageError(f"{name} is encrypted, which this lgx does not read; upgrade lgx")
    return header
