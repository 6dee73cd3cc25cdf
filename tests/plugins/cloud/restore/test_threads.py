"""What of a thread's record a server takes, and what is told of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from lgx import Checkpoint, Loss, Thread, ThreadError, raw
from lgx_plugins.cloud.restore.threads import (
    Built,
    Tip,
    expected,
    graph_of,
    is_configured,
    missing,
    sent_of,
    thread_ttl,
    tip_of,
)

_BULK = ("metadata", "values", "interrupts", "config")


def thread(**fields: Any) -> Thread:
    bulk = {k: raw(v) for k, v in fields.items() if k in _BULK}
    return Thread(thread_id="t", **{**fields, **bulk})


def built(metadata: Any, status: str = "idle", interrupts: Any = None) -> Built:
    return Built(status=status, metadata=raw(metadata), interrupts=raw(interrupts or {}))


def told(losses: list[Loss]) -> dict[str, bool]:
    """By what is missing whether a server could hold it."""
    return {loss.what: loss.holdable for loss in losses}


def test_reserved_keys_and_labels_are_kept_back() -> None:
    label = {"fidelity": "replayed", "version": "1", "source": "s"}
    own = thread(metadata={"owner": "ann", "run_id": "r", "assistant_id": "a", "lgx": label})
    sent = sent_of(own, "agent")
    assert sent.fields == {"owner": raw("ann"), "graph_id": raw("agent")}
    assert sent.kept_back == {"run_id", "assistant_id"}
    assert not sent.taken


@pytest.mark.parametrize("ends", [{"fidelity": "replayed"}, {"unfinished": True}])
def test_the_label_of_another_thread_goes_nowhere(ends: dict[str, Any]) -> None:
    """A server's copy of a copy is a thread of its user's; nothing of theirs was under the key."""
    label = {"source": "s", "here": "another", "attempt": "a" * 32, **ends}
    sent = sent_of(thread(metadata={"owner": "ann", "lgx": label}), None)
    assert (sent.fields, sent.taken) == ({"owner": raw("ann")}, False)


def test_what_somebody_keeps_under_lgx_s_own_key_is_told() -> None:
    own = thread(metadata={"lgx": "mine"})
    sent = sent_of(own, None)
    assert told(missing("t", own, sent, built({}, "idle"))) == {"metadata 'lgx'": False}


def test_half_a_copy_is_not_copied_on() -> None:
    own = thread(metadata={"lgx": {"unfinished": True, "attempt": "a" * 32, "source": "s"}})
    with pytest.raises(ThreadError, match="labelled unfinished where it comes from"):
        sent_of(own, None)


@pytest.mark.parametrize("graph", [7, ["agent"], {}])
def test_a_graph_that_is_no_name_fails_the_thread(graph: Any) -> None:
    with pytest.raises(ThreadError, match="graph_id what is no text"):
        graph_of(thread(metadata={"graph_id": graph}))


def test_nothing_is_told_of_what_is_the_same() -> None:
    """Whatever the server calls the same number, and whatever it sets by itself."""
    own = thread(status="idle", metadata={"n": 1.0, "é": {"b": 1, "a": 2}})
    held = {"é": {"a": 2, "b": 1}, "n": 1, "run_id": "other", "lgx": {}}
    assert missing("t", own, sent_of(own, None), built(held)) == []


def test_what_the_server_did_not_keep_is_told() -> None:
    own = thread(status="idle", metadata={"owner": "ann", "team": "a"})
    losses = missing("t", own, sent_of(own, None), built({"owner": "root", "added": 1}))
    assert told(losses) == {
        "metadata 'owner', 'team'": True,
        "the absence of metadata 'added'": False,
    }


@pytest.mark.parametrize(
    ("status", "there", "exact", "holdable"),
    [
        ("error", "idle", False, False),
        ("busy", "idle", False, False),
        ("idle", "interrupted", False, False),
        ("interrupted", "idle", False, True),
        ("interrupted", "idle", True, False),
    ],
)
def test_another_status_is_told(status: str, there: str, exact: bool, holdable: bool) -> None:
    """Where the history came out exact, it is the server that calls it so."""
    own = thread(status=status)
    losses = missing("t", own, sent_of(own, None), built({}, there), exact=exact)
    assert told(losses) == {f"status {status}": holdable}


def test_pending_interrupts_are_told() -> None:
    own = thread(interrupts={"task": [{"value": "?"}]})
    losses = missing("t", own, sent_of(own, None), Built())
    assert told(losses) == {"its pending interrupts": False}


@pytest.mark.parametrize(
    ("interrupts", "tasks", "asks"),
    [
        ([{"value": "?"}], [], True),
        (None, [{"id": "t", "interrupts": []}, {"id": "u", "interrupts": [{"value": "?"}]}], True),
        ([], [{"id": "t"}], False),
        (None, None, False),
        (None, "odd", False),
    ],
)
@pytest.mark.parametrize("said", [None, {}])
def test_questions_that_the_history_alone_holds_are_told(
    interrupts: Any, tasks: Any, asks: bool, said: Any
) -> None:
    """Wherever they stand there; what a thread itself says goes before it."""
    newest = Checkpoint(
        thread_id="t",
        checkpoint_ns="",
        checkpoint_id="c",
        interrupts=raw(interrupts),
        tasks=raw(tasks),
    )
    own = thread() if said is None else thread(interrupts=said)
    losses = missing("t", own, sent_of(own, None), Built(), tip_of(newest))
    wanted = {"its pending interrupts": False} if asks and said is None else {}
    assert told(losses) == wanted


def test_keys_that_servers_strip_are_told() -> None:
    """One by one: no search by them finds the thread."""
    own = thread(metadata={"assistant_id": "a", "owner": "ann", "run_id": "r"})
    losses = missing("t", own, sent_of(own, None), built({"owner": "ann"}))
    assert told(losses) == {"metadata 'assistant_id'": False, "metadata 'run_id'": False}


@pytest.mark.parametrize(
    ("tip", "status"), [(Tip(due=True), "interrupted"), (Tip(), "idle"), (Tip(due=None), None)]
)
def test_a_status_is_told_beforehand_where_the_history_says_what_is_next(
    tip: Tip, status: str | None
) -> None:
    """One that servers give to no thread that was rebuilt is told in any case."""
    for said in ("interrupted", "idle", "error"):
        own = thread(status=said)
        there = expected(own, sent_of(own, None), tip)
        assert there.status in (None, status)
        lost = said == "error" or there.status not in (None, said)
        losses = missing("t", own, sent_of(own, None), there, tip, exact=True)
        assert told(losses) == ({f"status {said}": False} if lost else {})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"configurable": {"tone": "kind"}}, True),
        ({"configurable": {}, "recursion_limit": 7}, True),
        ({"configurable": {}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_what_runs_left_as_a_threads_config_is_seen(config: Any, says: bool) -> None:
    assert is_configured(thread(config=config)) == says


def test_values_without_a_history_are_told() -> None:
    own = thread(values={"n": 1})
    sent = sent_of(own, None)
    assert told(missing("t", own, sent, Built(), bare=True)) == {"its values": True}
    assert missing("t", thread(values={}), sent, Built(), bare=True) == []


@pytest.mark.parametrize(
    ("told_ttl", "sent"),
    [
        ({"ttl_minutes": 60, "strategy": "keep_latest"}, {"ttl": 60, "strategy": "keep_latest"}),
        ({"ttl": 1.5}, {"ttl": 1.5, "strategy": "delete"}),
        ({"strategy": "delete"}, None),
        (None, None),
        (60, None),
    ],
)
def test_a_time_to_live_is_sent_as_servers_take_it(told_ttl: Any, sent: Any) -> None:
    found = thread_ttl(thread(extra={"ttl": raw(told_ttl)}))
    assert found == (None if sent is None else raw(sent))
