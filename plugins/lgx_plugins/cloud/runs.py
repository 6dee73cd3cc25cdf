"""Run records of a thread: its inputs, statuses and times."""

from __future__ import annotations

from lgx import Context, Run, ThreadError, from_fields, raw, split_array, split_object
from lgx_plugins.cloud.address import path_of
from lgx_plugins.cloud.client import Client
from lgx_plugins.cloud.gathering import Gathering
from lgx_plugins.cloud.shifting import shifting_rows

__all__ = ["read_runs"]

_KIND = raw("run")
_LIMIT = 100


async def read_runs(client: Client, gathering: Gathering, thread_id: str, context: Context) -> None:
    """Puts the thread's runs behind its checkpoints.

    Raises:
        ThreadError, RetryableError: they cannot be had.
    """
    what = f"runs of thread {thread_id}"

    async def fetch(offset: int) -> list[tuple[str, Run]]:
        path = path_of(thread_id, f"/runs?limit={_LIMIT}&offset={offset}")
        answer = await client.light(context, "GET", path, opening=b"[", what=what)
        return [(run.run_id, run) for run in map(_run, split_array(answer.body))]

    def _run(item: object) -> Run:
        record = from_fields({**split_object(item), "kind": _KIND})  # type: ignore[arg-type]
        if not isinstance(record, Run) or record.thread_id != thread_id:
            raise ThreadError(f"the {what} hold a run of another thread")
        return record

    async for run in shifting_rows(fetch):
        gathering.take_run(run)
