"""What every plugin class has, and what every source and sink has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import ClassVar, Generic, TypeVar

from lgx.config import Config
from lgx.context import Context
from lgx.facts import Probe

__all__ = ["C", "Component", "Endpoint"]

C = TypeVar("C", bound=Config)


class Component(ABC, Generic[C]):
    """What every plugin class has: a name, typed options, and a constructor that takes them.

    The constructor only keeps the config: no file, connection or network is touched.
    """

    name: ClassVar[str]
    """The entry point's name, by which users call it; a sink and a source may share it."""

    summary: ClassVar[str] = ""
    """One line for `lgx plugins`."""

    config_type: ClassVar[type[Config]]

    def __init__(self, config: C) -> None:
        self.config = config


class Endpoint(Component[C]):
    """A source or a sink: opened once, closed once, by the engine.

    `__aenter__` opens what exists and creates nothing. `__aexit__` frees everything, also
    after a failure, and leaves nothing half done under a final name.
    """

    async def __aenter__(self) -> Endpoint[C]:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def versions(self, context: Context) -> Mapping[str, str]:
        """Of the server or format behind it, for the report: `{"langgraph-api": "0.16.7"}`.

        Called once at the begin of a run, while open; the first use of the far side, so
        that a wrong address or a refused key comes to light here.
        """
        return {}

    @abstractmethod
    async def probe(self, context: Context) -> Probe:
        """Checks credentials, reachability, versions and limits; moves and creates nothing.

        Called while open, by `lgx doctor`. What is wrong with the far side is a fact of level
        `error`, or the error that using it would raise.
        """
