"""A deployment's own records: the last whole set of a kind, and what was added to it since."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from lgx import Assistant, Cron, StoreItem, decode_line, raw
from lgx_plugins.archive.reader import PartReader
from lgx_plugins.scratch import ScratchDatabase

__all__ = ["read_extras"]

_CREATE = "CREATE TABLE newest (id BLOB PRIMARY KEY, line INT) WITHOUT ROWID"


def read_extras(reader: PartReader, numbers: Sequence[int]) -> Iterator[list[bytes]]:
    """The lines of one kind, some at a time; of records with one identity the newest.

    Args:
        numbers: the parts of this kind, in the order of writing.
    """
    if not numbers:
        return
    parts = reader.parts
    whole = max((parts[n].batch for n in numbers if parts[n].whole), default=0)
    current = [n for n in numbers if parts[n].batch >= whole]
    if len({parts[n].batch for n in current}) == 1:
        for number in current:
            yield from reader.loose_lines(number)
        return
    yield from _newest(reader, current)


def _newest(reader: PartReader, numbers: Sequence[int]) -> Iterator[list[bytes]]:
    database = ScratchDatabase(_CREATE)
    try:
        count = 0
        for number in numbers:
            for lines in reader.loose_lines(number):
                rows = [(_identity(line), count + at) for at, line in enumerate(lines)]
                database.insert("INSERT OR REPLACE INTO newest VALUES (?, ?)", rows)
                count += len(lines)
        count = 0
        for number in numbers:
            for lines in reader.loose_lines(number):
                kept = []
                for at, line in enumerate(lines):
                    query = "SELECT line FROM newest WHERE id = ?"
                    ((newest,),) = database.rows(query, (_identity(line),))
                    if newest == count + at:
                        kept.append(line)
                count += len(lines)
                yield kept
    finally:
        database.close()


def _identity(line: bytes) -> bytes:
    """A digest of what makes two records versions of one thing; else of the record itself."""
    record = decode_line(line)
    key: object = line.decode()
    if isinstance(record, Assistant):
        key = [record.assistant_id, record.version]
    elif isinstance(record, Cron):
        key = [record.cron_id]
    elif isinstance(record, StoreItem):
        key = [record.namespace, record.key]
    return hashlib.sha256(bytes(raw(key))).digest()
