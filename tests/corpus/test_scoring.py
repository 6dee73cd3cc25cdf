"""What counts as found, right and wrong."""

from __future__ import annotations

import pytest

from . import reader
from .scoring import Finding, Score, score, total

TEXT = "Call +49 30 123456 ext. 7, or mail jane@example.org, order 4711."
PHONE = reader.Span("phone", 5, 18, 5, 25, "+4930123456")
MAIL = reader.Span("email", 35, 51, 35, 51, "jane@example.org")


def figures(*findings: Finding) -> dict[str, Score]:
    return score([(TEXT, (PHONE, MAIL))], lambda text: findings)


def test_the_spans_of_this_file_hold_what_they_say() -> None:
    assert [TEXT[s.start : s.end] for s in (PHONE, MAIL)] == ["+49 30 123456", "jane@example.org"]
    assert TEXT[PHONE.outer_start : PHONE.outer_end] == "+49 30 123456 ext. 7"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], Score(planted=1)),
        ([Finding("phone", 5, 18)], Score(1, 1, 1, right=1)),
        ([Finding("phone", 6, 18)], Score(1, 1, 1, right=1)),  # the plus tells nothing
        ([Finding("phone", 4, 19)], Score(1, 1, 1, right=1)),  # nor does space around it
        ([Finding("phone", 5, 25)], Score(1, 1, 1, right=1)),  # the extension may go, too
        ([Finding("phone", 8, 18)], Score(1, right=1)),  # leaves +4
        ([Finding("phone", 5, 11), Finding("phone", 12, 18)], Score(1, 1, 1, right=2)),
        ([Finding("phone", 0, 18)], Score(1, 1, 1, wrong=1)),  # takes "Call" along
        ([Finding("phone", 59, 63)], Score(1, wrong=1)),
        ([Finding("phone", 18, 19)], Score(1, wrong=1)),  # a space
        ([Finding("phone", 5, 18)] * 2, Score(1, 1, 1, right=1)),
    ],
)
def test_findings_of_the_same_entity(findings: list[Finding], expected: Score) -> None:
    assert figures(*findings)["phone"] == expected


def test_a_finding_of_another_entity_covers_and_does_not_find() -> None:
    """It is no false alarm either: something to treat is there."""
    counted = figures(Finding("iban", 5, 18))
    assert counted["phone"] == Score(planted=1, covered=1)
    assert counted["iban"] == Score(confused=1)
    assert (counted["iban"].recall, counted["iban"].precision) == (1.0, 1.0)


def test_a_finding_over_two_values_and_what_is_between_is_wrong() -> None:
    assert figures(Finding("email", 5, 51))["email"] == Score(1, 1, 1, wrong=1)


def test_any_finding_in_a_clean_text_is_wrong() -> None:
    counted = score([("Order 4711", ())], lambda text: [Finding("phone", 6, 10)])
    assert counted == {"phone": Score(wrong=1)}
    assert counted["phone"].precision == 0.0


def test_recall_and_precision_are_of_the_sums() -> None:
    summed = total(figures(Finding("phone", 5, 18), Finding("phone", 59, 63)).values())
    assert summed == Score(planted=2, found=1, covered=1, right=1, wrong=1)
    assert (summed.recall, summed.precision) == (0.5, 0.5)


def test_who_finds_what_is_marked_has_full_marks() -> None:
    """On the whole corpus, clean texts included."""
    marks = {item.text: item.spans for item in reader.planted()}
    texts = [*marks.items(), *((item.text, ()) for item in reader.clean())]
    counted = score(texts, lambda t: [Finding(*s[:3]) for s in marks.get(t, ())])
    summed = total(counted.values())
    assert (summed.recall, summed.precision, summed.confused) == (1.0, 1.0, 0)
    assert set(counted) == set(reader.ENTITIES)
