"""A checkpointer of LangGraph's on the rows of one thread, under the names of its source."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from lgx import UsageError
from lgx_plugins.checkpointers.rebuilding.originals import Originals
from lgx_plugins.checkpointers.rebuilding.rows import Held, ThreadRows, Write

__all__ = ["Naming", "missing_langgraph", "rows_saver"]


def missing_langgraph(error: ImportError) -> UsageError:
    return UsageError(
        "the package langgraph is not installed, without which no graph can be rebuilt from "
        f"(--sink-graph): {error}; install it into the environment of lgx"
    )


class Naming:
    """What the next checkpoint is called.

    Attributes:
        originals: None: as LangGraph calls it.
        parents: whether they get the parents, too, that they had.
    """

    def __init__(self, *, parents: bool) -> None:
        self.originals: Originals | None = None
        self.parents = parents


def rows_saver(rows: ThreadRows, naming: Naming, serde: Any = None, seed: str = "") -> Any:
    """
    Args:
        serde: in place of LangGraph's own serializer.
        seed: of the digits that tell versions of one number apart: the same thread has the same.

    Raises:
        UsageError: LangGraph is not installed.
    """
    try:
        import orjson
        from langgraph.checkpoint.base import (
            WRITES_IDX_MAP,
            BaseCheckpointSaver,
            CheckpointTuple,
            get_checkpoint_metadata,
        )
    except ImportError as error:
        raise missing_langgraph(error) from error
    digits = random.Random(seed)  # noqa: S311 -- they are no secret

    class RowsSaver(BaseCheckpointSaver[str]):
        """One thread, whatever its id. Its async methods do not wait for anything."""

        def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
            place = config["configurable"]
            ns, parent = place.get("checkpoint_ns", ""), place.get("checkpoint_id")
            document = {**checkpoint, "channel_values": {}}
            made: dict[str, Any] = {}
            made |= get_checkpoint_metadata(config, metadata)
            original = naming.originals.next() if naming.originals is not None else None
            if original is not None:
                document["id"] = original.id
                document["ts"] = original.ts or document["ts"]
                if naming.parents:
                    parent = original.parent
                if original.metadata is not None:
                    counters = {k: v for k, v in made.items() if k.startswith("counters_")}
                    given = {k: orjson.Fragment(bytes(v)) for k, v in original.metadata.items()}
                    made = given | counters
            held = checkpoint["channel_values"]
            values = {
                channel: (str(version), self.serde.dumps_typed(held[channel]))
                for channel, version in new_versions.items()
                if channel in held
            }
            option = orjson.OPT_NON_STR_KEYS
            rows.put(
                ns,
                Held(
                    document["id"],
                    parent,
                    orjson.dumps(document, option=option),
                    orjson.dumps(made, option=option, default=str),
                ),
                values,
            )
            return _place(place["thread_id"], ns, document["id"])

        def put_writes(
            self, config: Any, writes: Sequence[Any], task_id: str, task_path: str = ""
        ) -> None:
            place = config["configurable"]
            rows.put_writes(
                place.get("checkpoint_ns", ""),
                place["checkpoint_id"],
                [
                    Write(
                        task_id,
                        WRITES_IDX_MAP.get(channel, number),
                        task_path,
                        channel,
                        self.serde.dumps_typed(value),
                    )
                    for number, (channel, value) in enumerate(writes)
                ],
            )

        def get_tuple(self, config: Any) -> Any:
            place = config["configurable"]
            ns = place.get("checkpoint_ns", "")
            held = rows.get(ns, place.get("checkpoint_id"))
            return None if held is None else self._tuple(place["thread_id"], ns, held)

        def _tuple(self, thread_id: str, ns: str, held: Held) -> Any:
            document = orjson.loads(held.document)
            versions = orjson.dumps(document["channel_versions"])
            document["channel_values"] = {
                channel: self.serde.loads_typed(cell) for channel, cell in rows.values(ns, versions)
            }
            parent = None if held.parent is None else _place(thread_id, ns, held.parent)
            writes = [
                (one.task_id, one.channel, self.serde.loads_typed(one.cell))
                for one in rows.writes(ns, held.id)
            ]
            return CheckpointTuple(
                _place(thread_id, ns, held.id),
                document,
                orjson.loads(held.metadata),
                parent,
                writes,
            )

        def list(
            self,
            config: Any,
            *,
            filter: Any = None,  # noqa: A002 -- its name there
            before: Any = None,
            limit: Any = None,
        ) -> Iterator[Any]:
            place = config["configurable"]
            ns, wanted = place.get("checkpoint_ns", ""), place.get("checkpoint_id")
            newest = (before or {}).get("configurable", {}).get("checkpoint_id")
            ids = [
                one
                for one in rows.ids(ns)
                if (wanted is None or one == wanted) and (newest is None or one < newest)
            ]
            for one in ids[:limit]:
                held = rows.get(ns, one)
                assert held is not None, "it was just listed"
                found = self._tuple(place["thread_id"], ns, held)
                if all(found.metadata.get(key) == value for key, value in (filter or {}).items()):
                    yield found

        def get_next_version(self, current: str | None, channel: None = None) -> str:
            number = 0 if current is None else int(str(current).split(".")[0])
            return f"{number + 1:032}.{digits.random():016}"

        async def aput(self, config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
            return self.put(config, checkpoint, metadata, new)

        async def aput_writes(
            self, config: Any, writes: Sequence[Any], task_id: str, task_path: str = ""
        ) -> None:
            self.put_writes(config, writes, task_id, task_path)

        async def aget_tuple(self, config: Any) -> Any:
            return self.get_tuple(config)

        async def alist(self, config: Any, **options: Any) -> AsyncIterator[Any]:
            for found in self.list(config, **options):
                yield found

    return RowsSaver(serde=serde)


def _place(thread_id: str, ns: str, checkpoint_id: str) -> Any:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": ns,
            "checkpoint_id": checkpoint_id,
        }
    }
