"""`lgx verify` of a server: as a source, and as the target of a run, with the target's key."""

from __future__ import annotations

import pathlib

import pytest

import lgx
from lgx import use
from lgx.testing import Deployment, Quirks, StubServer


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_API_KEY", "LANGGRAPH_API_KEY"):
        monkeypatch.delenv(name, raising=False)


async def test_each_side_gets_its_own_key(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's is never sent to the target: not as a default either."""
    deployment = Deployment.sample(threads=3, checkpoints=2)
    async with (
        StubServer(deployment, quirks=Quirks(api_key="of-source")) as here,
        StubServer(deployment, quirks=Quirks(api_key="of-target")) as there,
    ):
        monkeypatch.setenv("LANGSMITH_SOURCE_API_KEY", "of-source")
        sides = use("cloud", url=here.url), use("cloud", url=there.url)
        with pytest.raises(lgx.FatalError, match=r"no key was sent|--sink-api-key"):
            await lgx.verify_async(*sides)
        monkeypatch.setenv("LANGSMITH_TARGET_API_KEY", "of-target")

        found = await lgx.verify_async(*sides)

        assert (found.equal, found.threads.equal, found.checkpoints.equal) == (True, 3, 6)
        sides = sides[0], use("cloud", url=there.url, enable_crons=True, on_conflict="skip")
        assert (await lgx.verify_async(*sides)).equal


async def test_a_copy_is_as_the_server_is(tmp_path: pathlib.Path) -> None:
    """Until somebody goes on with a thread."""
    deployment = Deployment.sample(threads=4, checkpoints=3)
    async with StubServer(deployment) as stub:
        source, sink = use("cloud", url=stub.url), use("archive", path=tmp_path / "backup")
        assert (await lgx.run_async(source, sink)).exit_code == 0

        assert (await lgx.verify_async(source, sink)).equal
        assert (await lgx.verify_async(source, sink, sample=2)).threads.equal == 2
