"""A travel desk without a language model: looks a city up, proposes a trip, asks, books.

Loaded by the demo's server alone, which is where LangGraph is installed.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.graph import END, START, StateGraph  # noqa: TID253 - no plugin: the server's app
from langgraph.graph.message import add_messages  # noqa: TID253
from langgraph.types import interrupt  # noqa: TID253

CITIES = {
    "Lisbon": ("the tram 28, Alfama and the river at dusk", "mild, with a breeze", 420),
    "Kyoto": ("Fushimi Inari, moss gardens and small coffee bars", "clear and cool", 1280),
    "Zürich": ("the lake, the old town and a day in the hills", "sun over the fog", 610),
    "Oslo": ("the opera's roof, saunas and the fjord ferries", "bright and cold", 540),
    "Oaxaca": ("markets, Monte Albán and seven kinds of mole", "warm and dry", 990),
}
ASK_FROM = 500
"""Trips that cost more than this are booked only after somebody agreed."""


class Travel(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    notes: Annotated[list[str], operator.add]
    city: str
    price: int
    booked: bool


class Research(TypedDict, total=False):
    city: str
    facts: Annotated[list[str], operator.add]
    notes: list[str]


def listen(state: Travel) -> dict[str, Any]:
    """The city that the newest message names; the one already in mind otherwise."""
    text = str(state["messages"][-1].content)
    named = [city for city in CITIES if city in text]
    city = named[0] if named else state.get("city", "Lisbon")
    return {"city": city, "price": CITIES[city][2], "booked": False}


def sights(state: Research) -> dict[str, Any]:
    return {"facts": [f"see {CITIES[state['city']][0]}"]}


def weather(state: Research) -> dict[str, Any]:
    return {"facts": [f"the weather: {CITIES[state['city']][1]}"]}


def collect(state: Research) -> dict[str, Any]:
    return {"notes": [f"{state['city']}: {'; '.join(sorted(state['facts']))}"]}


def propose(state: Travel) -> dict[str, Any]:
    text = f"{state['notes'][-1]}. Three days for {state['price']} euros?"
    return {"messages": [AIMessage(text, response_metadata={"model": "none"})]}


def agree(state: Travel) -> dict[str, Any]:
    """Waits for a person where the trip is dear."""
    if state["price"] <= ASK_FROM:
        return {"booked": True}
    answer = interrupt({"question": f"book {state['city']} for {state['price']} euros?"})
    return {"booked": answer == "yes"}


def close(state: Travel) -> dict[str, Any]:
    text = f"Booked: {state['city']}." if state["booked"] else "Nothing booked; ask again any time."
    return {"messages": [AIMessage(text, response_metadata={"model": "none"})]}


def build_research() -> Any:
    graph = StateGraph(Research)
    graph.add_node("sights", sights)
    graph.add_node("weather", weather)
    graph.add_node("collect", collect)
    graph.add_edge(START, "sights")
    graph.add_edge(START, "weather")
    graph.add_edge(["sights", "weather"], "collect")
    graph.add_edge("collect", END)
    return graph.compile()


def build_travel() -> Any:
    graph = StateGraph(Travel)
    graph.add_node("listen", listen)
    graph.add_node("research", build_research())
    graph.add_node("propose", propose)
    graph.add_node("agree", agree)
    graph.add_node("close", close)
    graph.add_edge(START, "listen")
    graph.add_edge("listen", "research")
    graph.add_edge("research", "propose")
    graph.add_edge("propose", "agree")
    graph.add_edge("agree", "close")
    graph.add_edge("close", END)
    return graph.compile()


travel = build_travel()
