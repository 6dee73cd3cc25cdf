"""Conformance kits: what sources and sinks promise, as tests to subclass. They need pytest."""

import pytest

pytest.register_assert_rewrite(
    "lgx.testing.conformance.filling",
    "lgx.testing.conformance.sinks",
    "lgx.testing.conformance.sources",
)

from lgx.testing.conformance.bundles import make_bundle, make_run  # noqa: E402
from lgx.testing.conformance.reading import (  # noqa: E402
    Contents,
    read_all,
    read_target,
    same_records,
)
from lgx.testing.conformance.samples import sample_extras, sample_threads  # noqa: E402
from lgx.testing.conformance.sinks import SinkConformance  # noqa: E402
from lgx.testing.conformance.sources import SourceConformance  # noqa: E402

__all__ = [
    "Contents",
    "SinkConformance",
    "SourceConformance",
    "make_bundle",
    "make_run",
    "read_all",
    "read_target",
    "same_records",
    "sample_extras",
    "sample_threads",
]
