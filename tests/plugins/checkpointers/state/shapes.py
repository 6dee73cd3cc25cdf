"""Graphs of further shapes than the zoo's, each on a thread of its own; see `SHAPES`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Overwrite, Send, interrupt
from pydantic import BaseModel

__all__ = ["SHAPES", "config"]

Saver = BaseCheckpointSaver[Any]


class Lines(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    n: int
    note: str


class Model(BaseModel):
    log: Annotated[list[str], operator.add] = []
    n: int = 0


def config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}, "metadata": {"user": "Zoë"}}


def _writing(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda _: {"log": [name]}


def _joining(saver: Saver) -> Any:
    """Three at once, of which two are waited for; the end waits for all."""
    graph: Any = StateGraph(Lines)
    for name in ("z", "b", "a", "after"):
        graph.add_node(name, _writing(name))
    graph.add_node("last", _writing("last"), defer=True)
    for name in ("z", "b", "a"):
        graph.add_edge(START, name)
    graph.add_edge(["z", "b"], "after")
    graph.add_edge("after", "last")
    graph.add_edge("a", "last")
    return graph.compile(checkpointer=saver)


def _deciding(saver: Saver) -> Any:
    def decide(state: Lines) -> Command[Any]:
        if state.get("n", 0) > 2:
            return Command(goto=END, update={"note": "enough"})
        sends = [Send("work", {"n": n}) for n in range(2)]
        return Command(goto=["count", *sends], update={"n": state.get("n", 0) + 1})

    def work(state: Lines) -> list[Command[Any]]:
        lines = [[f"w{state['n']}"], ["more"], ["still"]]
        return [Command(update={"log": line}) for line in lines]

    graph: Any = StateGraph(Lines)
    graph.add_node("decide", decide, destinations=("work", "count", END))
    graph.add_node("work", work)
    graph.add_node("count", lambda state: {"n": state["n"] + 1})
    graph.add_edge(START, "decide")
    graph.add_edge("count", "decide")
    return graph.compile(checkpointer=saver)


def _two_questions(saver: Saver) -> Any:
    def ask(name: str) -> Callable[[Any], dict[str, Any]]:
        return lambda _: {"log": [interrupt({"who": name})]}

    graph: Any = StateGraph(Lines)
    graph.add_node("one", ask("one"))
    graph.add_node("two", ask("two"))
    graph.add_node("quiet", lambda _: None)
    graph.add_node("after", _writing("after"))
    for name in ("one", "two", "quiet"):
        graph.add_edge(START, name)
        graph.add_edge(name, "after")
    return graph.compile(checkpointer=saver)


def _gated(saver: Saver) -> Any:
    graph: Any = StateGraph(Lines)
    graph.add_node("one", _writing("one"))
    graph.add_node("two", _writing("two"))
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile(checkpointer=saver, interrupt_before=["two"])


def _root(saver: Saver) -> Any:
    schema: Any = Annotated[list, operator.add]
    graph: Any = StateGraph(schema)
    graph.add_node("one", lambda state: ["one"])
    graph.add_node("two", lambda state: ["two"])
    graph.add_edge(START, "one")
    graph.add_edge("one", "two")
    return graph.compile(checkpointer=saver)


def _modelled(saver: Saver) -> Any:
    graph: Any = StateGraph(Model)
    graph.add_node("one", lambda state: {"log": [str(state.n)], "n": state.n + 1})
    graph.add_edge(START, "one")
    return graph.compile(checkpointer=saver)


def _functional(saver: Saver) -> Any:
    @task
    def double(n: int) -> int:
        return 2 * n

    @entrypoint(checkpointer=saver)
    def work(given: dict[str, int], *, previous: Any = None) -> dict[str, Any]:
        found = double(given["n"]).result() + double(1).result()
        asked = interrupt("sure?") if given["n"] > 1 else "no"
        return {"found": found, "asked": asked, "previous": previous}

    return work


def _keeping(saver: Saver) -> Any:
    """A subgraph with a memory of its own."""
    inner: Any = StateGraph(Lines)
    inner.add_node("deep", lambda state: {"log": ["deep"], "note": interrupt("deep?")})
    inner.add_edge(START, "deep")
    outer: Any = StateGraph(Lines)
    outer.add_node("inner", inner.compile(checkpointer=True))
    outer.add_edge(START, "inner")
    return outer.compile(checkpointer=saver)


def _broken(saver: Saver) -> Any:
    def fail(state: Lines) -> Any:
        raise ValueError("no\0 tea \ud800")

    graph: Any = StateGraph(Lines)
    graph.add_node("fine", _writing("fine"))
    graph.add_node("fail", fail)
    graph.add_edge(START, "fine")
    graph.add_edge(START, "fail")
    return graph.compile(checkpointer=saver)


def _run_joining(saver: Saver) -> None:
    for _ in range(2):
        _joining(saver).invoke({"log": ["in"]}, config("joining"))
    # Stopped where nothing has written anything that would tell the task's id.
    _joining(saver).invoke({"log": ["in"]}, config("joining"), interrupt_before=["after"])


def _run_deciding(saver: Saver) -> None:
    graph = _deciding(saver)
    graph.invoke({"log": []}, config("deciding"))
    graph.update_state(config("deciding"), {"log": Overwrite(["new"]), "n": 7}, as_node="count")


def _run_two_questions(saver: Saver) -> None:
    graph = _two_questions(saver)
    graph.invoke({"log": []}, config("two questions"))
    first = graph.get_state(config("two questions")).interrupts[0]
    graph.invoke(Command(resume={first.id: "yes"}), config("two questions"))


def _run_gated(saver: Saver) -> None:
    graph = _gated(saver)
    graph.invoke({"log": []}, config("gated"))
    graph.invoke(None, config("gated"))
    graph.invoke({"log": ["again"], "n": 3}, config("gated"))


def _run_root(saver: Saver) -> None:
    _root(saver).invoke(["in"], config("root"))


def _run_modelled(saver: Saver) -> None:
    for n in range(2):
        _modelled(saver).invoke({"n": n}, config("modelled"))


def _run_functional(saver: Saver) -> None:
    graph = _functional(saver)
    graph.invoke({"n": 1}, config("functional"))
    graph.invoke({"n": 2}, config("functional"))


def _run_keeping(saver: Saver) -> None:
    graph = _keeping(saver)
    graph.invoke({"log": []}, config("keeping"))
    graph.invoke(Command(resume="yes"), config("keeping"))
    graph.invoke({"log": []}, config("keeping"))


def _run_broken(saver: Saver) -> None:
    with suppress(ValueError):
        _broken(saver).invoke({"log": []}, config("broken"))


SHAPES: Mapping[str, tuple[Callable[[Saver], Any], Callable[[Saver], None]]] = {
    "joining": (_joining, _run_joining),
    "deciding": (_deciding, _run_deciding),
    "two questions": (_two_questions, _run_two_questions),
    "gated": (_gated, _run_gated),
    "root": (_root, _run_root),
    "modelled": (_modelled, _run_modelled),
    "functional": (_functional, _run_functional),
    "keeping": (_keeping, _run_keeping),
    "broken": (_broken, _run_broken),
}
"""By thread: how its graph is made, and how it is run."""
