"""What `lgx doctor` shows of a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lgx import CheckpointWrite, Context, Fact, Secret, ThreadError
from lgx_plugins.blocking import run_blocking
from lgx_plugins.checkpointers.redis.documents import place_of, record_of
from lgx_plugins.checkpointers.redis.keys import Keys
from lgx_plugins.checkpointers.redis.listing import patterns
from lgx_plugins.checkpointers.redis.server import Server
from lgx_plugins.checkpointers.rows.imports import Imports
from lgx_plugins.checkpointers.rows.redisform import SHALLOW, plain

__all__ = ["server_facts", "store_facts"]

_LITTLE = 0.9


async def server_facts(
    server: Server, version: Mapping[str, str], context: Context
) -> tuple[Fact, ...]:
    """Of the server, whatever it holds."""
    facts = [Fact(name=name, value=f"{number} at {server.place}") for name, number in
             version.items()]  # fmt: skip
    memory = await server.info(context)
    used, most = int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))
    if most:
        full = used > most * _LITTLE
        facts.append(
            Fact(
                name="memory",
                value=f"{used} of {most} bytes are used",
                level="warn" if full else "ok",
            )
        )
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if policy.startswith("allkeys"):
            facts.append(
                Fact(
                    name="memory",
                    value=f"maxmemory-policy is {policy}: Redis removes checkpoints where it is "
                    "full",
                    level="warn",
                )
            )
    return tuple(facts)


async def store_facts(
    server: Server,
    keys: Keys,
    version: Mapping[str, str],
    key: Secret | None,
    context: Context,
) -> tuple[Fact, ...]:
    """Also of its documents, every one of which is read; `key`: of encrypted values."""
    imports = Imports(key)
    counts: Counter[str] = Counter()
    for pattern in patterns(keys):
        async for found in server.keys(pattern, context):
            async for piece in server.documents(list(dict.fromkeys(found)), context):
                ends = await server.expiries([key for key, _ in piece], context)
                counts["expiring"] += sum(end is not None for end in ends)
                await run_blocking(_look_into, piece, keys, imports, counts)
    facts = [
        *await server_facts(server, version, context),
        Fact(name="checkpoints", value=str(counts["checkpoints"])),
        Fact(name="writes", value=str(counts["writes"])),
    ]
    if counts["shallow"]:
        value = f"{counts['shallow']} are of a ShallowRedisSaver, the last of their namespace alone"
        facts.append(Fact(name="checkpoints", value=value))
    if counts["expiring"]:
        value = f"{counts['expiring']} documents expire: a run has to be over before they do"
        facts.append(Fact(name="expiry", value=value, level="warn"))
    if counts["odd"]:
        value = f"{counts['odd']} keys hold what is no document of a RedisSaver's"
        facts.append(Fact(name="documents", value=value, level="warn"))
    facts.append(
        Fact(
            name="serializer",
            value="RedisSaver's own loses types when it writes: what a Decimal, a UUID, a date, "
            "a frozenset, a path, an array or a model was is not in its documents any more",
            level="warn",
        )
    )
    return (*facts, *imports.facts())


def _look_into(
    piece: list[tuple[bytes, bytes | None]], keys: Keys, imports: Imports, counts: Counter[str]
) -> None:
    for key, text in piece:
        if text is None:
            continue
        try:
            place = place_of(key, text, keys)
            record = plain(record_of(place, text, None))
        except ThreadError:
            counts["odd"] += 1
            continue
        counts["writes" if isinstance(record, CheckpointWrite) else "checkpoints"] += 1
        counts["shallow"] += place.form == SHALLOW
        imports.add(record.type, record.blob)
