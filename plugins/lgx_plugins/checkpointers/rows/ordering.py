"""Parents before children, for rows that come in the order of their ids.

A checkpoint's id begins with its time, so that in the order of ids parents come first by
themselves. Only those of savers that give other ids have to wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from lgx_plugins.scratch import ScratchDatabase

__all__ = ["Deferred", "Place"]

Place: TypeAlias = tuple[str, str]
"""Namespace and id: what a checkpoint is called in its thread."""

_WAITING = "CREATE TABLE waiting (n INTEGER PRIMARY KEY, ns, id, parent, UNIQUE (ns, id))"
_ORDERED = "CREATE TABLE ordered (at INTEGER PRIMARY KEY, n UNIQUE)"

# What a query walks along comes out in the order in which it was found: parents first.
_CHILDREN = """
    CROSS JOIN waiting AS p ON p.n = walk.n
    CROSS JOIN waiting AS c ON c.ns = p.ns AND c.parent = p.id
"""
_FREE = f"""
INSERT INTO ordered (n)
WITH RECURSIVE walk (n) AS (
    SELECT w.n FROM waiting AS w WHERE NOT EXISTS
        (SELECT 1 FROM waiting AS p WHERE p.ns = w.ns AND p.id = w.parent)
    UNION ALL SELECT c.n FROM walk {_CHILDREN}
)
SELECT n FROM walk
"""
_CIRCLE = f"""
INSERT INTO ordered (n)
WITH RECURSIVE walk (n) AS (VALUES (?) UNION SELECT c.n FROM walk {_CHILDREN})
SELECT n FROM walk
"""
_LEFT = "SELECT min(n) FROM waiting WHERE n > ? AND n NOT IN (SELECT n FROM ordered)"
_PARENT = (
    "SELECT p.n FROM waiting AS w CROSS JOIN waiting AS p ON p.ns = w.ns AND p.id = w.parent "
    "WHERE w.n = ?"
)
_PLACES = "SELECT at, ns, id FROM ordered JOIN waiting USING (n) WHERE at > ? ORDER BY at LIMIT 500"


class Deferred:
    """The checkpoints of one thread that have to wait for their parents, on disk.

    Ask `defers` of each row in the order of (namespace, id); those of which it says so are not
    to be passed on until all others were, and then as `places` gives them. Closed by its maker.
    """

    def __init__(self) -> None:
        self._database: ScratchDatabase | None = None

    def __bool__(self) -> bool:
        """Whether something waits."""
        return self._database is not None

    def defers(self, ns: str, checkpoint_id: str, parent: str | None) -> bool:
        """Whether this one has to wait; it is kept if so."""
        if not parent:
            return False
        database = self._database
        if parent < checkpoint_id and (database is None or not _waits(database, ns, parent)):
            return False
        if database is None:
            database = self._database = ScratchDatabase(_WAITING)
            database.execute("CREATE INDEX children ON waiting (ns, parent)")
        database.execute(
            "INSERT OR IGNORE INTO waiting (ns, id, parent) VALUES (?, ?, ?)",
            (_key(ns), _key(checkpoint_id), _key(parent)),
        )
        return True

    def places(self) -> Iterator[Place]:
        """Those that wait, parents first; of a circle, which no saver writes, some one is first.
        Called once."""
        database = self._database
        if database is None:
            return
        database.execute(_ORDERED)
        database.execute(_FREE)
        row = database.row(_LEFT, (0,))
        while row is not None and row[0] is not None:
            database.execute(_CIRCLE, (_in_circle(database, row[0]),))
            row = database.row(_LEFT, row)
        at = 0
        while rows := database.rows(_PLACES, (at,)):
            for _, ns, checkpoint_id in rows:
                yield _text(ns), _text(checkpoint_id)
            at = rows[-1][0]

    def close(self) -> None:
        """May be called again."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _in_circle(database: ScratchDatabase, start: int) -> int:
    """One of the circle that the ancestors of a checkpoint end in."""

    def parent(number: int) -> int:
        row = database.row(_PARENT, (number,))
        assert row is not None, "those whose parent is not among them are placed already"
        return int(row[0])

    slow = fast = start
    while True:
        slow, fast = parent(slow), parent(parent(fast))
        if slow == fast:
            return slow


def _waits(database: ScratchDatabase, ns: str, checkpoint_id: str) -> bool:
    wanted = (_key(ns), _key(checkpoint_id))
    return database.row("SELECT 1 FROM waiting WHERE ns = ? AND id = ?", wanted) is not None


def _key(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
