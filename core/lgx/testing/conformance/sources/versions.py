"""Versions, by which a later run knows what has changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lgx.context import Context
from lgx.query import Query
from lgx.testing.conformance.reading import Contents
from lgx.testing.conformance.running import run_test
from lgx.testing.conformance.sources.kit import SourceFactory, SourceKit, read_source

__all__ = ["Versions"]


class Versions(SourceKit):
    """They change with their thread, and only then."""

    def test_versions_stay_while_nothing_changes(self, source_factory: SourceFactory) -> None:
        """Another object over the same data gives each thread the same version."""

        async def test(context: Context) -> None:
            first = await read_source(source_factory, Query(), context)
            second = await read_source(source_factory, Query(), context)
            assert _versions(first) == _versions(second)

        run_test(test)

    def test_a_change_changes_the_version(
        self, source_factory: SourceFactory, change: Callable[[], Any] | None
    ) -> None:
        """That of the changed thread, and no other."""
        if self.never_changes:
            return
        assert change is not None, "give a fixture `change`, or say why in `never_changes`"

        async def test(context: Context) -> None:
            before = _versions(await read_source(source_factory, Query(), context))
            changed = change()
            if inspect.isawaitable(changed):
                changed = await changed
            after = _versions(await read_source(source_factory, Query(), context))
            differing = {
                thread_id
                for thread_id in before | after
                if before.get(thread_id) != after.get(thread_id)
            }
            assert differing == {changed}

        run_test(test)


def _versions(contents: Contents) -> dict[str, str]:
    return {ref.thread_id: ref.version for ref in contents.refs}
