"""Treatment: what transforms and validators do to a thread between source and sink.

It fails closed. Whatever a transform or validator raises, the thread does not reach the
sink; and what is said about it holds no data, since a message of foreign code may.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from lgx.contracts import RecordTransform, RecordValidator, Transform, Violation
from lgx.engine.closing import closing
from lgx.engine.plan import Plan, PlannedTransform, PlannedValidator
from lgx.errors import FatalError, LgxError, ThreadError
from lgx.records import ANY_KIND, Record
from lgx.spool import Bundle, Spool

__all__ = ["Treatment", "summarise"]

_PAUSE = 1 << 20  # bytes of records between two pauses


class Treatment:
    """Applies the transforms of a plan in their order, and its validators."""

    def __init__(self, plan: Plan, new_spool: Callable[[], Spool]) -> None:
        self._transforms = plan.transforms
        self._validators = plan.validators
        self._accepts = plan.sink.accepts
        self._new_spool = new_spool

    @property
    def reads(self) -> bool:
        """Whether there is anything to do, so that a dry run has to read."""
        return bool(self._transforms or self._validators)

    async def apply(self, bundle: Bundle) -> Bundle:
        """A thread as the sink is to get it; the bundle given is closed where another returns
        and where this raises.

        Raises:
            ThreadError: a transform raised, or does not handle a kind that came.
        """
        bundle = await self._through(self._transforms, bundle)
        if bundle.mark is not None:
            bundle.mark = msgspec.structs.replace(bundle.mark, checkpoints=bundle.checkpoints)
        return bundle

    async def apply_extras(self, bundle: Bundle) -> Bundle:
        """The same for records that belong to no thread; only record transforms see them."""
        seen = [p for p in self._transforms if isinstance(p.transform, RecordTransform)]
        return await self._through(seen, bundle)

    async def _through(self, transforms: Sequence[PlannedTransform], bundle: Bundle) -> Bundle:
        try:
            for number, planned in enumerate(transforms, start=1):
                spool = self._new_spool()
                # What several transforms make of an id is only known after the last.
                last = number == len(transforms) and bundle.ref is not None
                owner = bundle.thread_id if last else None
                try:
                    await self._one(planned, bundle, spool, owner)
                except BaseException:
                    spool.close()
                    raise
                bundle.close()
                bundle = Bundle(
                    spool,
                    ref=bundle.ref,
                    mark=bundle.mark,
                    outcome=bundle.outcome,
                    losses=bundle.losses,
                )
        except BaseException:
            bundle.close()
            raise
        return bundle

    async def _one(
        self, planned: PlannedTransform, bundle: Bundle, spool: Spool, owner: str | None
    ) -> None:
        transform = planned.transform
        if isinstance(transform, RecordTransform):
            results = _apply_records(planned.name, transform, bundle)
        else:
            for record in bundle:
                _must_handle(planned.name, transform, record)
            results = transform.apply(bundle)
        seen = 0
        try:
            async with closing(results) as records:
                async for record in records:
                    self._check_result(record, owner)
                    spool.append(record)
                    if spool.size - seen > _PAUSE:
                        seen = spool.size
                        await asyncio.sleep(0)  # others run, too, while this one is treated
        except FatalError:
            raise
        except Exception as error:
            raise _closed("transform", planned.name, error) from error

    def _check_result(self, record: object, owner: str | None) -> None:
        if not isinstance(record, Record):
            raise ThreadError(f"it gave {type(record).__name__} in place of a record")
        named: str | None = getattr(record, "thread_id", None)
        if owner is not None and named is not None and named != owner:
            raise ThreadError(
                f"it gave a record of thread {named!r} in place of one of {owner!r}; "
                "a transform that changes ids says so by map_ref"
            )
        if self._accepts != ANY_KIND and record.kind not in self._accepts:
            raise ThreadError(
                f"it makes records of kind {record.kind!r}, which the sink has no place for"
            )

    def violations(self, bundle: Bundle, at: str) -> list[str]:
        """What the validators at that place find, one sentence each; of extras, what those
        find that look at single records.

        Raises:
            ThreadError: a validator raised.
        """
        found = []
        for planned in self._validators:
            if planned.at == at and (
                bundle.ref is not None or isinstance(planned.validator, RecordValidator)
            ):
                found += [_say(planned.name, item) for item in _check(planned, bundle)]
        return found


async def _apply_records(
    name: str, transform: RecordTransform[Any], bundle: Bundle
) -> AsyncIterator[Record]:
    for record in bundle:
        _must_handle(name, transform, record)
        for result in transform.apply(record):
            yield result


def _must_handle(name: str, transform: Transform[Any], record: Record) -> None:
    if transform.handles != ANY_KIND and record.kind not in transform.handles:
        raise _UnhandledError(
            f"transform {name} does not handle records of kind {record.kind!r}, "
            "which would pass it untouched"
        )


class _UnhandledError(ThreadError):
    """Said by the engine about a transform, not by the transform."""


def _check(planned: PlannedValidator, bundle: Bundle) -> Iterator[Violation]:
    validator = planned.validator
    try:
        if not isinstance(validator, RecordValidator):
            yield from validator.check(bundle)
            return
        for record in bundle:
            if validator.handles == ANY_KIND or record.kind in validator.handles:
                yield from validator.check(record)
    except FatalError:
        raise
    except Exception as error:
        raise _closed("validator", planned.name, error) from error


def _closed(role: str, name: str, error: Exception) -> ThreadError:
    """An error without the words of foreign code, which may quote the data."""
    if isinstance(error, _UnhandledError):
        return error
    if isinstance(error, LgxError):
        return ThreadError(f"{role} {name}: {error}")
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return ThreadError(f"{role} {name} raised {type(error).__name__}{place}")


def _say(name: str, violation: Violation) -> str:
    message = f": {violation.message}" if violation.message else ""
    return f"{name}: {violation.rule} at {violation.place}{message}"


def summarise(violations: Iterable[str], most: int = 5) -> str:
    """Several violations in one sentence."""
    found = list(violations)
    rest = f"; and {len(found) - most} more" if len(found) > most else ""
    return "; ".join(found[:most]) + rest
