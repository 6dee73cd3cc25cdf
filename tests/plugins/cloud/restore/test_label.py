"""The label in a thread's metadata: what lgx reads from it, whatever else may stand there."""

from __future__ import annotations

import msgspec
import pytest

from lgx import Mark, Origin, ThreadOrigin
from lgx_plugins.cloud.restore.label import KEY, Label, is_labelled, label_of


def read_back(label: Label) -> Label | None:
    return label_of({KEY: msgspec.Raw(msgspec.json.encode(label))}, "t")


def test_a_finished_copy_has_a_mark() -> None:
    label = read_back(
        Label(
            version="v", fingerprint="f", checkpoints=3, source="s", fidelity="replayed", head="c"
        )
    )
    assert label is not None
    assert label.mark == Mark(version="v", fingerprint="f", checkpoints=3)
    assert (label.source, label.head, label.unfinished) == ("s", "c", False)


@pytest.mark.parametrize(
    "label",
    [
        Label(
            version="v",
            fingerprint="f",
            fidelity="replayed",
            source="s",
            unfinished=True,
            attempt="a" * 32,
        ),
        Label(fidelity="values", source="s"),
    ],
)
def test_what_is_not_whole_has_none(label: Label) -> None:
    """Because it is being written, or something that could be held is missing."""
    found = read_back(label)
    assert found is not None
    assert found.mark is None


@pytest.mark.parametrize(
    "other",
    [
        *('"mine"', "7", "null", "[]", "{}", '{"version": 7, "fidelity": "replayed"}'),
        *('{"fidelity": "replayed", "unfinished": "yes"}', '{"version": "mine"}'),
        *('{"source": "s", "unfinished": true, "attempt": "x"}', '{"fidelity": "replayed"}'),
    ],
)
def test_what_somebody_else_keeps_there_is_no_label(other: str) -> None:
    metadata = {KEY: msgspec.Raw(other.encode())}
    assert label_of(metadata, "t") is None
    assert not is_labelled(metadata)
    assert label_of({}, "t") is None


@pytest.mark.parametrize(("here", "own"), [(None, True), ("t", True), ("another", False)])
def test_a_label_that_names_another_thread_is_that_threads(here: str | None, own: bool) -> None:
    """A server's copy of the thread has it; older ones name none."""
    label = Label(version="v", source="s", fidelity="replayed", here=here)
    assert (read_back(label) is not None) is own
    assert is_labelled({KEY: msgspec.Raw(msgspec.json.encode(label))})


def test_provenance_is_not_read_where_labels_are_looked_up() -> None:
    """Of a thread of thousands of checkpoints it is the most."""
    origin = ThreadOrigin(checkpoints=tuple(Origin(f"c{n}", None, None) for n in range(5000)))
    label = read_back(Label(version="v", source="s", fidelity="replayed", provenance=origin))
    assert label is not None
    assert msgspec.json.decode(msgspec.json.encode(label.provenance)) is None
