"""The options of the `cloud` sink."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lgx import Secret, option
from lgx_plugins.cloud.config import CloudConfig

__all__ = ["CloudSinkConfig"]

_BODY = Meta(
    description="MiB of one request at most; servers refuse more than 300. A longer thread is "
    "created with its first steps and continued.",
    ge=1,
    le=290,
)


class CloudSinkConfig(CloudConfig, frozen=True, kw_only=True):
    role = "sink"
    key_variable = "LANGSMITH_TARGET_API_KEY"

    api_key: Annotated[
        Secret | None,
        option(
            "Key for x-api-key. Without it: LANGSMITH_TARGET_API_KEY, then, for LangChain's "
            "own domains and this machine only, LANGSMITH_API_KEY and LANGGRAPH_API_KEY.",
            example="env:LANGSMITH_TARGET_API_KEY",
        ),
    ] = None
    headers: Annotated[
        dict[str, Secret],
        option(
            "Headers to send with each request; the values are never shown.",
            example="authorization=env:TARGET_TOKEN",
        ),
    ] = msgspec.field(default_factory=dict)
    map_graph: Annotated[
        dict[str, str],
        option(
            "Give threads and assistants of one graph to another of the target's.",
            example="agent=agent_v2",
        ),
    ] = msgspec.field(default_factory=dict)
    on_conflict: Annotated[
        Literal["fail", "skip", "replace"],
        option(
            "What to do with a thread that stands there with other content: fail lists it as "
            "failed, skip leaves it, replace deletes it first."
        ),
    ] = "fail"
    verify: Annotated[
        Literal["all", "sample", "none"],
        option(
            "Which threads to read back and compare, checkpoint by checkpoint: all, one in "
            "twenty, or none."
        ),
    ] = "all"
    provenance: Annotated[
        bool,
        option(
            "Keep each checkpoint's original id, time and run id in the thread's metadata; the "
            "server gives new ones."
        ),
    ] = False
    enable_crons: Annotated[
        bool, option("Create crons as they were; else they are created disabled.")
    ] = False
    body_size: Annotated[int, _BODY] = 4
