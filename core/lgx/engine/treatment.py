"""Treatment: what transforms and validators do to a thread between source and sink.

It fails closed. Whatever a transform or validator raises, the thread does not reach the
sink; and what is said about it holds no data, since a message of foreign code may.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator

from lgx.contracts import RecordTransform, RecordValidator, Violation
from lgx.engine.plan import Plan, PlannedTransform, PlannedValidator, kind_of
from lgx.errors import LgxError, ThreadError
from lgx.records import ANY_KIND, Record
from lgx.spool import Bundle, Spool

__all__ = ["Treatment", "summarise"]


class Treatment:
    """Applies the transforms of a plan in their order, and its validators."""

    def __init__(self, plan: Plan, new_spool: Callable[[], Spool]) -> None:
        self._transforms = plan.transforms
        self._validators = plan.validators
        self._new_spool = new_spool

    @property
    def reads(self) -> bool:
        """Whether there is anything to do, so that a dry run has to read."""
        return bool(self._transforms or self._validators)

    async def apply(self, bundle: Bundle) -> Bundle:
        """The thread as the sink is to get it; the bundle given is closed where another returns.

        Raises:
            ThreadError: a transform raised, or does not handle a kind that came.
        """
        for planned in self._transforms:
            spool = self._new_spool()
            try:
                if isinstance(planned.transform, RecordTransform):
                    _apply_records(planned, bundle, spool)
                else:
                    await _apply_thread(planned, bundle, spool)
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
        return bundle

    def apply_extras(self, bundle: Bundle) -> Bundle:
        """The same for records that belong to no thread; only record transforms see them."""
        for planned in self._transforms:
            if not isinstance(planned.transform, RecordTransform):
                continue
            spool = self._new_spool()
            try:
                _apply_records(planned, bundle, spool)
            except BaseException:
                spool.close()
                raise
            bundle.close()
            bundle = Bundle(spool, ref=None, mark=None, outcome=bundle.outcome)
        return bundle

    def violations(self, bundle: Bundle, at: str) -> list[str]:
        """What the validators at that place find, one sentence each.

        Raises:
            ThreadError: a validator raised.
        """
        found = []
        for planned in self._validators:
            if planned.at == at:
                found += [_say(planned.name, item) for item in _check(planned, bundle)]
        return found


def _apply_records(planned: PlannedTransform, bundle: Bundle, spool: Spool) -> None:
    transform = planned.transform
    assert isinstance(transform, RecordTransform)
    for record in bundle:
        _must_handle(planned, record)
        try:
            results = list(transform.apply(record))
        except Exception as error:
            raise _closed("transform", planned.name, error) from error
        for result in results:
            spool.append(result)


async def _apply_thread(planned: PlannedTransform, bundle: Bundle, spool: Spool) -> None:
    transform = planned.transform
    assert not isinstance(transform, RecordTransform)
    if planned.transform.handles != ANY_KIND:
        for record in bundle:
            _must_handle(planned, record)
    try:
        async for result in transform.apply(bundle):
            spool.append(result)
    except Exception as error:
        raise _closed("transform", planned.name, error) from error


def _must_handle(planned: PlannedTransform, record: Record) -> None:
    handles = planned.transform.handles
    if handles != ANY_KIND and kind_of(record) not in handles:
        raise ThreadError(
            f"transform {planned.name} does not handle records of kind {kind_of(record)!r}, "
            "which would pass it untouched"
        )


def _check(planned: PlannedValidator, bundle: Bundle) -> Iterator[Violation]:
    validator = planned.validator
    try:
        if not isinstance(validator, RecordValidator):
            yield from validator.check(bundle)
            return
        for record in bundle:
            if validator.handles == ANY_KIND or kind_of(record) in validator.handles:
                yield from validator.check(record)
    except Exception as error:
        raise _closed("validator", planned.name, error) from error


def _closed(role: str, name: str, error: Exception) -> ThreadError:
    """An error without the words of foreign code, which may quote the data."""
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
