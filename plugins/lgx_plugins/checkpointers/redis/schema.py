"""The search indexes of RedisSaver, as its `setup()` makes them."""

from __future__ import annotations

from lgx import Context, UsageError
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.redis.server import Command, Server

__all__ = ["create_indexes"]

_CHECKPOINTS = (
    ("thread_id", "TAG"),
    ("run_id", "TAG"),
    ("checkpoint_ns", "TAG"),
    ("checkpoint_id", "TAG"),
    ("parent_checkpoint_id", "TAG"),
    ("checkpoint_ts", "NUMERIC"),
    ("source", "TAG"),
    ("step", "NUMERIC"),
    ("has_writes", "TAG"),
)
_WRITES = (
    ("thread_id", "TAG"),
    ("checkpoint_ns", "TAG"),
    ("checkpoint_id", "TAG"),
    ("task_id", "TAG"),
    ("idx", "NUMERIC"),
    ("channel", "TAG"),
    ("type", "TAG"),
)


async def create_indexes(server: Server, keys: Keys, context: Context) -> None:
    """Makes those that are missing.

    Raises:
        UsageError: the server refuses.
    """
    there = {bytes(name) for name in await server.ask(context, "FT._LIST")}
    for prefix, fields in ((keys.checkpoint_prefix, _CHECKPOINTS), (keys.write_prefix, _WRITES)):
        if prefix.encode() in there:
            continue
        (answer,) = await server.ask_all(context, [_create(prefix, fields)])
        if isinstance(answer, Exception) and "already exists" not in str(answer):
            raise UsageError(
                f"{server.place} does not make the index {prefix!r} ({answer}); make it by "
                "RedisSaver's setup(), or correct the server"
            )


def _create(prefix: str, fields: tuple[tuple[str, str], ...]) -> Command:
    schema: list[str] = []
    for name, kind in fields:
        schema += [f"$.{name}", "AS", name, kind]
        if kind == "TAG":
            schema += ["SEPARATOR", ","]
    return (
        "FT.CREATE", prefix, "ON", "JSON", "PREFIX", "1", f"{prefix}:", "SCORE", "1.0", "SCHEMA",
        *schema,
    )  # fmt: skip
