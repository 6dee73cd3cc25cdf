"""What a stub server holds: threads, assistants, crons, and the long-term store."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lgx.testing.stub.chains import Text
from lgx.testing.stub.ids import Clock, iso, random_uuid
from lgx.testing.stub.threads import Shape, StubThread

__all__ = ["Deployment", "StoredItem"]


@dataclass
class StoredItem:
    """An item of the long-term store; `refreshed` counts the reads that extended its life."""

    namespace: tuple[str, ...]
    key: str
    value: Any
    created_at: str
    updated_at: str
    refreshed: int = 0

    def fields(self) -> dict[str, Any]:
        return {
            "namespace": list(self.namespace),
            "key": self.key,
            "value": self.value,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "score": None,
        }


class Deployment:
    """The data behind a stub server. Everything in it follows from its seed.

    Times come from `clock`, which stands still unless something changes; the server's
    Date header agrees with it.
    """

    def __init__(self, seed: int = 0) -> None:
        self.clock = Clock()
        self.threads: dict[str, StubThread] = {}
        self.assistants: dict[str, list[dict[str, Any]]] = {}
        self.crons: list[dict[str, Any]] = []
        self.items: dict[tuple[tuple[str, ...], str], StoredItem] = {}
        self._random = random.Random(seed)
        self._numbers = 0
        self._ordered: dict[tuple[str, bool], list[StubThread]] = {}
        self.add_assistant(
            "agent",
            assistant_id="fe096781-5601-53d2-b2f6-0d3403f7e9ca",
            metadata={"created_by": "system"},
        )

    @classmethod
    def sample(
        cls,
        threads: int = 10,
        checkpoints: int | Sequence[int] = 5,
        size: int = 2000,
        *,
        subgraphs: int = 0,
        extras: bool = False,
        seed: int = 0,
        graph_id: str = "agent",
    ) -> Deployment:
        """A deployment of made-up threads, which take no memory worth mentioning.

        Args:
            threads: how many.
            checkpoints: of each thread's root; several numbers take turns, 0 is a thread
                without state.
            size: bytes of one checkpoint, about.
            subgraphs: checkpoints of a subgraph in each thread of three and more; from
                three on, it holds one itself.
            extras: some store items, assistants with versions, and crons as well.
        """
        deployment = cls(seed)
        counts = (checkpoints,) if isinstance(checkpoints, int) else tuple(checkpoints)
        shape = Shape(Text.of(seed), counts, size, subgraphs, graph_id)
        source, start = deployment._random, deployment.clock.now - timedelta(days=30)
        for number in range(threads):
            began = start + timedelta(seconds=source.randrange(29 * 86400), microseconds=number)
            thread = StubThread(
                deployment.clock,
                random_uuid(source),
                number,
                created_at=iso(began),
                shape=shape,
                touched=deployment._ordered.clear,
            )
            ended = began + timedelta(seconds=counts[number % len(counts)])
            thread.updated_at = thread.state_updated_at = iso(ended)
            deployment.threads[thread.thread_id] = thread
        deployment._numbers = threads
        if extras:
            deployment._add_sample_extras()
        return deployment

    def _add_sample_extras(self) -> None:
        for number in range(25):
            self.add_item(
                ("users", f"user-{number % 5}"), f"fact-{number}", {"text": f"Zoë {number}"}
            )
        self.add_item(("config",), "limits", {"max": 2**53})
        helper = self.add_assistant("agent", name="helper", config={"configurable": {"a": 1}})
        self.add_assistant_version(helper, config={"configurable": {"a": 2}})
        self.add_cron(schedule="0 0 1 1 *")

    # -- threads ---------------------------------------------------------------------

    def add_thread(
        self,
        thread_id: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        graph_id: str | None = "agent",
        checkpoints: int = 0,
        size: int = 2000,
    ) -> StubThread:
        """A new thread, with so many made-up checkpoints to begin with."""
        now = iso(self.clock.tick())
        shape = None
        if checkpoints:
            shape = Shape(Text.of(0), (checkpoints,), size, 0, graph_id or "agent")
        thread = StubThread(
            self.clock,
            thread_id or random_uuid(self._random),
            self._numbers,
            created_at=now,
            shape=shape,
            metadata={**({"graph_id": graph_id} if graph_id else {}), **(metadata or {})},
            touched=self._ordered.clear,
        )
        if checkpoints:
            self.clock.advance(checkpoints + 1)
            thread.updated_at = thread.state_updated_at = iso(self.clock.now)
        self._numbers += 1
        self.threads[thread.thread_id] = thread
        self._ordered.clear()
        return thread

    def delete_thread(self, thread_id: str) -> None:
        """Removes a thread; it may be gone already."""
        self.clock.tick()
        self.threads.pop(thread_id, None)
        self._ordered.clear()

    def ordered(self, field: str, *, descending: bool) -> list[StubThread]:
        """All threads by one field; threads that agree in it stand in the order of creation."""
        key = (field, descending)
        if key not in self._ordered:
            self._ordered[key] = sorted(
                self.threads.values(),
                key=lambda thread: str(getattr(thread, field)),
                reverse=descending,
            )
        return self._ordered[key]

    def ordered_among(
        self, thread_ids: Iterable[str], field: str, *, descending: bool
    ) -> list[StubThread]:
        """Those of some threads that are there, as `ordered`, without a look at all others."""
        found = [self.threads[each] for each in set(thread_ids) if each in self.threads]
        found.sort(key=lambda thread: str(thread.created_at))
        return sorted(found, key=lambda thread: str(getattr(thread, field)), reverse=descending)

    def __iter__(self) -> Iterator[StubThread]:
        return iter(self.threads.values())

    def __len__(self) -> int:
        return len(self.threads)

    # -- the deployment's own ----------------------------------------------------------

    def add_item(self, namespace: Sequence[str], key: str, value: Any) -> StoredItem:
        """Puts an item into the store, in place of one under the same namespace and key."""
        now = iso(self.clock.tick())
        item = StoredItem(tuple(namespace), key, value, now, now)
        self.items[item.namespace, key] = item
        return item

    def add_assistant(
        self, graph_id: str, *, assistant_id: str | None = None, **fields: Any
    ) -> str:
        """A new assistant; returns its id."""
        assistant_id = assistant_id or random_uuid(self._random)
        self.assistants[assistant_id] = []
        self.add_assistant_version(assistant_id, graph_id=graph_id, **fields)
        return assistant_id

    def add_assistant_version(self, assistant_id: str, **fields: Any) -> None:
        """A new version, which is in force from now on."""
        versions = self.assistants[assistant_id]
        base = versions[-1] if versions else {"name": fields.get("graph_id", "")}
        now = iso(self.clock.tick())
        versions.append(
            {
                "assistant_id": assistant_id,
                "graph_id": base.get("graph_id", "agent"),
                "config": base.get("config", {}),
                "context": {},
                "metadata": base.get("metadata", {}),
                "name": base["name"],
                "created_at": now,
                "updated_at": now,
                "description": None,
                **fields,
                "version": len(versions) + 1,
            }
        )

    def add_cron(self, **fields: Any) -> dict[str, Any]:
        """A new cron, over all of an assistant's threads or of one (`thread_id`)."""
        now = iso(self.clock.tick())
        cron = {
            "cron_id": random_uuid(self._random),
            "assistant_id": "fe096781-5601-53d2-b2f6-0d3403f7e9ca",
            "thread_id": None,
            "user_id": "",
            "end_time": None,
            "schedule": "0 0 1 1 *",
            "timezone": None,
            "payload": {"input": {"n": 1}},
            "next_run_date": "2027-01-01T00:00:00+00:00",
            "metadata": {},
            "on_run_completed": "delete",
            "enabled": True,
            "created_at": now,
            "updated_at": now,
            **fields,
        }
        self.crons.append(cron)
        return cron
