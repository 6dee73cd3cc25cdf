"""Serves a made-up deployment: `python -m lgx.testing.stub '{"sample": {"threads": 100}}'`.

Prints its URL and runs until its standard input ends. Settings: `sample` (the arguments of
`Deployment.sample`), `delay`, `cache_bytes`, `port`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys

from lgx.testing.stub import Deployment, StubServer


async def _serve(settings: dict[str, object]) -> None:
    sample = settings.get("sample") or {}
    assert isinstance(sample, dict)
    stub = StubServer(
        Deployment.sample(**sample),
        delay=float(str(settings.get("delay", 0))),
        cache_bytes=int(str(settings.get("cache_bytes", 64 << 20))),
    )
    gc.freeze()  # a pause of the collector would be taken for slowness of the client
    gc.set_threshold(10_000)
    await stub.start(int(str(settings.get("port", 0))))
    sys.stdout.write(stub.url + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)
    await stub.stop()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))
