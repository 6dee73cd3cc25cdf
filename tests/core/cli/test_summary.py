"""The summary: short, complete in what it counts, and never wider than a terminal."""

from __future__ import annotations

import msgspec

from lgx.cli.summary import in_brief, summary
from lgx.report import Counts, Failure, Note, Report, Unmoved
from lgx.threads import Loss

LONG = "the server answered 500 to this and to everything else that was asked of it " * 2


def test_everything_that_a_report_can_tell() -> None:
    """Counts, extras, traffic; what is missing apart from what was left as somebody asked, and
    from what the target cannot hold."""
    report = Report(
        source="cloud",
        sink="sqlite",
        seconds=83,
        threads=Counts(listed=1300, unchanged=100, written=1190, partial=2, failed=3, gone=5),
        checkpoints=Counts(listed=20_000, written=19_990, partial=7, failed=3),
        extras={"store_item": 500, "assistant": 12, "cron": 0},
        bytes=1_234_567_890,
        received=234_567_890,
        requests=1400,
        retries=6,
        failures=[
            Failure(thread_id="a\n\x1b[2J", what="thread", why=LONG.strip()),
            Failure(thread_id=None, what="store items", why="the server answered 403"),
        ],
        losses=[
            Loss(what="crons", why="the server shows them without their keys", holdable=False),
            Loss(thread_id="b", what="checkpoint c", why="poisoned"),
            Loss(thread_id="d", what="thread", why="it was left", holdable=False, left=True),
        ],
        notes=[Note(message="the server shows no storage counts")],
    )

    lines = summary(report, report_path="r.json")

    assert max(map(len, lines)) <= 80
    assert lines == [
        "cloud → sqlite (in 1:23)",
        "  threads      1,190 written, 100 unchanged, 2 in part, 3 failed, 5 gone",
        "               meanwhile (of 1,300)",
        "  checkpoints  19,990 written, 7 in part, 3 failed (of 20,000)",
        "  others       12 assistants, 500 store items",
        "  traffic      1.2 GB of records, 235 MB received, 1,400 requests, 6 retries",
        "missing (2):",
        "  - store items: the server answered 403",
        "  - thread a\\n\\x1b[2J: the server answered 500 to this and to everything else",
        "    that was asked of it the server answered 500 to this and to everything else",
        "    that was asked of it",
        "  try these threads again with --retry r.json",
        "left as it stands there (1):",
        "  - thread d: it was left",
        "cannot be held there (1):",
        "  - crons: the server shows them without their keys",
        "notes (1):",
        "  - the server shows no storage counts",
    ]


def test_a_run_that_was_ended_says_what_it_did_not_reach() -> None:
    report = Report(
        source="a",
        sink="b",
        seconds=3,
        signal=2,
        threads=Counts(listed=210, written=200),
        checkpoints=Counts(listed=400, written=400),
        not_reached=300,
    )

    assert summary(report) == [
        "a → b (ended early, after 3.0 s)",
        "  threads      200 written, 300 not reached (of 500)",
        "  checkpoints  400 written (of 400)",
        "  run the same command again: it goes on with all that is missing",
    ]
    report.dry_run = True
    assert summary(report)[-1] == "  checkpoints  400 written"


def test_what_is_missing_in_one_sentence() -> None:
    """Threads, and what belongs to none; of a dry run it has not happened."""
    failures = [
        Failure(thread_id="a", what="thread", why="it is too large"),
        Failure(thread_id="b", what="checkpoint", why="poisoned"),
        Failure(thread_id=None, what="crons", why="the server answered 403"),
    ]
    report = Report(threads=Counts(listed=2, failed=1, partial=1), failures=failures)

    assert in_brief(report, report_path="r.json") == (
        "1 thread failed, 1 thread arrived in part, 1 failure of what belongs to no thread; "
        "see r.json"
    )
    report = Report(dry_run=True, threads=Counts(listed=2, failed=2), failures=failures[:2])
    assert in_brief(report) == "2 threads would fail; use --report FILE to see all"
    assert in_brief(Report(failures=failures[:1])).startswith("1 failure; ")


def test_an_endless_word_is_broken() -> None:
    """Ids and names of 100 characters and more do not make lines of that many columns."""
    report = Report(failures=[Failure(thread_id="x" * 110, what="y" * 300, why="gone wrong")])

    assert max(map(len, summary(report))) == 80


def test_an_empty_id_is_shown_as_one() -> None:
    """It may be one, or a variable that was not set."""
    report = Report(failures=[Failure(thread_id="", what="thread", why="there is none")])

    assert summary(report)[-1] == "  - thread '': there is none"
    report.failures.append(Failure(thread_id="b", what="thread", why="there is none"))
    assert summary(report)[-1] == "  - each of 2 threads: there is none ('', b)"


def test_an_id_without_end_is_shortened() -> None:
    """Anything is an id; people see how it begins and ends. So it is in what is said of it, and
    with any other word."""
    own, other = "a b" + "x" * 4990 + "y 12345", "z" * 5000
    report = Report(
        failures=[
            Failure(thread_id=own, what="thread", why=f"thread {own!r} is none; nor {other}"),
        ]
    )
    short = f"a b{'x' * 57}…{'x' * 13}y 12345 (5,000 characters)"

    lines = summary(report)[3:]

    assert "".join(" ".join(lines).split()) == "".join(
        f"missing (1): - thread {short}: thread '{short}' is none; nor "
        f"{'z' * 60}…{'z' * 20} (5,000 characters)".split()
    )
    report.failures.append(Failure(thread_id=other, what="thread", why=report.failures[0].why))
    report.failures[0] = msgspec.structs.replace(report.failures[0], why="gone", thread_id=other)
    assert len(" ".join(summary(report))) < 800


def test_a_run_that_could_not_begin_has_nothing_to_sum_up() -> None:
    assert summary(Report(source="a", sink="b", aborted="the key was refused")) == []


def test_one_is_one() -> None:
    """Nothing is `1 assistants`, and no kind is spelt as in a file."""
    report = Report(extras={"assistant": 1, "cron": 2, "store_item": 1}, requests=1, retries=1)

    assert summary(report)[3:] == [
        "  others       1 assistant, 2 crons, 1 store item",
        "  traffic      1 request, 1 retry",
    ]


def test_a_thread_is_named_once() -> None:
    """All that it lacks stands together, and one reason of many threads is told once, also
    where it names the thread; ten entries, and how many others there are: what is counted is
    what is shown."""
    ids = [f"thread-{number:04}" for number in range(7)]
    failures = [
        *(Failure(thread_id=i, what="thread", why=f"no answer to GET /{i}") for i in ids),
        *(Failure(thread_id="x", what=f"checkpoint {n}", why="500") for n in range(5)),
        Failure(thread_id="x", what="thread", why="it was read in part only"),
        *(Failure(thread_id=f"y{n}", what="thread", why=f"reason {n}") for n in range(9)),
    ]

    assert summary(Report(failures=failures), report_path="r.json")[3:] == [
        "missing (11):",
        "  - each of 7 threads: no answer to GET /… (thread-0000, thread-0001,",
        "    thread-0002 and 4 more)",
        "  - thread x: checkpoint 0, checkpoint 1, checkpoint 2 and 2 more: 500; it was",
        "    read in part only",
        *(f"  - thread y{n}: reason {n}" for n in range(8)),
        "  and 1 more; see r.json",
        "  try these threads again with --retry r.json",
    ]


def test_losses_of_one_kind_are_summed() -> None:
    """Whatever else their threads lack; what one thread alone lacks stands with that thread."""
    numbers = {"a": 1, "b": 4, "c": 8, "d": 83}
    losses = [
        *(loss(i, f"{n} checkpoint{'s' * (n > 1)} of subgraphs", "no") for i, n in numbers.items()),
        *(loss(i, "its pending interrupts", "asked again") for i in "bd"),
        loss("a", "status error", "none takes it"),
        loss("a", "2 things", "why"),
        loss(None, "channel 'x'", "it stays data"),
    ]

    assert summary(Report(losses=losses))[3:] == [
        "cannot be held there (4):",
        "  - channel 'x': it stays data",
        "  - 96 checkpoints of subgraphs in 4 threads (a, b, c and 1 more): no",
        "  - its pending interrupts in 2 threads (b, d): asked again",
        "  - thread a: status error: none takes it; 2 things: why",
    ]


def loss(thread_id: str | None, what: str, why: str) -> Loss:
    return Loss(thread_id=thread_id, what=what, why=why, holdable=False)


def test_a_sentence_about_a_thread_reads_well_of_several() -> None:
    notes = [Note(message="it has no history: its graph is gone", thread_id=i) for i in "ab"]

    assert summary(Report(notes=notes))[3:] == [
        "notes (1):",
        "  - each of 2 threads: it has no history: its graph is gone (a, b)",
    ]


def test_what_was_not_reached_is_finished_by_the_same_command() -> None:
    """One advice: a run that only tries the failed threads again would leave the others."""
    failed = [Failure(thread_id="a", what="thread", why="gone wrong")]
    report = Report(
        source="a", sink="b", seconds=3, signal=2, failures=failed,
        threads=Counts(listed=500, written=200, failed=1), not_reached=299,
    )  # fmt: skip

    assert summary(report, report_path="r.json", listed_all=False) == [
        "a → b (ended early, after 3.0 s)",
        "  threads      200 written, 1 failed, at least 299 not reached",
        "  checkpoints  0 written (of 0)",
        "missing (1):",
        "  - thread a: gone wrong",
        "  run the same command again: it goes on with all that is missing",
    ]
    report.signal, report.aborted = None, "nothing was heard; run again when it is back"
    assert summary(report, report_path="r.json")[-1] == "  - thread a: gone wrong"


def test_a_dry_run_that_asked_for_nothing_shows_no_traffic() -> None:
    assert summary(Report(source="a", sink="b", dry_run=True, threads=Counts(listed=2))) == [
        "a → b (dry run: nothing was written)",
        "  threads      0 would move (of 2)",
    ]


def test_a_dry_run_says_what_would_fail() -> None:
    """It has failed for nobody yet; how many checkpoints there are in all it does not tell."""
    report = Report(
        source="a",
        sink="b",
        dry_run=True,
        threads=Counts(listed=65, unchanged=43, failed=2),
        would_move=[Unmoved(thread_id=str(n), version="1") for n in range(20)],
        checkpoints=Counts(listed=120, unchanged=100, failed=20),
        failures=[Failure(thread_id="x", what="thread", why="it is too large")],
    )

    assert summary(report)[1:3] == [
        "  threads      20 would move, 43 unchanged, 2 would fail (of 65)",
        "  checkpoints  100 unchanged, 20 would fail",
    ]


def test_what_stood_there_already_is_not_told_as_written() -> None:
    report = Report(extras={"store_item": 2}, extras_unchanged={"assistant": 3, "cron": 1})

    assert summary(report)[3:] == [
        "  others       2 store items, 3 assistants there already, 1 cron there already"
    ]
