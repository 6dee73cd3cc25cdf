"""What has come of one thread so far: its checkpoints, turned round, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec import UnsetType

from lgx import Checkpoint, Context, Loss, Record, Run, Spool
from lgx_plugins.cloud.history import HistoryPage
from lgx_plugins.cloud.seen import Seen

__all__ = ["Gathering"]

_NAMED = 50  # missing checkpoints that are listed one by one


class Gathering:
    """Takes the pages of a thread newest first, gives its records oldest first.

    A thread of one page stays in memory. Whatever comes after that page moves it to a spool,
    so that at most one page of the budget is held, and none while another is asked for.
    """

    def __init__(self, thread_id: str, context: Context) -> None:
        self._thread_id = thread_id
        self._context = context
        self._page: HistoryPage | None = None
        self._spools: dict[str, Spool] = {}
        self._seen: Seen | None = None
        self._awaited: set[tuple[str, str]] = set()
        self._unreadable: list[tuple[str, str]] = []
        self.count = 0
        """Checkpoints that came, each once, over all namespaces."""
        self.newest_values = 0
        """Bytes of the thread's present values, as its newest checkpoint shows them."""

    def close(self) -> None:
        """Gives all memory back; may be called again."""
        if self._page is not None:
            self._context.budget.give_page(self._page.taken)
            self._page = None
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()
        if self._seen is not None:
            self._seen.close()
            self._seen = None

    # -- taking in --------------------------------------------------------------------

    def take_page(self, namespace: str, page: HistoryPage) -> int:
        """Takes over a page, newest first; says how many of its rows are new."""
        if self.count == 0 and not namespace and self._seen is None:
            return self._take_first(page)
        try:
            self.stow()
            return sum(self._add(row, "root" if not namespace else "others") for row in page.rows)
        finally:
            self._context.budget.give_page(page.taken)

    def take_salvaged(self, namespace: str, page: HistoryPage) -> int:
        """Takes over a page whose rows stand before all newer ones, older pages first."""
        try:
            self.stow()
            name = "salvaged others" if namespace else "salvaged root"
            return sum(self._add(row, name) for row in reversed(page.rows))
        finally:
            self._context.budget.give_page(page.taken)

    def take_run(self, run: Run) -> None:
        self._spool("runs").append(run)

    def unreadable(self, what: str, why: str) -> None:
        """Says that the server cannot render one checkpoint."""
        self._unreadable.append((what, why))

    def stow(self) -> None:
        """Moves the page in memory to a spool; afterwards nothing of the budget is held."""
        if self._seen is None:
            self._seen = Seen()
        if self._page is None:
            return
        page, self._page = self._page, None
        self.count = 0
        self._awaited.clear()
        try:
            for row in page.rows:
                self._add(row, "root")
        finally:
            self._context.budget.give_page(page.taken)

    def _take_first(self, page: HistoryPage) -> int:
        rows = page.rows
        if not rows:
            self._context.budget.give_page(page.taken)
            return 0
        values = rows[0].values
        if not isinstance(values, UnsetType):
            self.newest_values = memoryview(values).nbytes
        ids = {row.checkpoint_id for row in rows}
        self._page = page
        if len(ids) != len(rows) or any(row.checkpoint_ns for row in rows):
            self.stow()  # keeps each once
            return self.count
        self.count = len(rows)
        parents = {row.parent_checkpoint_id for row in rows}
        self._awaited = {("", parent) for parent in parents - ids if parent is not None}
        return len(rows)

    def _add(self, row: Checkpoint, name: str) -> bool:
        assert self._seen is not None
        if not self._seen.add(f"{row.checkpoint_ns}\0{row.checkpoint_id}"):
            return False
        if row.checkpoint_ns and name in ("root", "salvaged root"):
            name = name.replace("root", "others")
        self._spool(name).append(row)
        self._awaited.discard((row.checkpoint_ns, row.checkpoint_id))
        parent = _parent(row)
        if parent is not None and not self._seen.holds("\0".join(parent)):
            self._awaited.add(parent)
        self.count += 1
        return True

    def _spool(self, name: str) -> Spool:
        if name not in self._spools:
            self._spools[name] = self._context.spool()
        return self._spools[name]

    @property
    def tried(self) -> bool:
        """Whether the server failed to render some of it."""
        return bool(self._unreadable)

    # -- what is missing --------------------------------------------------------------

    @property
    def open_ends(self) -> int:
        """How many checkpoints are named as a parent and have not come."""
        return len(self._awaited)

    def losses(self, stored: int | None) -> list[Loss]:
        """What is known to exist and did not come; `stored`: how many there are, if known."""
        losses = [self._loss(what, why, 1) for what, why in self._unreadable]
        short = len(self._awaited) if stored is None else max(0, stored - self.count)
        if stored is not None:
            # What the server counts holds: a step that fails may have no checkpoint at all.
            losses = losses[:short]
        short -= len(losses)
        if short <= 0:
            return losses
        if not self._unreadable and short <= len(self._awaited) and short <= _NAMED:
            for namespace, checkpoint_id in sorted(self._awaited)[:short]:
                losses.append(
                    self._loss(
                        f"checkpoint {checkpoint_id} of namespace {namespace!r}",
                        "another names it as its parent, and the history ends before it",
                        1,
                    )
                )
            return losses
        total = "more" if stored is None else f"{stored} checkpoints"
        losses.append(
            self._loss(
                f"{short} checkpoints",
                f"the server stores {total}, its histories gave {self.count}",
                short,
            )
        )
        return losses

    def pruned(self, stored: int | None) -> bool:
        """Whether the history begins with a checkpoint whose parent is gone from the server."""
        return stored is not None and self.count >= stored and bool(self._awaited)

    def _loss(self, what: str, why: str, checkpoints: int) -> Loss:
        return Loss(what=what, why=why, thread_id=self._thread_id, checkpoints=checkpoints)

    # -- giving out -------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """The root namespace from its oldest checkpoint on, then the others, then runs."""
        if self._page is not None:
            yield from reversed(self._page.rows)
        none: tuple[Record, ...] = ()
        yield from chain(
            self._spools.get("salvaged root", none),
            reversed(self._spools.get("root", none)),
            self._spools.get("salvaged others", none),
            reversed(self._spools.get("others", none)),
            self._spools.get("runs", none),
        )


def _parent(row: Checkpoint) -> tuple[str, str] | None:
    if row.parent_checkpoint_id is None:
        return None
    return row.checkpoint_ns, row.parent_checkpoint_id
