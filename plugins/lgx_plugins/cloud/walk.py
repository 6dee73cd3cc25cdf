"""The walk over all namespaces of one thread, page after page, from the newest to the oldest."""

from __future__ import annotations

from lgx import Checkpoint, Context, Loss
from lgx_plugins.cloud.answers import RefusedError, TooLargeError
from lgx_plugins.cloud.gathering import Gathering
from lgx_plugins.cloud.history import (
    PAGE_BYTES,
    PATIENCE,
    HistoryPage,
    HistoryReader,
    NoCursorError,
    PoisonError,
)
from lgx_plugins.cloud.namespaces import advertised, forms
from lgx_plugins.cloud.salvage import NARROWER, salvage
from lgx_plugins.cloud.storage import Storage

__all__ = ["Walk"]

_DEEPEST = 30  # subgraphs within subgraphs; a hostile server names ever deeper ones


class Walk:
    """The walk over all namespaces of one thread."""

    def __init__(
        self,
        history: HistoryReader,
        gathering: Gathering,
        thread_id: str,
        storage: Storage | None,
        context: Context,
    ) -> None:
        self._history = history
        self._gathering = gathering
        self._thread_id = thread_id
        self._stored = storage.count if storage is not None else None
        self._step = storage.step_size() if storage is not None else None
        self._context = context
        self._asked: set[str] = {""}
        self._waiting: list[str] = []
        self._begun = False  # whether the namespace at hand is known to have a history
        self._refusals: list[Loss] = []
        self._too_deep = False
        self.refused: str | None = None
        """Why the server gives no history of this thread at all."""

    @property
    def count(self) -> int:
        return self._gathering.count

    @property
    def interrupted(self) -> bool:
        """Whether the server refused a part of a history that is known to be there."""
        return bool(self._refusals)

    @property
    def in_doubt(self) -> bool:
        """Whether something was refused or could not be rendered, so that counts matter."""
        return bool(self._refusals) or self._gathering.tried

    def recount(self, storage: Storage) -> None:
        """Takes a count of after the walk in place of that of before."""
        self._stored = storage.count

    async def all(self) -> None:
        """Raises:
        RefusedError: the key is refused (401, 403).
        RetryableError, ThreadError: the thread cannot be read.
        """
        self._waiting.append("")
        while self._waiting:
            namespace = self._waiting.pop()
            self._begun = False
            try:
                await self._namespace(namespace)
            except RefusedError as error:
                if error.status in (401, 403):
                    raise
                if self._begun:
                    self._refuse(f"the rest of namespace {namespace!r}", error)
                elif namespace:
                    self._refuse(f"the namespace {namespace!r}", error)
                else:
                    self.refused = error.detail

    def _refuse(self, what: str, error: RefusedError) -> None:
        self._refusals.append(Loss(what=what, why=str(error), thread_id=self._thread_id))

    def losses(self) -> list[Loss]:
        """What is known to exist and did not come: by the storage count, where there is one;
        otherwise by the parents that are missing and the refusals that were met.
        """
        gathering, stored = self._gathering, self._stored
        if gathering.pruned(stored):
            self._context.note(
                "its history begins with checkpoints whose parents the server no longer has",
                thread_id=self._thread_id,
            )
            return []
        if stored is not None and gathering.count >= stored:
            return []
        return self._refusals + gathering.losses(stored)

    def _found(self, page: HistoryPage) -> None:
        for namespace in advertised(page.rows):
            self._note_namespace(namespace)

    def _note_namespace(self, namespace: str) -> None:
        if namespace in self._asked:
            return
        if namespace.count("|") >= _DEEPEST:
            if not self._too_deep:
                self._too_deep = True
                self._refusals.append(
                    Loss(
                        what=f"namespaces nested more than {_DEEPEST} deep",
                        why="no graph is so deep; the server names ever deeper ones",
                        thread_id=self._thread_id,
                    )
                )
            return
        for form in reversed(forms(namespace)):
            if form not in self._asked:
                self._asked.add(form)
                self._waiting.append(form)

    async def _namespace(self, namespace: str) -> None:
        """All pages of a namespace; step by step where pages fail."""
        last: Checkpoint | None = None
        limit = self._history.limit_for(self._step)
        expected = self._expected(limit)
        narrowed = 0
        while True:
            try:
                # Where something could not be rendered, one more failure just narrows the pages.
                patience = 1 if narrowed else PATIENCE
                page = await self._page(namespace, last, limit, expected, patience)
            except TooLargeError:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)
                expected = PAGE_BYTES
                continue
            except NoCursorError:
                await self._by_steps(namespace)
                return
            except PoisonError:
                self._begun = True
                smaller = [size for size in NARROWER if size < limit]
                if not smaller:
                    await self._by_steps(namespace)
                    return
                limit, narrowed = smaller[0], narrowed + 1
                continue
            rows, size = page.rows, len(page.body)
            self._begun = self._begun or bool(rows)
            self._found(page)
            new = self._gathering.take_page(namespace, page)
            del page
            if not rows or not new or self._complete(len(rows), limit):
                return
            last = rows[-1]
            step = size // len(rows) + 1
            del rows
            limit = self._next_limit(limit, step, narrowed=bool(narrowed))
            expected = limit * step

    async def _page(
        self,
        namespace: str,
        last: Checkpoint | None,
        limit: int,
        expected: int | None,
        patience: int,
    ) -> HistoryPage:
        # One page at a time is held; two readers that each hold one would wait for ever.
        if last is not None or namespace:
            self._gathering.stow()
        if last is None:
            return await self._history.page(
                self._thread_id,
                namespace,
                self._context,
                limit=limit,
                expected=expected,
                patience=patience,
            )
        return await self._history.after(
            self._thread_id,
            namespace,
            self._context,
            last=last,
            limit=limit,
            expected=expected,
            patience=patience,
        )

    def _expected(self, limit: int) -> int | None:
        if self._step is None or self._stored is None:
            return None
        return self._step * min(limit, self._stored + 1)

    def _next_limit(self, limit: int, step: int, *, narrowed: bool) -> int:
        """As many steps as fit, going by the last page; carefully where pages have failed."""
        fitting = max(1, min(self._history.page_size, PAGE_BYTES // step))
        return min(fitting, limit * 10) if narrowed else fitting

    def _complete(self, rows: int, limit: int) -> bool:
        """Whether nothing older can be there: each parent is known, and the page was short
        or all that is stored has come.
        """
        if self._gathering.open_ends:
            return False
        return rows < limit or (self._stored is not None and self.count >= self._stored)

    async def _by_steps(self, namespace: str) -> None:
        self._gathering.stow()
        named = await salvage(
            self._history,
            self._gathering,
            namespace,
            self._context,
            thread_id=self._thread_id,
            step_size=self._step,
            stored=self._stored,
        )
        for name in sorted(named):
            self._note_namespace(name)
