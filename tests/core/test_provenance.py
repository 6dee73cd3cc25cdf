"""What a report keeps of where threads came from."""

from __future__ import annotations

import gc
import json
import warnings
from pathlib import Path

from lgx import Origin, Report, ThreadOrigin
from lgx.provenance import Provenance

ONE = ThreadOrigin(
    target_id="t1",
    created_at="2026-01-01T00:00:00+00:00",
    updated_at="2026-01-02T00:00:00+00:00",
    checkpoints=(Origin("c1", "2026-01-01T00:00:00+00:00", "r1"), Origin("c2", None, None)),
)
OTHER = ThreadOrigin(checkpoints=(Origin("c3", None, None),))


def filled(directory: Path | None = None, count: int = 1) -> Provenance:
    provenance = Provenance(directory)
    for number in range(count):
        provenance.add(f'odd \N{GRINNING FACE} " id {number}', ONE)
    provenance.add("other", OTHER)
    return provenance


def test_what_was_added_is_given_back_in_order() -> None:
    assert list(filled()) == [('odd \N{GRINNING FACE} " id 0', ONE), ("other", OTHER)]
    assert len(filled()) == 2


def test_a_report_without_it_says_so() -> None:
    assert json.loads(Report().to_json())["provenance"] is None


def test_a_report_holds_it_a_line_for_each_thread() -> None:
    report = Report(source="cloud", provenance=filled())
    text = report.to_json()
    assert json.loads(text)["provenance"] == {
        'odd \N{GRINNING FACE} " id 0': {
            "target_id": "t1",
            "created_at": "2026-01-01T00:00:00+00:00",
            "updated_at": "2026-01-02T00:00:00+00:00",
            "checkpoints": [["c1", "2026-01-01T00:00:00+00:00", "r1"], ["c2", None, None]],
        },
        "other": {"checkpoints": [["c3", None, None]]},
    }
    assert text == b"".join(report.parts())
    assert text.endswith(b'    "other": {"checkpoints":[["c3",null,null]]}\n  }\n}\n')


def test_the_most_of_it_lies_on_disk(tmp_path: Path) -> None:
    """In a file without a name, which goes with the object and leaves no warning."""
    provenance = filled(tmp_path, count=20_000)
    assert list(tmp_path.iterdir()) == []
    parts = list(Report(provenance=provenance).parts())
    assert max(map(len, parts)) < 2000
    assert sum(1 for _ in provenance) == 20_001
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del provenance
        gc.collect()
