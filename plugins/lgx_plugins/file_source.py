"""What sources that read one file have in common."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from lgx import Config, Loss, Record, StreamSource, ThreadEnd
from lgx_plugins.blocking import run_blocking
from lgx_plugins.inputs import Input

__all__ = ["FileSource", "FileSourceConfig", "Item"]

Item: TypeAlias = Record | ThreadEnd | Loss
"""What `scan` yields."""


class FileSourceConfig(Config, frozen=True, kw_only=True):
    path: Path


C = TypeVar("C", bound=FileSourceConfig)


class FileSource(StreamSource[C]):
    """Reads a file or standard input, which is kept on disk where it is read twice."""

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._input = Input(config.path)

    async def __aenter__(self) -> Self:
        try:
            await run_blocking(self._input.open)
        except BaseException:
            self._input.close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await run_blocking(self._input.close)

    @abstractmethod
    async def _origin(self) -> str | None:
        """The identity of the place that the file says its threads come from."""

    async def identity(self) -> str:
        origin = await self._origin()
        if origin is not None:
            return origin
        return "stdin" if str(self.config.path) == "-" else str(self.config.path.resolve())
