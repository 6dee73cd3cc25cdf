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
from lgx.forms import RAW, STATE, form_of, not_taken, words
from lgx.query import Query
from lgx.records import ANY_KIND, EXTRA_KINDS
from lgx.registry import Registry
from lgx.secrets import Secret
from lgx.spec import RunSpec, Use

__all__ = ["Plan", "PlannedTransform", "PlannedValidator", "make_plan"]

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
        excluded: kinds of the other fidelity, and extras where they are not wanted.
        unheld: kinds that the source offers and the sink cannot hold.
        fidelity: raw or state.
    """

    source: SourceBase[Any]
    sink: Sink[Any]
    transforms: tuple[PlannedTransform, ...]
    validators: tuple[PlannedValidator, ...]
    query: Query
    kinds: frozenset[str]
    excluded: frozenset[str]
    unheld: frozenset[str]
    fidelity: Literal["raw", "state"]

    def travels(self, kind: str) -> bool:
        """Whether records of that kind are to reach the sink."""
        return kind not in self.excluded and (self.kinds == ANY_KIND or kind in self.kinds)

    def fingerprint(self, identity: str) -> str:
        """Digest of everything that shapes a thread's copy, but the thread itself."""
        transforms = [
            [planned.name, planned.transform.version, _plain(planned.transform)]
            for planned in self.transforms
        ]
        shape = [identity, self.fidelity, sorted(self.kinds - set(EXTRA_KINDS)), transforms]
        text = msgspec.json.encode(shape, order="sorted")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


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
    if spec.query.as_of and not source.keeps_earlier:
        raise UsageError(
            f"--as-of reads earlier states, and the {spec.source.name} source has none but the "
            "present one; read from an archive"
        )
    fidelity, excluded = _choose(source.offers, sink, spec)
    if not spec.query.extras:
        excluded |= set(EXTRA_KINDS)
    kinds, unheld = _meet(source.offers - excluded, sink.accepts)
    if fidelity == "raw":
        unheld -= {"thread"}  # a checkpointer has none, but for the sake of its states
    _check_handled(transforms, kinds, excluded)
    return Plan(
        source=source,
        sink=sink,
        transforms=transforms,
        validators=validators,
        query=msgspec.structs.replace(
            spec.query, kinds=frozenset() if kinds == ANY_KIND else kinds
        ),
        kinds=kinds,
        excluded=excluded,
        unheld=unheld,
        fidelity=fidelity,
    )


def _make(cls: type[Any], use: Use, role: str) -> Any:
    component: Component[Any] = cls(
        convert(cls.config_type, use.options, where=f"--{role} {use.name}")
    )
    return component


def _choose(
    offers: frozenset[str], sink: Sink[Any], spec: RunSpec
) -> tuple[Literal["raw", "state"], frozenset[str]]:
    """The fidelity, and the kinds that are left out by it."""
    accepts = sink.accepts
    raw = _possible(RAW, offers, accepts)
    state = _possible(STATE, offers, accepts)
    ends = f"from {spec.source.name} to {spec.sink.name}"
    for wanted, possible, other in (("raw", raw, "state"), ("state", state, "raw")):
        if spec.fidelity == wanted and not possible:
            raise UsageError(
                f"--fidelity {wanted} is not possible {ends}: they have only {other} in common"
            )
    if offers & (RAW | STATE) and not (raw or state):
        form = form_of(offers)
        raise UsageError(
            f"no checkpoints can be moved {ends}: those of {spec.source.name} are {words(form)}, "
            f"which {not_taken(form, spec.sink.name, sink.takes_with)}"
        )
    if offers == ANY_KIND and spec.fidelity is None:
        # Only reading tells what is there: whatever it is travels as it is.
        return "state", frozenset()
    if spec.fidelity == "raw" or (raw and spec.fidelity is None):
        return "raw", STATE
    return "state", RAW


def _possible(kinds: frozenset[str], offers: frozenset[str], accepts: frozenset[str]) -> bool:
    return all(ends == ANY_KIND or ends & kinds for ends in (offers, accepts))


def _meet(offers: frozenset[str], accepts: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    if accepts == ANY_KIND:
        return offers, frozenset()
    if offers == ANY_KIND:
        return accepts, frozenset()
    return offers & accepts, offers - accepts


def _check_handled(
    transforms: Sequence[PlannedTransform], kinds: frozenset[str], excluded: frozenset[str]
) -> None:
    """A kind that a transform does not understand would pass it untouched."""
    extras = set(EXTRA_KINDS) - excluded
    if kinds != ANY_KIND:
        extras &= kinds
    for planned in transforms:
        handles = planned.transform.handles
        unhandled = set() if handles == ANY_KIND else set(kinds - handles - ANY_KIND)
        if isinstance(planned.transform, ThreadTransform) and not planned.transform.leaves_extras:
            unhandled |= extras  # they belong to no thread, so it never sees them
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
