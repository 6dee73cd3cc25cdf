"""Namespaces are found wherever a task names them."""

from __future__ import annotations

import pytest

from lgx import Checkpoint, raw
from lgx_plugins.cloud.namespaces import advertised, forms


@pytest.mark.parametrize(
    ("namespace", "asked"),
    [
        ("plain", ("plain",)),
        ("node:id", ("node", "node:id")),
        ("a:1|b:2", ("a|b", "a:1|b:2")),
        ("a:1|1", ("a|1", "a:1|1")),
        ("a|b:2", ("a|b", "a|b:2")),
    ],
)
def test_a_namespace_is_asked_for_with_and_without_task_ids(
    namespace: str, asked: tuple[str, ...]
) -> None:
    assert forms(namespace) == asked


def checkpoint(tasks: object) -> Checkpoint:
    return Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="1", tasks=raw(tasks))


def test_every_task_is_heard() -> None:
    """Those without a namespace, and results that merely look like one, are not."""
    rows = [
        checkpoint([{"id": "1", "checkpoint": None, "result": {"checkpoint_ns": "no"}}]),
        checkpoint(
            [
                {"id": "2", "checkpoint": {"checkpoint_ns": "a:2", "thread_id": "t"}},
                {"id": "3", "checkpoint": {"checkpoint_ns": ""}},
                {"id": "4", "checkpoint": {"checkpoint_ns": "b:4"}},
            ]
        ),
        checkpoint([]),
    ]
    assert list(advertised(rows)) == ["a:2", "b:4"]


def test_tasks_that_nest_past_a_thousand_levels_are_heard() -> None:
    """What the fast decoder refuses takes the slower road."""
    deep = "[" * 3000 + "]" * 3000
    text = f'[{{"result":{deep},"checkpoint":{{"checkpoint_ns":"a:2"}}}}]'
    row = Checkpoint(
        thread_id="t", checkpoint_ns="", checkpoint_id="1", tasks=type(raw(1))(text.encode())
    )
    assert list(advertised([row])) == ["a:2"]
