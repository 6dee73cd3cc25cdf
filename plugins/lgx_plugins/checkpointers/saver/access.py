"""A checkpointer, sync or async, by one set of calls: one at a time, outside the event loop."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from lgx import FatalError, LgxError, ThreadError, UsageError
from lgx_plugins.blocking import run_to_end
from lgx_plugins.checkpointers.named import load, shown
from lgx_plugins.checkpointers.saver.factory import is_saver

__all__ = ["Access", "SaverError", "Unlisted"]

T = TypeVar("T")

_SLICE = 0.2  # seconds of listing, after which the run may end it
_WORDS = 300


class SaverError(ThreadError):
    """The checkpointer raised something. `unsupported`: it says that it has no such method."""

    def __init__(self, message: str, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.unsupported = unsupported


class Unlisted(Exception):  # noqa: N818 -- an early end, and no error
    """The run ends before the list does."""


class Access:
    """The checkpointer that a factory gives, between `open` and `close`.

    A sync one is used from one thread of its own, so that it may hold what belongs to a thread;
    an async one from the event loop. Some hold a lock for as long as a list of theirs is open:
    no call begins before the one before it has ended.
    """

    def __init__(self, factory: str) -> None:
        self.factory = factory
        self._stack = AsyncExitStack()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="lgx-saver")
        self._turn = asyncio.Lock()
        self._async = False
        self._saver: Any = None

    # -- its life --------------------------------------------------------------------

    async def open(self) -> None:
        """
        Raises:
            UsageError: there is no such factory, or what it gives is no checkpointer.
            FatalError: it raised something.
        """
        try:
            found = await self._made(load(self.factory, "factory"))
        except LgxError:
            raise
        except Exception as error:
            raise FatalError(f"factory {self.factory!r} raised {_words(error)}") from error
        if not is_saver(found):
            raise UsageError(
                f"factory {self.factory!r} gives a {shown(found)}, which is no "
                "BaseCheckpointSaver of LangGraph's"
            )
        from langgraph.checkpoint.base import BaseCheckpointSaver

        self._saver = found
        kind = type(found)
        if kind.list is BaseCheckpointSaver.list and kind.put is BaseCheckpointSaver.put:
            self._async = True

    async def _made(self, found: Any) -> Any:
        if not is_saver(found) and callable(found):
            try:
                found = await self._work(found)
            except RuntimeError as error:
                if "event loop" not in str(error):
                    raise
                found = found()  # one that takes the running loop for its own
        if inspect.isawaitable(found):
            self._async = True
            found = await found
        if is_saver(found):
            return found  # whoever made it closes it
        if hasattr(found, "__aenter__"):
            self._async = True
            return await self._stack.enter_async_context(found)
        if hasattr(found, "__enter__"):
            return await self._stack.enter_async_context(self._entered(found))
        return found

    @asynccontextmanager
    async def _entered(self, manager: Any) -> AsyncIterator[Any]:
        """A sync context manager, in the thread of its own."""
        yield await self._work(manager.__enter__)
        await self._work(manager.__exit__, None, None, None)

    async def close(self) -> None:
        """May be called again.

        Raises:
            FatalError: closing it raised something.
        """
        try:
            await self._stack.aclose()
        except Exception as error:
            raise FatalError(
                f"closing what factory {self.factory!r} gave raised {_words(error)}"
            ) from error
        finally:
            self._saver = None
            self._worker.shutdown(wait=False)

    # -- what it is --------------------------------------------------------------------

    @property
    def saver(self) -> Any:
        assert self._saver is not None, "used before it was opened"
        return self._saver

    @property
    def name(self) -> str:
        return shown(self.saver)

    @property
    def serde(self) -> Any:
        return self.saver.serde

    @property
    def asynchronous(self) -> bool:
        return self._async

    # -- calls -------------------------------------------------------------------------

    async def each(
        self,
        config: dict[str, Any] | None,
        take: Callable[[Any], None],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Gives each checkpoint that `list(config)` gives to `take`, in a thread, before it asks
        for the next: some give one object again and again.

        Raises:
            SaverError: the checkpointer raised something; what was taken before stays taken.
            Unlisted: `stopping` said so.
        """
        taken = 0

        def counted(item: Any) -> None:
            nonlocal taken
            taken += 1
            take(item)

        async with self._turn:
            try:
                await self._each(config, counted, stopping)
            except SaverError as error:
                if not error.unsupported or taken:
                    raise
                self._async = not self._async
                try:
                    await self._each(config, counted, stopping)
                except SaverError as other:
                    self._async = not self._async
                    if other.unsupported:
                        raise error from None
                    raise

    async def _each(
        self,
        config: dict[str, Any] | None,
        take: Callable[[Any], None],
        stopping: Callable[[], bool],
    ) -> None:
        if self._async:
            await self._each_async(config, take, stopping)
            return
        iterator: Iterator[Any] = await self._sync("list", config)
        try:
            while await self._work(self._some, iterator, take):
                if stopping():
                    raise Unlisted
        finally:
            if hasattr(iterator, "close"):
                await self._work(iterator.close)

    def _some(self, iterator: Iterator[Any], take: Callable[[Any], None]) -> bool:
        end = time.monotonic() + _SLICE
        while time.monotonic() < end:
            with _explained("list", self.name):
                item = next(iterator, None)
            if item is None:
                return False
            take(item)
        return True

    async def _each_async(
        self,
        config: dict[str, Any] | None,
        take: Callable[[Any], None],
        stopping: Callable[[], bool],
    ) -> None:
        with _explained("alist", self.name):
            iterator = aiter(self.saver.alist(config))
        try:
            while True:
                with _explained("alist", self.name):
                    item = await anext(iterator, None)
                if item is None:
                    return
                await self._work(take, item)
                if stopping():
                    raise Unlisted
        finally:
            if hasattr(iterator, "aclose"):
                await iterator.aclose()

    async def get_tuple(self, config: dict[str, Any]) -> Any:
        """One checkpoint; None where there is none."""
        return await self._call("get_tuple", config)

    async def put(
        self, config: Any, checkpoint: Any, metadata: Any, new_versions: dict[str, Any]
    ) -> None:
        await self._call("put", config, checkpoint, metadata, new_versions)

    async def put_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        await self._call("put_writes", config, writes, task_id, task_path)

    async def delete_thread(self, thread_id: str) -> bool:
        """False where the checkpointer has no such method."""
        try:
            await self._call("delete_thread", thread_id)
        except SaverError as error:
            if error.unsupported:
                return False
            raise
        return True

    async def work(self, call: Callable[..., T], *args: Any) -> T:
        """Runs what is not the checkpointer's in the same thread."""
        return await self._work(call, *args)

    async def _call(self, method: str, *args: Any) -> Any:
        async with self._turn:
            try:
                return await self._one(method, *args)
            except SaverError as error:
                if not error.unsupported:
                    raise
                self._async = not self._async
                try:
                    return await self._one(method, *args)
                except SaverError as other:
                    if other.unsupported:
                        raise error from None
                    raise
                finally:
                    self._async = not self._async

    async def _one(self, method: str, *args: Any) -> Any:
        if not self._async:
            return await self._sync(method, *args)
        with _explained(f"a{method}", self.name):
            return await getattr(self.saver, f"a{method}")(*args)

    async def _sync(self, method: str, *args: Any) -> Any:
        def call() -> Any:
            with _explained(method, self.name):
                return getattr(self.saver, method)(*args)

        return await self._work(call)

    async def _work(self, call: Callable[..., T], *args: Any) -> T:
        async def done() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._worker, call, *args)

        return await run_to_end(done())


class _explained:  # noqa: N801 -- used as a statement
    """Makes what a checkpointer raises an error of its thread."""

    def __init__(self, method: str, name: str) -> None:
        self._method = method
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None or isinstance(error, LgxError) or not isinstance(error, Exception):
            return
        raise SaverError(
            f"{self._name}.{self._method} raised {_words(error)}",
            unsupported=isinstance(error, NotImplementedError | AttributeError)
            and _is_the_method_s(error, self._method),
        ) from error


def _is_the_method_s(error: Exception, method: str) -> bool:
    """Whether the error says that there is no such method, and not that it failed inside."""
    if isinstance(error, NotImplementedError):
        return True
    return isinstance(error, AttributeError) and error.name == method


def _words(error: BaseException) -> str:
    """An error in one line; a driver's may go on for pages."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _WORDS else f"{text[:_WORDS]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
