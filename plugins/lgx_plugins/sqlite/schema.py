"""Version 1 of the schema."""

from __future__ import annotations

from lgx_plugins.sqlite.messages import messages_view
from lgx_plugins.sqlite.names import Names

__all__ = ["tables_and_triggers"]


def tables_and_triggers(n: Names) -> tuple[str, ...]:
    """The tables, their indexes, the view of messages, and triggers that notice edits."""
    return (*_threads(n), *_parts(n), *_extras(n), messages_view(n), *_edits(n))


def _threads(n: Names) -> tuple[str, ...]:
    return (
        f"""CREATE TABLE {n("threads")} (
            id INTEGER PRIMARY KEY,
            thread_id TEXT NOT NULL,
            status TEXT,
            created_at TEXT,
            updated_at TEXT,
            source_url TEXT NOT NULL,
            exported_at TEXT NOT NULL,
            source_version TEXT,   -- these three: NULL where the copy is not whole
            fingerprint TEXT,
            checkpoints INTEGER,
            size INTEGER,          -- bytes of all its records
            revision INTEGER NOT NULL DEFAULT 0,  -- counts edits by others than lgx
            metadata TEXT,         -- JSON, as all columns that follow
            config TEXT,
            interrupts TEXT,
            "values" TEXT,
            extra TEXT,            -- other fields; the JSON null where there is no record of it
            UNIQUE (thread_id, source_url)
        )""",
        f"CREATE INDEX {n('threads_by_update')} ON {n('threads')} (updated_at)",
        f"CREATE INDEX {n('threads_by_status')} ON {n('threads')} (status)",
        f"CREATE INDEX {n('threads_by_source')} ON {n('threads')} (source_url)",
        f"""CREATE TABLE {n("exports")} (
            id INTEGER PRIMARY KEY,
            source_url TEXT NOT NULL,
            started_at TEXT NOT NULL,
            finished_at TEXT,      -- NULL where the run did not come to its end
            fingerprint TEXT NOT NULL,
            versions TEXT NOT NULL,
            threads INTEGER NOT NULL DEFAULT 0,
            checkpoints INTEGER NOT NULL DEFAULT 0
        )""",
    )


def _parts(n: Names) -> tuple[str, ...]:
    thread = f"""thread INTEGER NOT NULL
                REFERENCES {n("threads")} (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"""
    return (
        f"""CREATE TABLE {n("checkpoints")} (
            id INTEGER PRIMARY KEY,
            {thread},
            position INTEGER NOT NULL,  -- in the thread: parents before children
            thread_id TEXT NOT NULL,
            checkpoint_ns TEXT NOT NULL,
            checkpoint_id TEXT NOT NULL,
            parent_checkpoint_id TEXT,
            created_at TEXT,
            next TEXT,                  -- JSON, as all columns that follow
            checkpoint_data TEXT,
            metadata TEXT,
            interrupts TEXT,
            tasks TEXT,
            "values" TEXT,
            extra TEXT,
            UNIQUE (thread_id, checkpoint_ns, checkpoint_id, thread)
        )""",
        f"CREATE INDEX {n('checkpoints_in_order')} ON {n('checkpoints')} (thread, position)",
        f"""CREATE TABLE {n("runs")} (
            id INTEGER PRIMARY KEY,
            {thread},
            position INTEGER NOT NULL,
            thread_id TEXT NOT NULL,
            run_id TEXT NOT NULL,
            created_at TEXT,
            status TEXT,
            extra TEXT,
            UNIQUE (thread_id, run_id, thread)
        )""",
        f"CREATE INDEX {n('runs_in_order')} ON {n('runs')} (thread, position)",
        f"""CREATE TABLE {n("records")} (
            id INTEGER PRIMARY KEY,
            thread INTEGER
                REFERENCES {n("threads")} (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
            position INTEGER NOT NULL,
            source_url TEXT NOT NULL,
            thread_id TEXT,
            kind TEXT NOT NULL,
            body TEXT NOT NULL
        )""",
        f"CREATE INDEX {n('records_in_order')} ON {n('records')} (thread, position)",
        f"CREATE INDEX {n('records_by_kind')} ON {n('records')} (kind)",
    )


def _extras(n: Names) -> tuple[str, ...]:
    return (
        f"""CREATE TABLE {n("assistants")} (
            id INTEGER PRIMARY KEY,
            source_url TEXT NOT NULL,
            assistant_id TEXT NOT NULL,
            version INTEGER NOT NULL,
            latest INTEGER NOT NULL,
            graph_id TEXT,
            extra TEXT,
            UNIQUE (source_url, assistant_id, version)
        )""",
        f"""CREATE TABLE {n("crons")} (
            id INTEGER PRIMARY KEY,
            source_url TEXT NOT NULL,
            cron_id TEXT NOT NULL,
            extra TEXT,
            UNIQUE (source_url, cron_id)
        )""",
        f"""CREATE TABLE {n("store_items")} (
            id INTEGER PRIMARY KEY,
            source_url TEXT NOT NULL,
            namespace TEXT NOT NULL,  -- a JSON array of labels
            key TEXT NOT NULL,
            created_at TEXT,
            updated_at TEXT,
            value TEXT,
            extra TEXT,
            UNIQUE (source_url, namespace, key)
        )""",
    )


def _edits(n: Names) -> tuple[str, ...]:
    """Triggers that raise a thread's revision whenever somebody else changes its rows.

    lgx says in `info` that it is writing, in the same transaction: nobody else sees that.
    """
    quiet = f"(SELECT 1 FROM {n('info')} WHERE key = 'writing') IS NULL"
    raise_revision = f"UPDATE {n('threads')} SET revision = revision + 1 WHERE id"
    statements = [
        f"""CREATE TRIGGER {n("threads_edited")} AFTER UPDATE OF
            thread_id, status, created_at, updated_at, source_url, metadata, config,
            interrupts, "values", extra ON {n("threads")} WHEN {quiet}
            BEGIN {raise_revision} = NEW.id; END"""
    ]
    for table in ("checkpoints", "runs", "records"):
        statements += [
            f"""CREATE TRIGGER {n(f"{table}_{word}")} AFTER {event} ON {n(table)} WHEN {quiet}
            BEGIN {raise_revision} {which}; END"""
            for word, event, which in (
                ("added", "INSERT", "= NEW.thread"),
                ("edited", "UPDATE", "IN (OLD.thread, NEW.thread)"),
                ("removed", "DELETE", "= OLD.thread"),
            )
        ]
    return tuple(statements)
