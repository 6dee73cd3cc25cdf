"""Options of the source and the sink."""

from __future__ import annotations

from typing import Annotated

from lgx import Config, Secret, option
from lgx_plugins.checkpointers.rebuilding.options import Compare, GraphNames
from lgx_plugins.checkpointers.rows.conflicts import OnConflict
from lgx_plugins.checkpointers.rows.encryption import AesKey

__all__ = ["RedisSaverConfig", "RedisSaverSinkConfig"]


class RedisSaverConfig(Config, frozen=True, kw_only=True):
    url: Annotated[
        Secret,
        option(
            "Where the server is: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or "
            "unix://PATH?db=NUMBER.",
            example="env:REDIS_URL",
        ),
    ]
    checkpoint_prefix: Annotated[
        str, option("Begins the keys of checkpoints, as RedisSaver's checkpoint_prefix.")
    ] = "checkpoint"
    checkpoint_write_prefix: Annotated[
        str, option("Begins the keys of writes, as RedisSaver's checkpoint_write_prefix.")
    ] = "checkpoint_write"
    aes_key: AesKey = None


class RedisSaverSinkConfig(RedisSaverConfig, frozen=True, kw_only=True):
    on_conflict: OnConflict = "fail"
    graph: GraphNames = ()
    verify: Compare = "all"
    allow_lossy: Annotated[
        bool,
        option(
            "Also write threads of whose channels RedisSaver cannot read every value back as what "
            "it was; without it they fail, and the report names channels and types."
        ),
    ] = False
