"""What a verification is to do, as plain data."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from lgx.query import Query
from lgx.spec import RunSpec, Use

__all__ = ["VerifySpec"]

_RUN = RunSpec(source=Use(name=""), sink=Use(name=""))


class VerifySpec(Struct, frozen=True, kw_only=True):
    """One verification; of one side alone where the other is None.

    Attributes:
        sink: the plugin that wrote what is to be compared, with its options; it is read by the
            source of that name.
        query: chooses among the threads of the source, or of the one side there is; the sink
            is then looked at for these alone.
        sample: so many threads of the source, chosen by `seed`.
        concurrency, memory, attempts, spool_directory: as of a run, for both sides together;
            `concurrency` for each.
    """

    source: Use | None = None
    sink: Use | None = None
    query: Query = Query()
    sample: int | None = None
    seed: str = ""
    concurrency: int = _RUN.concurrency
    memory: int = _RUN.memory
    attempts: int = _RUN.attempts
    spool_directory: Path | None = None

    @property
    def chooses(self) -> bool:
        """Whether some threads of the source may be left out."""
        return self.query.filtered or self.sample is not None
