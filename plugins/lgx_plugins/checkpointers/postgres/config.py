"""Options of the source and the sink."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from lgx import Config, Secret, option
from lgx_plugins.checkpointers.rebuilding.options import Compare, GraphNames
from lgx_plugins.checkpointers.rows.conflicts import OnConflict
from lgx_plugins.checkpointers.rows.encryption import AesKey
from lgx_plugins.checkpointers.stores.options import Vectors

__all__ = ["PostgresSaverConfig", "PostgresSaverSinkConfig"]

_DSN = (
    "Where the database is: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; what it leaves out "
    "comes from PGHOST, PGPASSWORD, ~/.pgpass and the like."
)


class PostgresSaverConfig(Config, frozen=True, kw_only=True):
    dsn: Annotated[Secret, option(_DSN, example="env:CHECKPOINTS_URL")]
    schema: Annotated[str, option("The schema that holds the checkpointer's tables.")] = "public"
    connections: Annotated[
        int, option("How many connections to use at once.", at_least=1), Meta(le=64)
    ] = 4
    aes_key: AesKey = None


class PostgresSaverSinkConfig(PostgresSaverConfig, frozen=True, kw_only=True):
    on_conflict: OnConflict = "fail"
    vectors: Vectors = "copy"
    graph: GraphNames = ()
    verify: Compare = "all"
    lock: Annotated[
        Literal["wait", "fail"],
        option("What to do while another run writes to these tables: wait for its end, or stop."),
    ] = "fail"
