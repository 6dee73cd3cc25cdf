"""The tables of a store as PostgresStore's own `setup()` makes them."""

from __future__ import annotations

from lgx_plugins.checkpointers.stores.vectors import Type
from lgx_plugins.postgres.names import Names, quoted

__all__ = ["MIGRATIONS", "TYPES", "extension", "store_tables", "vector_tables"]

MIGRATIONS = 4
"""How many migrations of PostgresStore lead to the table of items; it counts them from 0."""

TYPES: dict[Type, str] = {"float32": "vector", "float16": "halfvec"}
"""What pgvector calls them."""


def store_tables(n: Names) -> tuple[str, ...]:
    """Statements for a schema without them: what all migrations together lead to, and a note that
    none of them is left to do."""
    return (
        f"CREATE TABLE IF NOT EXISTS {n('store_migrations')} (v INTEGER PRIMARY KEY)",
        f"""CREATE TABLE {n("store")} (
            prefix TEXT NOT NULL,
            key TEXT NOT NULL,
            value JSONB NOT NULL,
            created_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
            updated_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
            expires_at TIMESTAMPTZ,
            ttl_minutes INT,
            PRIMARY KEY (prefix, key)
        )""",
        f"CREATE INDEX {n.bare('store_prefix_idx')} ON {n('store')} (prefix text_pattern_ops)",
        f"""CREATE INDEX {n.bare("idx_store_expires_at")} ON {n("store")} (expires_at)
            WHERE expires_at IS NOT NULL""",
        f"INSERT INTO {n('store_migrations')} (v) SELECT generate_series(0, {MIGRATIONS - 1})",
    )


def extension(n: Names) -> str:
    """The statement that makes the types of vectors known."""
    return f"CREATE EXTENSION IF NOT EXISTS vector SCHEMA {quoted(n.schema)}"


def vector_tables(n: Names, types: str, type_: Type, dimensions: int) -> tuple[str, ...]:
    """Statements for the table of vectors. How they are indexed only the agent's configuration
    says, so that migration is left for its `setup()`.

    Args:
        types: the schema that has the types of vectors.
    """
    embedding = f"{quoted(types)}.{TYPES[type_]}({dimensions})"
    return (
        f"CREATE TABLE IF NOT EXISTS {n('vector_migrations')} (v INTEGER PRIMARY KEY)",
        f"""CREATE TABLE {n("store_vectors")} (
            prefix TEXT NOT NULL,
            key TEXT NOT NULL,
            field_name TEXT NOT NULL,
            embedding {embedding},
            created_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
            updated_at TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (prefix, key, field_name),
            FOREIGN KEY (prefix, key) REFERENCES {n("store")} (prefix, key) ON DELETE CASCADE
        )""",
        f"INSERT INTO {n('vector_migrations')} (v) VALUES (0), (1) ON CONFLICT DO NOTHING",
    )
