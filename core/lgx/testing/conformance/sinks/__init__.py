"""What every sink is to do, as tests: subclass `SinkConformance` and give it a target.

class TestParquet(SinkConformance):
    @pytest.fixture
    def sink_factory(self, tmp_path):
        return lambda: ParquetSink(ParquetConfig(path=tmp_path / "out"))

    @pytest.fixture
    def read_back(self, tmp_path):
        return lambda: ParquetSource(ParquetConfig(path=tmp_path / "out"))
"""

from __future__ import annotations

from lgx.testing.conformance.sinks.arrival import Arrival
from lgx.testing.conformance.sinks.atomicity import Atomicity
from lgx.testing.conformance.sinks.cancellation import Cancellation
from lgx.testing.conformance.sinks.dry_runs import DryRuns
from lgx.testing.conformance.sinks.extras import Extras
from lgx.testing.conformance.sinks.forgetting import Forgetting
from lgx.testing.conformance.sinks.marks import Marks
from lgx.testing.conformance.sinks.merging import Merging
from lgx.testing.conformance.sinks.repetition import Repetition

__all__ = ["SinkConformance"]


class SinkConformance(
    # pytest runs the tests of the last base first.
    Cancellation,
    Atomicity,
    DryRuns,
    Extras,
    Forgetting,
    Merging,
    Marks,
    Repetition,
    Arrival,
):
    """Tests of one sink; each test begins with an empty target of its own.

    Two fixtures are mandatory, `sink_factory` and `read_back`; `target_state` makes the
    tests of dry runs sharper. What a sink cannot do is declared by the attributes
    `keeps_no_marks`, `merges_not` and `may_refuse`, each with the reason, and what it does
    beyond its duty by `exact_bytes`; `SinkKit` describes them all.

    The tests are plain functions that run their own event loop: no plugin of pytest is needed.
    """
