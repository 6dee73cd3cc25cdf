"""Excuses: what differs in rebuilt threads, and why it could not be otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lgx.verification.report import LeftOut

__all__ = ["EMPTY_CHANNELS", "METADATA", "OF_ITS_OWN", "THE_THREADS", "Excuses"]

OF_ITS_OWN = " that the target has of its own"
"""What the names end with of what did not come from the source."""

THE_THREADS = "the thread's "
"""What the names begin with of keys of a thread's metadata that copies cannot have."""

EMPTY_CHANNELS = "channels that are shown empty"
METADATA = "keys of threads' metadata"

_WHY = {
    EMPTY_CHANNELS: "a checkpointer has nothing of what nothing was written to",
    METADATA: "a checkpointer keeps checkpoints alone, and theirs were taken for the thread's",
    "checkpoints of subgraphs": "servers take none of other namespaces",
    "parents of copies": "a copy comes after its original at the source, and beside it there",
    "parents of checkpoints whose own did not come": "they stand upon what came before them",
    "checkpoints made for a first input to come upon": "the history begins with it, in the middle",
    "step numbers": "the history begins in the middle or leaves numbers out; servers count from "
    "the beginning",
    "what an input dropped": "an update as input leaves it due until the next step, where a run "
    "does not",
    "next of steps that wait for several others": "servers do not tell it",
    "places of usage_metadata and the like": "servers move it into additional_kwargs",
    "what servers show as values": "the newest state was compared",
    "graph ids": "their labels say which they were (--sink-map-graph)",
    "statuses": "servers work them out themselves",
    "vectors and expiry of store items": "servers show neither",
    "system assistants": "servers make them by themselves",
    "ids, payloads and states of crons": "servers give new ones, and lgx creates them disabled",
}
_ELSE = "servers take none from others"
_ADDED = "servers add to it"
_BESIDE = "they did not come from this source"
_KEPT = "servers and lgx keep it for themselves"


class Excuses(Counter[str]):
    """How often each was made; keys of metadata by their path.

    Attributes:
        graphs: digests of the graph ids that a thread had and has, where its label tells.
        derived: threads that differ from what rows show of them in no more than a graph's own
            telling of them does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.graphs: set[tuple[bytes, bytes]] = set()
        self.derived = 0

    def told(self, threads: int) -> Iterator[LeftOut]:
        """What was passed over, for the report. `threads`: how many were rebuilt."""
        if threads:
            yield LeftOut(
                what="ids, times, tasks, interrupts, runs, config and time to live of "
                f"{threads:,} rebuilt thread{'' if threads == 1 else 's'}, and metadata of their "
                "checkpoints but step and source",
                why="servers give their own",
            )
        if self.derived:
            yield LeftOut(
                what="ids, times, tasks, interrupts and metadata but step and source of "
                f"checkpoints of {self.derived:,} thread{'' if self.derived == 1 else 's'}",
                why="a copy that a graph rebuilt has others of its own, where it has any",
            )
        for what, number in sorted(self.items()):
            if what.startswith("metadata."):
                yield LeftOut(
                    what=f"{what} that only rebuilt threads have ({number:,})", why=_ADDED
                )
            else:
                why = _WHY.get(what, _ELSE)
                if what.startswith(THE_THREADS):
                    why = _KEPT
                elif what.endswith(OF_ITS_OWN):
                    why = _BESIDE
                yield LeftOut(what=f"{what} ({number:,})", why=why)
