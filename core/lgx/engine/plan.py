"""The plan: the components of a run, made and checked before anything is read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from lgx.config import convert
from lgx.contracts import (
    BundleValidator,
    Component,
    RecordTransform,
    RecordValidator,
    Sink,
    SourceBase,
    ThreadTransform,
)
from lgx.errors import UsageError
from lgx.query import Query
from lgx.records import ANY_KIND, EXTRA_KINDS, Record, UnknownRecord
from lgx.registry import Registry
from lgx.secrets import Secret
from lgx.spec import RunSpec, Use

__all__ = ["Plan", "PlannedTransform", "PlannedValidator", "kind_of", "make_plan"]

_RAW = frozenset({"raw_checkpoint", "channel_blob", "checkpoint_write"})
_STATE = frozenset({"checkpoint"})

AnyTransform = RecordTransform[Any] | ThreadTransform[Any]
AnyValidator = RecordValidator[Any] | BundleValidator[Any]


class PlannedTransform(Struct, frozen=True):
    name: str
    transform: AnyTransform


class PlannedValidator(Struct, frozen=True):
    name: str
    at: Literal["source", "sink"]
    validator: AnyValidator


class Plan(Struct, frozen=True, kw_only=True):
    """What a run uses, and which kinds of records travel.

    Attributes:
        kinds: those that the source offers and the sink accepts, in the chosen fidelity;
            `ANY_KIND` where neither end bounds them.
        unheld: kinds that the source offers and the sink cannot hold.
        fidelity: raw or state.
    """

    source: SourceBase[Any]
    sink: Sink[Any]
    transforms: tuple[PlannedTransform, ...]
    validators: tuple[PlannedValidator, ...]
    query: Query
    kinds: frozenset[str]
    unheld: frozenset[str]
    fidelity: Literal["raw", "state"]

    def travels(self, kind: str) -> bool:
        """Whether records of that kind are to reach the sink."""
        return self.kinds == ANY_KIND or kind in self.kinds

    def fingerprint(self, identity: str) -> str:
        """Digest of everything that shapes a thread's copy, but the thread itself."""
        transforms = [
            [planned.name, planned.transform.version, _plain(planned.transform)]
            for planned in self.transforms
        ]
        shape = [identity, self.fidelity, sorted(self.kinds - set(EXTRA_KINDS)), transforms]
        text = msgspec.json.encode(shape, order="sorted")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


def kind_of(record: Record) -> str:
    """The kind of a record, also of one that this version of lgx does not know."""
    return record.name if isinstance(record, UnknownRecord) else record.kind


def make_plan(spec: RunSpec, registry: Registry) -> Plan:
    """Makes the components that a run names.

    Raises:
        UsageError: an unknown name or option, or kinds that a transform does not handle.
    """
    source = _make(registry.source(spec.source.name), spec.source, "source")
    sink = _make(registry.sink(spec.sink.name), spec.sink, "sink")
    transforms = tuple(
        PlannedTransform(use.name, _make(registry.transform(use.name), use, "transform"))
        for use in spec.transforms
    )
    validators = tuple(
        PlannedValidator(use.name, use.at, _make(registry.validator(use.name), use, "validator"))
        for use in spec.validators
    )
    fidelity, offered = _choose(source.offers, sink.accepts, spec)
    kinds, unheld = _meet(offered, sink.accepts)
    if not spec.query.extras:
        kinds, unheld = kinds - set(EXTRA_KINDS), unheld - set(EXTRA_KINDS)
    _check_handled(transforms, kinds)
    return Plan(
        source=source,
        sink=sink,
        transforms=transforms,
        validators=validators,
        query=msgspec.structs.replace(
            spec.query, kinds=frozenset() if kinds == ANY_KIND else kinds
        ),
        kinds=kinds,
        unheld=unheld,
        fidelity=fidelity,
    )


def _make(cls: type[Any], use: Use, role: str) -> Any:
    component: Component[Any] = cls(
        convert(cls.config_type, use.options, where=f"--{role} {use.name}")
    )
    return component


def _choose(
    offers: frozenset[str], accepts: frozenset[str], spec: RunSpec
) -> tuple[Literal["raw", "state"], frozenset[str]]:
    """The fidelity, and the kinds that the source is left with by it."""
    any_offered, any_accepted = offers == ANY_KIND, accepts == ANY_KIND
    raw = bool(offers & _RAW) and (any_accepted or bool(accepts & _RAW))
    state = any_offered or (bool(offers & _STATE) and (any_accepted or bool(accepts & _STATE)))
    if spec.fidelity == "raw" and not (raw or any_offered):
        raise UsageError(
            f"--fidelity raw is not possible from {spec.source.name} to {spec.sink.name}: "
            "only state can be moved between them"
        )
    if spec.fidelity == "state" and not state:
        raise UsageError(
            f"--fidelity state is not possible from {spec.source.name} to {spec.sink.name}: "
            "only raw records can be moved between them"
        )
    if spec.fidelity == "raw" or (raw and spec.fidelity is None):
        return "raw", offers - _STATE
    return "state", offers - _RAW


def _meet(offers: frozenset[str], accepts: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    if accepts == ANY_KIND:
        return offers, frozenset()
    if offers == ANY_KIND:
        return accepts, frozenset()
    return offers & accepts, offers - accepts


def _check_handled(transforms: Sequence[PlannedTransform], kinds: frozenset[str]) -> None:
    """A kind that a transform does not understand would pass it untouched."""
    for planned in transforms:
        handles = planned.transform.handles
        unhandled = frozenset() if handles == ANY_KIND else kinds - handles - ANY_KIND
        if unhandled:
            raise UsageError(
                f"transform {planned.name} does not handle {', '.join(sorted(unhandled))}, "
                "which would pass it untouched; leave these kinds out (--no-extras), or use a "
                "transform that handles them"
            )


def _plain(component: Component[Any]) -> object:
    """A component's options as plain data; a secret counts by its digest."""

    def encode(value: object) -> object:
        if isinstance(value, Secret):
            return hashlib.blake2b(value.reveal().encode(), digest_size=16).hexdigest()
        return str(value)

    return msgspec.to_builtins(component.config, enc_hook=encode)
