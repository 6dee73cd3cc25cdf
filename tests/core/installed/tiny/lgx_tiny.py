"""A source and a sink that need nothing, with an option of every sort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from msgspec import field

from lgx import (
    ANY_KIND,
    Bundle,
    Checkpoint,
    Config,
    Context,
    Fact,
    FatalError,
    Loss,
    Mark,
    Probe,
    Query,
    Record,
    RecordTransform,
    RecordValidator,
    Secret,
    Sink,
    Source,
    Thread,
    ThreadEnd,
    ThreadRef,
    Violation,
    WriteOutcome,
    hookimpl,
    option,
)


class TinySourceConfig(Config, frozen=True, kw_only=True):
    place: Annotated[str, option("Where the threads are.", example="here")]
    threads: Annotated[int, option("How many there are.", at_least=0)] = 3
    api_key: Annotated[Secret | None, option("The key to them.", env="TINY_API_KEY")] = None
    runs: Annotated[bool, option("Their runs as well.")] = False
    headers: Annotated[dict[str, Secret], option("Sent along.")] = field(default_factory=dict)
    labels: Annotated[dict[str, str], option("Put on each.")] = field(default_factory=dict)
    tags: Annotated[tuple[str, ...], option("Only these.")] = ()
    order: Annotated[Literal["up", "down"], option("Which way.")] = "up"
    trouble: Annotated[str | None, option("What goes wrong.")] = None


class TinySource(Source[TinySourceConfig]):
    name = "tiny"
    summary = "Threads out of thin air."
    config_type = TinySourceConfig
    offers = frozenset({"thread", "checkpoint"})
    ordered = True

    async def probe(self, context: Context) -> Probe:
        if self.config.trouble == "probe":
            return Probe(facts=(Fact(name="server", value="gone", level="error"),))
        if self.config.trouble == "fatal":
            raise FatalError(f"{self.config.place} is closed; open it")
        key = self.config.api_key.reveal() if self.config.api_key else "none"
        return Probe(
            facts=(
                Fact(name="place", value=self.config.place),
                Fact(name="key", value=f"key {key} accepted", level="warn"),
            )
        )

    async def identity(self) -> str:
        return f"tiny:{self.config.place}"

    async def list(self, query: Query, context: Context) -> AsyncIterator[ThreadRef]:
        if self.config.trouble == "fatal":
            raise FatalError(f"{self.config.place} is closed; open it")
        if self.config.trouble == "bug":
            key = self.config.api_key.reveal() if self.config.api_key else ""
            raise RuntimeError(f"a bug with {key} in its message")
        for number in range(self.config.threads):
            thread_id = f"thread-{number:03}\x1b[31m" if number == 2 else f"thread-{number:03}"
            if query.thread_ids and thread_id not in query.thread_ids:
                continue
            yield ThreadRef(thread_id=thread_id, version=f"v{number}", size_hint=100 + number)
        if self.config.trouble == "endless":
            await asyncio.to_thread(Path(self.config.place).touch)
            await asyncio.Event().wait()
        if self.config.trouble == "stuck":
            await asyncio.to_thread(Path(self.config.place).touch)
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    continue

    async def read(
        self, refs: Sequence[ThreadRef], context: Context
    ) -> AsyncIterator[Record | ThreadEnd]:
        for ref in refs:
            yield Thread(thread_id=ref.thread_id)
            losses: tuple[Loss, ...] = ()
            if self.config.trouble == "losses":
                losses = (
                    Loss(
                        what="checkpoint c9",
                        why="the server answered 500",
                        thread_id=ref.thread_id,
                        checkpoints=1,
                    ),
                )
            yield Checkpoint(thread_id=ref.thread_id, checkpoint_ns="", checkpoint_id="c1")
            yield ThreadEnd(
                thread_id=ref.thread_id,
                outcome="partial" if losses else "complete",
                losses=losses,
            )


class TinySinkConfig(Config, frozen=True, kw_only=True):
    path: Annotated[Path, option("Where to write.", example="threads.txt")]


class TinySink(Sink[TinySinkConfig]):
    name = "tiny"
    config_type = TinySinkConfig
    accepts = ANY_KIND

    async def probe(self, context: Context) -> Probe:
        return Probe(facts=(Fact(name="path", value=str(self.config.path)),))

    async def held(self, refs: Sequence[ThreadRef]) -> Mapping[str, Mark]:
        return {}

    async def write(self, bundles: Sequence[Bundle], context: Context) -> Sequence[WriteOutcome]:
        with self.config.path.open("ab") as stream:
            for bundle in bundles:
                stream.writelines(line + b"\n" for line in bundle.lines())
        return [WriteOutcome(thread_id=bundle.thread_id) for bundle in bundles]

    async def forget(self, thread_ids: Sequence[str]) -> None:
        return None


class TinyRuleConfig(Config, frozen=True, kw_only=True):
    word: Annotated[str, option("A word.")] = "x"
    words: Annotated[tuple[str, ...], option("More words.")] = ()
    key: Annotated[Secret | None, option("A key.")] = None


class TinyTransform(RecordTransform[TinyRuleConfig]):
    name = "tiny"
    config_type = TinyRuleConfig
    handles = ANY_KIND

    def apply(self, record: Record) -> Iterable[Record]:
        return (record,)


class TinyValidator(RecordValidator[TinyRuleConfig]):
    name = "tiny"
    config_type = TinyRuleConfig
    handles = frozenset({"thread"})

    def check(self, record: Record) -> Iterable[Violation]:
        assert isinstance(record, Thread)
        if record.thread_id == self.config.word:
            yield Violation(rule="no-such-word", place="$.thread_id")


@hookimpl
def lgx_register_sources() -> list[type[TinySource]]:
    return [TinySource]


@hookimpl
def lgx_register_sinks() -> list[type[TinySink]]:
    return [TinySink]


@hookimpl
def lgx_register_transforms() -> list[type[TinyTransform]]:
    return [TinyTransform]


@hookimpl
def lgx_register_validators() -> list[type[TinyValidator]]:
    return [TinyValidator]
