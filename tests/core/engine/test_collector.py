"""The garbage collector during a run, and after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

import lgx
from lgx.engine.collector import calm_collector
from lgx.testing import Deployment, StubServer


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Other tests get the collector as they would have had it."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_was_there_before_is_left_out_and_taken_in_again() -> None:
    """Within, the objects of before are frozen and collections are rarer; afterwards neither."""
    gc.set_threshold(700, 10, 10)
    with calm_collector():
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == (10_000, 10, 10)
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == (700, 10, 10)


def test_a_failure_within_leaves_nothing_changed() -> None:
    """An error passes, and the collector is as it was."""
    gc.set_threshold(700, 10, 10)
    with pytest.raises(KeyError), calm_collector():
        raise KeyError
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, (700, 10, 10))


@pytest.mark.parametrize("threshold", [(50_000, 5, 5), (0, 10, 10)])
def test_rarer_collections_of_the_process_stay(threshold: tuple[int, int, int]) -> None:
    """A process that collects more rarely, or by itself alone, goes on doing so."""
    gc.set_threshold(*threshold)
    with calm_collector():
        assert gc.get_threshold() == threshold
    assert gc.get_threshold() == threshold


def test_what_the_process_froze_stays_frozen() -> None:
    """Objects that the process froze for its own ends are frozen afterwards, too."""
    gc.freeze()
    with calm_collector():
        pass
    assert gc.get_freeze_count() > 1000


def test_the_last_of_several_runs_restores_it() -> None:
    """Runs that overlap, in whatever order they end, leave what the first found."""
    gc.set_threshold(700, 10, 10)
    first, second = calm_collector(), calm_collector()
    with first:
        second.__enter__()
    assert gc.get_threshold() == (10_000, 10, 10)
    second.__exit__(None, None, None)
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, (700, 10, 10))


async def test_a_run_gives_the_collector_back(tmp_path: object) -> None:
    """After a whole run nothing is frozen."""
    async with StubServer(Deployment.sample(threads=3, checkpoints=2, size=100)) as stub:
        report = await lgx.run_async(
            lgx.use("cloud", url=stub.url), lgx.use("ndjson", path=f"{tmp_path}/out.ndjson")
        )
    assert report.exit_code == 0
    assert gc.get_freeze_count() == 0
