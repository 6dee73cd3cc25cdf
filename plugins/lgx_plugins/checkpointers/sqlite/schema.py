"""The tables as SqliteSaver's own `setup()` makes them, and the one of lgx beside them."""

from __future__ import annotations

from lgx_plugins.checkpointers.rows.marks import TABLE

__all__ = ["MARKS", "SAVER_TABLES"]

SAVER_TABLES = (
    """CREATE TABLE IF NOT EXISTS checkpoints (
                thread_id TEXT NOT NULL,
                checkpoint_ns TEXT NOT NULL DEFAULT '',
                checkpoint_id TEXT NOT NULL,
                parent_checkpoint_id TEXT,
                type TEXT,
                checkpoint BLOB,
                metadata BLOB,
                PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
            )""",
    """CREATE TABLE IF NOT EXISTS writes (
                thread_id TEXT NOT NULL,
                checkpoint_ns TEXT NOT NULL DEFAULT '',
                checkpoint_id TEXT NOT NULL,
                task_id TEXT NOT NULL,
                task_path TEXT NOT NULL DEFAULT '',
                idx INTEGER NOT NULL,
                channel TEXT NOT NULL,
                type TEXT,
                value BLOB,
                PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
            )""",
)
"""Statements, indented as SqliteSaver has them: SQLite keeps their text."""

MARKS = f"""CREATE TABLE IF NOT EXISTS {TABLE} (
    thread_id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    version TEXT,     -- these two: NULL where the copy is not whole
    fingerprint TEXT,
    checkpoints INTEGER NOT NULL,
    written TEXT NOT NULL
)"""
