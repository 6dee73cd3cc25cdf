"""A thread of the stub: its row, its namespaces of checkpoints, its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lgx.testing.stub.chains import Chain, MadeUp, Part, StubCheckpoint, Text, dump
from lgx.testing.stub.ids import Clock, checkpoint_id, iso, ticks

__all__ = ["Shape", "StubThread"]

FIELDS = (
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "status",
    "config",
    "values",
    "error",
    "interrupts",
)


@dataclass(frozen=True)
class Shape:
    """What made-up threads of a deployment have in common."""

    text: Text
    checkpoints: tuple[int, ...]
    size: int
    subgraphs: int
    graph_id: str

    def metadata(self, number: int) -> dict[str, Any]:
        return {
            "graph_id": self.graph_id,
            "assistant_id": "fe096781-5601-53d2-b2f6-0d3403f7e9ca",
            "organization": f"org-{number % 10}",
            "user": {"name": "Zoë", "number": number},
        }

    def chains(self, thread: StubThread) -> dict[str, Chain]:
        """The root's states and, where asked for, those of a subgraph and one in it."""
        count = self.checkpoints[thread.number % len(self.checkpoints)]
        if not count:
            return {}
        task = f"{thread.number:08x}-aaaa-5aaa-8aaa-aaaaaaaaaaaa"
        outer, inner = f"child:{task}", f"child:{task}|inner:{task}"

        def made_up(
            namespace: str, count: int, advertised: str | None, above: dict[str, str] | None
        ) -> MadeUp:
            return MadeUp(
                self.text,
                thread_id=thread.thread_id,
                namespace=namespace,
                number=thread.number,
                count=count,
                size=self.size,
                began=datetime.fromisoformat(thread.created_at),
                graph_id=self.graph_id,
                advertised=advertised,
                above=above,
            )

        has_child = self.subgraphs > 0 and count > 2
        root = made_up("", count, outer if has_child else None, None)
        chains = {"": Chain(thread.thread_id, "", root)}
        if has_child:
            above = {"": root.id_of(0)}
            child = made_up(outer, self.subgraphs, inner if self.subgraphs > 2 else None, above)
            chains[outer] = Chain(thread.thread_id, outer, child)
            if self.subgraphs > 2:
                deeper = made_up(inner, self.subgraphs, None, {**above, outer: child.id_of(0)})
                chains[inner] = Chain(thread.thread_id, inner, deeper)
        return chains


class StubThread:
    """One thread. Change it through these methods: they move `updated_at` as the server does."""

    __slots__ = (
        "_chains",
        "_clock",
        "_metadata",
        "_shape",
        "_touched",
        "_values",
        "aliases",
        "config",
        "created_at",
        "error",
        "interrupts",
        "number",
        "poisoned",
        "runs",
        "state_updated_at",
        "status",
        "thread_id",
        "ttl",
        "updated_at",
        "version",
    )

    def __init__(
        self,
        clock: Clock,
        thread_id: str,
        number: int,
        *,
        created_at: str,
        shape: Shape | None = None,
        metadata: dict[str, Any] | None = None,
        touched: Any = None,
    ) -> None:
        self._clock = clock
        self._shape = shape
        self._chains: dict[str, Chain] | None = None if shape else {}
        self._metadata = metadata
        self._touched = touched
        self._values: bytes | None = None
        self.thread_id = thread_id
        self.number = number
        self.created_at = created_at
        self.updated_at = created_at
        self.state_updated_at = created_at
        self.status = "idle"
        self.config: dict[str, Any] | None = None
        self.interrupts: dict[str, Any] | None = None
        self.error: Any = None
        self.ttl: dict[str, Any] | None = None
        self.runs: list[dict[str, Any]] | None = None
        self.poisoned: set[tuple[str, int]] | None = None
        self.aliases: dict[str, str] | None = None
        self.version = 0

    @property
    def metadata(self) -> dict[str, Any]:
        if self._metadata is None:
            return self._shape.metadata(self.number) if self._shape else {}
        return self._metadata

    @property
    def chains(self) -> dict[str, Chain]:
        """Checkpoints by namespace; made anew at each look until something was added."""
        if self._chains is None:
            assert self._shape is not None
            return self._shape.chains(self)
        return self._chains

    def chain(self, namespace: str) -> Chain | None:
        """The states that asking for a namespace brings; it may be another name for one."""
        chains = self.chains
        if namespace not in chains and self.aliases:
            namespace = self.aliases.get(namespace, namespace)
        return chains.get(namespace)

    @property
    def has_state(self) -> bool:
        if self._chains is None:
            assert self._shape is not None
            return self._shape.checkpoints[self.number % len(self._shape.checkpoints)] > 0
        return bool(self._chains)

    def checkpoint_count(self) -> int:
        """Over all namespaces."""
        return sum(len(chain) for chain in self.chains.values())

    # -- changes -------------------------------------------------------------------

    def touch(self) -> None:
        """Something about the thread has changed: a new `updated_at`."""
        self.updated_at = iso(self._clock.tick())
        self.version += 1
        if self._touched is not None:
            self._touched()

    def update(self, **fields: Any) -> None:
        """Sets status, values, config, interrupts, error or ttl; `metadata` is merged."""
        for name, value in fields.items():
            if name == "metadata":
                self._metadata = {**self.metadata, **value}
            elif name == "values":
                self._values = dump(value)
            elif name in ("status", "config", "interrupts", "error", "ttl", "created_at"):
                setattr(self, name, value)
            else:
                raise TypeError(f"a stub's thread has no field {name!r} to set")
        self.touch()

    def add_checkpoint(
        self,
        values: Any = None,
        *,
        namespace: str = "",
        step: int | None = None,
        parent_id: str | None = None,
        state_id: str | None = None,
        next_nodes: Sequence[str] = (),
        tasks: Any = (),
        metadata: dict[str, Any] | None = None,
        interrupts: Any = (),
        checkpoint_map: dict[str, str] | None = None,
    ) -> StubCheckpoint:
        """Adds a state, by default as the child of the newest; bytes are taken for JSON text."""
        if self._chains is None:
            self._chains = self.chains
        chain = self._chains.setdefault(namespace, Chain(self.thread_id, namespace))
        when = self._clock.tick()
        if parent_id is None and len(chain):
            parent_id = chain.id_at(0)
        if step is None:
            step = chain.step_at(0) + 1 if len(chain) else -1
        own_metadata: dict[str, Any] = {
            "source": "loop" if step >= 0 else "input",
            "step": step,
            "parents": {},
        }
        checkpoint = StubCheckpoint(
            checkpoint_id=state_id or checkpoint_id(ticks(when), len(chain), self.number),
            parent_id=parent_id,
            step=step,
            created_at=iso(when),
            values=dump({} if values is None else values),
            next=dump(list(next_nodes)),
            tasks=dump(list(tasks) if isinstance(tasks, tuple) else tasks),
            metadata=own_metadata | (metadata or {}),
            interrupts=dump(list(interrupts) if isinstance(interrupts, tuple) else interrupts),
            checkpoint_map=checkpoint_map,
        )
        chain.add(checkpoint)
        self.state_updated_at = iso(when)
        self.touch()
        return checkpoint

    def change_checkpoint(self, state_id: str, *, namespace: str = "", **bulk: Any) -> None:
        """Rewrites a given state in place, as resuming an interrupted thread does."""
        chain = self.chains[namespace]
        checkpoint = next(item for item in chain.given if item.checkpoint_id == state_id)
        for name, value in bulk.items():
            setattr(checkpoint, name, value if name == "metadata" else dump(value))
        self.touch()

    def alias_namespace(self, asked: str, stands_for: str) -> None:
        """Asking for one namespace brings the states of another, under their own name."""
        self.aliases = {**(self.aliases or {}), asked: stands_for}

    def poison(self, *steps: int, namespace: str = "") -> None:
        """Makes every answer that would hold the state of one of these steps a 500."""
        self.poisoned = (self.poisoned or set()) | {(namespace, step) for step in steps}

    def add_run(self, **fields: Any) -> dict[str, Any]:
        run = {
            "run_id": f"00000000-0000-4000-8000-{len(self.runs or ()):012x}",
            "thread_id": self.thread_id,
            "assistant_id": "fe096781-5601-53d2-b2f6-0d3403f7e9ca",
            "metadata": {},
            "status": "success",
            "kwargs": {"input": {"messages": []}},
            "multitask_strategy": "enqueue",
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            **fields,
        }
        self.runs = [*(self.runs or ()), run]
        return run

    # -- what the server says of it --------------------------------------------------

    def field(self, name: str) -> list[Part] | None:
        """One field of the thread's object as JSON; None where the server leaves it out."""
        if name in ("thread_id", "created_at", "updated_at", "state_updated_at", "status"):
            text = getattr(self, name)
            return [b'"%b"' % text.encode()]
        if name == "metadata":
            return [dump(self.metadata)]
        if name == "values":
            return self.values()
        if name == "config":
            config = self.config
            ran: dict[str, Any] = {"configurable": {}} if self.has_state else {}
            return [dump(ran if config is None else config)]
        if not self.has_state:
            return None
        if name == "interrupts":
            return [dump(self.interrupts or {})]
        return [dump(self.error)]

    def values(self) -> list[Part]:
        """The newest root state's values, or what was set, or null."""
        if self._values is not None:
            return [self._values]
        chain = self.chains.get("")
        return chain.values_at(0) if chain is not None and len(chain) else [b"null"]

    def parts(self, select: list[str] | None = None) -> list[Part]:
        """The thread's object, or the selected fields of it."""
        parts: list[Part] = [b"{"]
        for name in FIELDS if select is None else [name for name in FIELDS if name in select]:
            value = self.field(name)
            if value is not None:
                parts.append(b'%b"%b":' % (b"," if len(parts) > 1 else b"", name.encode()))
                parts += value
        parts.append(b"}")
        return parts
