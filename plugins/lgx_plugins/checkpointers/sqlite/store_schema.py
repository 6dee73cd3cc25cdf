"""The tables of a store as SqliteStore's own `setup()` makes them."""

from __future__ import annotations

__all__ = ["MIGRATIONS", "STORE_TABLES", "VECTOR_TABLES"]

MIGRATIONS = 5
"""How many migrations of SqliteStore lead to the table of items; it counts them from 0."""

STORE_TABLES = (
    "CREATE TABLE IF NOT EXISTS store_migrations (v INTEGER PRIMARY KEY)",
    """CREATE TABLE store (
    prefix text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    expires_at TIMESTAMP,
    ttl_minutes REAL,
    PRIMARY KEY (prefix, key)
)""",
    "CREATE INDEX store_prefix_idx ON store (prefix)",
    "CREATE INDEX idx_store_expires_at ON store (expires_at) WHERE expires_at IS NOT NULL",
    *(f"INSERT INTO store_migrations (v) VALUES ({v})" for v in range(MIGRATIONS)),
)
"""Statements for a file without them: what all migrations together lead to, and a note that none
of them is left to do."""

VECTOR_TABLES = (
    "CREATE TABLE IF NOT EXISTS vector_migrations (v INTEGER PRIMARY KEY)",
    """CREATE TABLE store_vectors (
    prefix text NOT NULL,
    key text NOT NULL,
    field_name text NOT NULL,
    embedding BLOB,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (prefix, key, field_name),
    FOREIGN KEY (prefix, key) REFERENCES store(prefix, key) ON DELETE CASCADE
)""",
    "INSERT OR IGNORE INTO vector_migrations (v) VALUES (0)",
)
