"""The options of the `cloud` sink, and of the source that reads what it wrote."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lgx import Secret, option
from lgx_plugins.cloud.config import CloudConfig, CloudSourceConfig

__all__ = ["CloudSinkConfig", "CloudTargetConfig"]

_KEY_VARIABLE = "LANGSMITH_TARGET_API_KEY"
_KEY = option(
    "Key for x-api-key. Without it: LANGSMITH_TARGET_API_KEY, then, for LangChain's "
    "own domains and this machine only, LANGSMITH_API_KEY and LANGGRAPH_API_KEY.",
    example="env:LANGSMITH_TARGET_API_KEY",
)
_HEADERS = option(
    "Headers to send with each request; the values are never shown.",
    example="authorization=env:TARGET_TOKEN",
)

_BODY = Meta(
    description="MiB of steps that are sent together, of which there are 200 and 8 MiB at most; "
    "what follows is sent with other requests. A larger step goes alone: servers take 300 MiB.",
    ge=1,
    le=290,
)


class CloudSinkConfig(CloudConfig, frozen=True, kw_only=True):
    role = "sink"
    key_variable = _KEY_VARIABLE

    api_key: Annotated[Secret | None, _KEY] = None
    headers: Annotated[dict[str, Secret], _HEADERS] = msgspec.field(default_factory=dict)
    map_graph: Annotated[
        dict[str, str],
        option(
            "Give threads and assistants of one graph to another of the target's.",
            example="agent=agent_v2",
        ),
    ] = msgspec.field(default_factory=dict)
    graph_id: Annotated[
        str | None,
        option(
            "The target's graph for threads whose metadata names none, as a checkpointer's "
            "mostly do not.",
            example="agent",
        ),
    ] = None
    on_conflict: Annotated[
        Literal["fail", "skip", "replace"],
        option(
            "What to do with a thread that stands there with other content: fail lists it as "
            "failed, skip leaves it, replace deletes it first. A thread that has not changed at "
            "the source since it was copied is looked at only with --full."
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


class CloudTargetConfig(CloudSourceConfig, frozen=True, kw_only=True):
    """Of the source where it reads a target: with the target's key, never the source's."""

    role = "sink"
    key_variable = _KEY_VARIABLE

    api_key: Annotated[Secret | None, _KEY] = None
    headers: Annotated[dict[str, Secret], _HEADERS] = msgspec.field(default_factory=dict)
