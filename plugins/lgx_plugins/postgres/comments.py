"""What tables and columns are for whose names do not say it: shown by `\\d+`."""

from __future__ import annotations

from collections.abc import Iterator

from lgx_plugins.postgres.names import Names, quoted

__all__ = ["comments", "lease_comment"]

_EXACT = "texts of cells, by column, that the types of the columns changed; NULL where none"
_DIGEST = "of the record as it came: tells a run what it need not write again"
_EXTRA = "fields without a column of their own"
_POSITION = "place in the thread; parents come before children"

_TABLES = {
    "threads": "one row for each thread of each source",
    "runs": "one row for each run of a thread",
    "records": "records of other kinds, whole",
    "exports": "one row for each run of lgx that wrote here; finished_at is NULL where it did not "
    "come to its end",
    "info": "of lgx: the name of this copy, and its layout",
    "migrations": "of lgx: versions of this schema",
}

_COLUMNS = {
    "threads": {
        "source_version": "the version of the thread that was copied; NULL where the copy is not "
        "whole: the next run reads it again",
        "fingerprint": "of the options that shaped the copy",
        "checkpoints": "how many of them the copy has; NULL where it is not whole",
        "size": "bytes of all its records as JSON",
        "extra": f"{_EXTRA}; the JSON null where the source had no record of the thread itself",
        "exact": _EXACT,
        "digest": _DIGEST,
    },
    "checkpoints": {
        "thread": "id of the row in the table of threads",
        "position": _POSITION,
        "checkpoint_data": "the object checkpoint of the state, as the API gives it",
        "extra": _EXTRA,
        "exact": _EXACT,
        "digest": _DIGEST,
    },
    "runs": {"position": _POSITION, "extra": _EXTRA, "exact": _EXACT, "digest": _DIGEST},
    "records": {"position": _POSITION, "exact": _EXACT, "digest": _DIGEST},
    "assistants": {"extra": _EXTRA, "exact": _EXACT, "digest": _DIGEST},
    "crons": {"extra": _EXTRA, "exact": _EXACT, "digest": _DIGEST},
    "store_items": {"extra": _EXTRA, "exact": _EXACT, "digest": _DIGEST},
}


def comments(n: Names) -> Iterator[str]:
    """Statements, for version 1 in the plain layout."""
    for table, text in _TABLES.items():
        yield f"COMMENT ON TABLE {n(table)} IS '{text}'"
    for table, columns in _COLUMNS.items():
        for column, text in columns.items():
            yield f"COMMENT ON COLUMN {n(table)}.{quoted(column)} IS '{text}'"


def lease_comment(n: Names) -> str:
    return (
        f"COMMENT ON TABLE {n('lease')} IS 'the run of lgx that wrote last, also after its end; "
        "lgx doctor says whether one is writing now'"
    )
