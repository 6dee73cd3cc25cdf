"""Options of the source and the sink."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from lgx import Config, Secret, option

__all__ = ["PostgresConfig", "PostgresSinkConfig", "PostgresSourceConfig", "PostgresTargetConfig"]

_DSN = (
    "Where the database is: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; what it leaves out "
    "comes from PGHOST, PGPASSWORD, ~/.pgpass and the like."
)
_EXAMPLE = "env:DATABASE_URL"


class PostgresConfig(Config, frozen=True, kw_only=True):
    dsn: Annotated[Secret, option(_DSN, example=_EXAMPLE)]
    schema: Annotated[str, option("The schema that holds the tables.")] = "public"
    table_prefix: Annotated[str, option("Begins the name of each table.")] = "langgraph_"
    connections: Annotated[
        int, option("How many connections to use at once.", at_least=1), Meta(le=64)
    ] = 4


class PostgresSinkConfig(PostgresConfig, frozen=True, kw_only=True):
    dsn: Annotated[Secret, option(_DSN, example=_EXAMPLE, env="DATABASE_URL")]
    layout: Annotated[
        Literal["plain", "dedup"] | None,
        option(
            "Of new tables. plain: values in the rows themselves; dedup: each different value "
            "once. Without it: what the tables have, and plain for new ones."
        ),
    ] = None
    lock: Annotated[
        Literal["wait", "fail"],
        option("What to do while another run writes to these tables: wait for its end, or stop."),
    ] = "fail"


class PostgresSourceConfig(PostgresConfig, frozen=True, kw_only=True):
    origin: Annotated[
        str | None,
        option("Read the threads of this source alone, where several were merged."),
    ] = None


class PostgresTargetConfig(PostgresSourceConfig, frozen=True, kw_only=True):
    """Of the source where it reads what the sink wrote: with the sink's default."""

    dsn: Annotated[Secret, option(_DSN, example=_EXAMPLE, env="DATABASE_URL")]
