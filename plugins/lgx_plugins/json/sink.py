"""The JSON sink: one document in the older tool's layout, written thread by thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw

import lgx
from lgx import (
    ANY_KIND,
    Bundle,
    Checkpoint,
    Context,
    Record,
    RunInfo,
    Thread,
    ThreadError,
    UsageError,
    decode_line,
    encode_line,
    option,
    state_to_checkpoint,
    to_fields,
    to_state,
)
from lgx_plugins.file_sink import FileSink, FileSinkConfig
from lgx_plugins.json.aside import Aside
from lgx_plugins.json.layout import FORMAT, LAYOUT, VERSION

__all__ = ["JsonSink", "JsonSinkConfig"]

_encode = msgspec.json.encode
_NULL = Raw(b"null")
_ROW = b'{"kind":"raw_checkpoint"'


class JsonSinkConfig(FileSinkConfig, frozen=True, kw_only=True):
    path: Annotated[
        Path,
        option(
            "File to write, compressed where it ends in .gz or .zst.",
            example="threads_backup.json",
        ),
    ]


class JsonSink(FileSink[JsonSinkConfig]):
    """Each thread and each state begins a line. What the layout has no place for is kept
    aside and written last, under the key `lgx`. A thread that is written twice stands twice in
    the document, and the later one counts.
    """

    name = "json"
    summary = "one JSON document, in the layout of threads_backup.json"
    config_type = JsonSinkConfig
    accepts = ANY_KIND

    def __init__(self, config: JsonSinkConfig) -> None:
        super().__init__(config)
        self._entries: Aside | None = None
        self._extras: Aside | None = None
        self._run: RunInfo | None = None
        self._threads = 0
        self._checkpoints = 0
        self._rows = 0  # checkpoints that are a checkpointer's own

    def _check(self) -> None:
        if self._output.standard:
            raise UsageError(
                "the json sink cannot write to -, since it writes a file whole or not at all; "
                "use the ndjson sink"
            )
        super()._check()

    def _open(self, run: RunInfo) -> None:
        self._run = run
        folder = self._output.path.parent
        self._entries = Aside(folder)
        self._extras = Aside(folder)
        self._output.write(b'{"threads": [')

    def _write_thread(self, bundle: Bundle) -> None:
        write = self._output.write
        thread_id = _encode_id(bundle.thread_id)
        at, thread = _examine(bundle)
        fields = to_fields(thread) if thread is not None else {}
        write(b",\n" if self._threads else b"\n")
        write(b'{"thread_id": ' + thread_id)
        for key in ("metadata", "values"):
            write(b', "' + key.encode() + b'": ' + bytes(fields.get(key, _NULL)))
        write(b', "history": [')
        records = self._write_history(bundle, at)
        write(b"]")
        for key in ("created_at", "updated_at"):
            write(b', "' + key.encode() + b'": ' + bytes(fields.get(key, _NULL)))
        write(b"}")
        self._threads += 1
        self._write_entry(thread_id, at, fields, records)

    def _write_history(self, bundle: Bundle, thread_at: int | None) -> Aside | None:
        """The states, the last first; what else the bundle holds is put aside."""
        records: Aside | None = None
        states = 0
        at = len(bundle)
        try:
            for line in bundle.spool.lines_reversed():
                at -= 1
                if at == thread_at:
                    continue
                state = _state(line, bundle.thread_id)
                if state is not None:
                    self._output.write((b",\n" if states else b"\n") + state)
                    states += 1
                    continue
                self._rows += line.startswith(_ROW)
                if records is None:
                    records = Aside(self._output.path.parent)
                start = b"\n" if records.empty else b",\n"
                records.write(start + b'{"at": %d, "record": ' % at + line + b"}")
        except BaseException:
            if records is not None:
                records.close()
            raise
        self._checkpoints += states
        return records

    def _write_entry(
        self, thread_id: bytes, at: int | None, fields: Mapping[str, Raw], records: Aside | None
    ) -> None:
        assert self._entries is not None
        rest = {k: v for k, v in fields.items() if k not in ("kind", "thread_id", *LAYOUT)}
        entry: dict[str, Any] = {"thread": rest if at is not None else None}
        if at:
            entry["at"] = at
        unset = [key for key in LAYOUT if key not in fields]
        if unset and at is not None:
            entry["unset"] = unset
        start = b"\n" if self._entries.empty else b",\n"
        self._entries.write(start + thread_id + b": " + _encode(entry)[:-1])
        if records is not None:
            try:
                self._entries.write(b',"records": [')
                records.move_to(self._entries)
            finally:
                records.close()
            self._entries.write(b"]")
        self._entries.write(b"}")

    def _write_extras(self, kind: str, bundle: Bundle) -> None:
        for line in bundle.lines():
            decode_line(line)
        super()._write_extras(kind, bundle)

    def _write_extra(self, line: bytes) -> None:
        assert self._extras is not None
        self._extras.write((b"\n" if self._extras.empty else b",\n") + line)

    async def finish(self, context: Context) -> None:
        await super().finish(context)
        if self._rows:
            context.note(
                f"{self._rows} checkpoint{'s are' if self._rows > 1 else ' is'} a checkpointer's "
                "own rows: they stand under the key lgx, where lgx reads them, and the histories "
                "of the layout lack them; a run from the checkpointer with --fidelity state "
                "writes them there"
            )

    async def forget(self, thread_ids: Sequence[str]) -> None:
        """What an earlier run wrote is not in this run's file anyway."""

    def _end(self) -> None:
        assert self._run is not None
        assert self._entries is not None
        assert self._extras is not None
        totals = {
            "export_date": self._run.started_at,
            "source": self._run.source,
            "total_threads": self._threads,
            "total_checkpoints": self._checkpoints,
        }
        about = {"format": FORMAT, "version": VERSION, "lgx": lgx.__version__, "encryption": None}
        self._output.write(b"\n],\n" + _encode(totals)[1:-1])
        self._output.write(b',\n"lgx": ' + _encode(about)[:-1] + b',\n"extras": [')
        self._extras.move_to(self._output)
        self._output.write(b'],\n"threads": {')
        self._entries.move_to(self._output)
        self._output.write(b"}}}\n")

    def _close(self) -> None:
        for aside in (self._entries, self._extras):
            if aside is not None:
                aside.close()
        super()._close()


def _encode_id(thread_id: str) -> bytes:
    try:
        return _encode(thread_id)
    except UnicodeEncodeError:
        raise ThreadError(
            f"the id {thread_id!r} holds a lone surrogate, which this layout cannot"
        ) from None


def _examine(bundle: Bundle) -> tuple[int | None, Thread | None]:
    """The thread's own record and its place, in a bundle that is known to be readable to its
    end: what was written of a thread cannot be taken back.

    Raises:
        ThreadError: it is not readable, or a line is not JSON.
    """
    found: tuple[int | None, Thread | None] = None, None
    for at, line in enumerate(bundle.lines()):
        record = decode_line(line)
        if found[1] is None and type(record) is Thread and record.thread_id == bundle.thread_id:
            found = at, record
    return found


def _state(line: bytes, thread_id: str) -> bytes | None:
    """The state that gives back exactly this record; None where a state cannot."""
    record: Record = decode_line(line)
    if not isinstance(record, Checkpoint) or record.checkpoint_ns or record.values is UNSET:
        return None
    state = _encode(to_state(record))
    try:
        same = encode_line(state_to_checkpoint(state, thread_id)) == line
    except ThreadError:
        return None
    return state if same else None
