"""How to reach a server, which source and sink share, and the options of the `cloud` source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from lgx import Config, Secret, option

__all__ = ["CloudConfig", "CloudSourceConfig"]

_PAGE = Meta(
    description="Steps of history in one answer at most; fewer where steps are large.",
    ge=1,
    le=1000,
)
_SECONDS = Meta(
    description="Seconds that the server may be silent before a request counts as failed.", gt=0
)
_ANSWER = Meta(description="MiB that one answer may have; a larger one fails its thread.", ge=1)


_URL = option(
    "Address of the server, with its path prefix if it has one.",
    example="https://my-agent-0a1b2c.us.langgraph.app",
)


class CloudConfig(Config, frozen=True, kw_only=True):
    """How to reach a server.

    Attributes:
        role: which end of a run this is: part of the names of its options.
        key_variable: where its key is looked for first.
    """

    role: ClassVar[Literal["source", "sink"]]
    key_variable: ClassVar[str]

    url: Annotated[str, _URL]
    api_key: Annotated[Secret | None, option("Key for x-api-key.")] = None
    headers: Annotated[
        dict[str, Secret],
        option("Headers to send with each request; the values are never shown."),
    ] = msgspec.field(default_factory=dict)
    auth_scheme: Annotated[
        Literal["langsmith"] | None,
        option(
            "`langsmith` sends x-auth-scheme: langsmith, with which a deployment that has "
            "custom authentication accepts its owner's LangSmith key."
        ),
    ] = None
    timeout: Annotated[float, _SECONDS] = 120.0
    max_answer: Annotated[int, _ANSWER] = 512
    insecure_key: Annotated[
        bool, option("Send the key over http:// to another machine, readable on the way.")
    ] = False


class CloudSourceConfig(CloudConfig, frozen=True, kw_only=True):
    role: ClassVar[Literal["source", "sink"]] = "source"
    key_variable = "LANGSMITH_SOURCE_API_KEY"

    api_key: Annotated[
        Secret | None,
        option(
            "Key for x-api-key. Without it: LANGSMITH_SOURCE_API_KEY, then, for LangChain's "
            "own domains and this machine only, LANGSMITH_API_KEY and LANGGRAPH_API_KEY.",
            example="env:LANGSMITH_SOURCE_API_KEY",
        ),
    ] = None
    headers: Annotated[
        dict[str, Secret],
        option(
            "Headers to send with each request; the values are never shown.",
            example="authorization=env:SOURCE_TOKEN",
        ),
    ] = msgspec.field(default_factory=dict)
    runs: Annotated[bool, option("Also read the run records of each thread.")] = False
    ttl: Annotated[
        bool | None,
        option(
            "Ask for each thread's time to live (TTL), at one more request a thread; by default "
            "only where one of the first 16 threads has one."
        ),
    ] = None
    page_size: Annotated[int, _PAGE] = 1000
    check_count: Annotated[
        bool,
        option("Fail when the server counts more threads than it lists."),
    ] = True
