"""The tables as PostgresSaver's own `setup()` makes them."""

from __future__ import annotations

from lgx_plugins.postgres.names import Names

__all__ = ["MIGRATIONS", "saver_tables"]

MIGRATIONS = 10
"""How many migrations of PostgresSaver lead to these tables; it counts them from 0."""


def saver_tables(n: Names) -> tuple[str, ...]:
    """Statements for an empty schema: what all of its migrations together lead to, in the order
    of its columns, and a note that none of them is left to do."""
    return (
        f"CREATE TABLE {n('checkpoint_migrations')} (v INTEGER PRIMARY KEY)",
        f"""CREATE TABLE {n("checkpoints")} (
            thread_id TEXT NOT NULL,
            checkpoint_ns TEXT NOT NULL DEFAULT '',
            checkpoint_id TEXT NOT NULL,
            parent_checkpoint_id TEXT,
            type TEXT,
            checkpoint JSONB NOT NULL,
            metadata JSONB NOT NULL DEFAULT '{{}}',
            PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
        )""",
        f"""CREATE TABLE {n("checkpoint_blobs")} (
            thread_id TEXT NOT NULL,
            checkpoint_ns TEXT NOT NULL DEFAULT '',
            channel TEXT NOT NULL,
            version TEXT NOT NULL,
            type TEXT NOT NULL,
            blob BYTEA,
            PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
        )""",
        f"""CREATE TABLE {n("checkpoint_writes")} (
            thread_id TEXT NOT NULL,
            checkpoint_ns TEXT NOT NULL DEFAULT '',
            checkpoint_id TEXT NOT NULL,
            task_id TEXT NOT NULL,
            idx INTEGER NOT NULL,
            channel TEXT NOT NULL,
            type TEXT,
            blob BYTEA NOT NULL,
            task_path TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
        )""",
        *(
            f"CREATE INDEX {n.bare(f'{table}_thread_id_idx')} ON {n(table)} (thread_id)"
            for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
        ),
        f"INSERT INTO {n('checkpoint_migrations')} (v) SELECT generate_series(0, {MIGRATIONS - 1})",
    )
