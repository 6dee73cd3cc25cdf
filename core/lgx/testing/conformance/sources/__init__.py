"""What every source is to do, as tests: subclass `SourceConformance` and say what it holds.

class TestParquetSource(SourceConformance):
    never_changes = "the file of this test is only read"

    @pytest.fixture
    def source_factory(self, filled):
        return lambda: ParquetSource(ParquetConfig(path=filled))

    @pytest.fixture
    def expected(self):
        return {"1": [Thread(thread_id="1"), Checkpoint(...)]}
"""

from __future__ import annotations

from lgx.testing.conformance.sources.arrival import Arrival
from lgx.testing.conformance.sources.extras import Extras
from lgx.testing.conformance.sources.filters import Filters
from lgx.testing.conformance.sources.listing import Listing
from lgx.testing.conformance.sources.statements import Statements
from lgx.testing.conformance.sources.versions import Versions

__all__ = ["SourceConformance"]


class SourceConformance(
    # pytest runs the tests of the last base first.
    Extras,
    Statements,
    Versions,
    Filters,
    Listing,
    Arrival,
):
    """Tests of one source over data that the subclass knows.

    Two fixtures are mandatory, `source_factory` and `expected`; `change` too, unless
    `never_changes` says why nothing changes. `exact_bytes` and `absent_id` say more of the
    source; `SourceKit` describes them all.

    The data should have three threads or more, with different ids, times, statuses and
    metadata: the filters are tried on what it has. The tests are plain functions that run their
    own event loop: no plugin of pytest is needed.
    """
