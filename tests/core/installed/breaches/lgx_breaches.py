"""Plugins that each break one rule of the contracts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lgx import Config, Record, RecordTransform, RecordValidator, Sink, Violation, hookimpl

if TYPE_CHECKING:
    from decimal import Decimal


class Right(RecordTransform[Config]):
    name = "right"
    config_type = Config
    handles = frozenset({"thread"})

    def apply(self, record: Record) -> Iterable[Record]:
        return (record,)


class RightPlugin:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Right]


class Typo:
    @staticmethod
    @hookimpl
    def lgx_register_transform() -> Sequence[type]:
        return [Right]


class AsyncHook:
    @staticmethod
    @hookimpl
    async def lgx_register_transforms() -> Sequence[type]:
        return [Right]


class NoHook:
    @staticmethod
    def lgx_register_transforms() -> Sequence[type]:
        return [Right]


class NotAList:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Any:
        return Right


class Raising:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        raise ValueError("no licence\nfound")


class Argument:
    @staticmethod
    @hookimpl
    def lgx_register_transforms(config: object) -> Sequence[type]:
        return [Right]


class WrongName:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Right]


class Named(Right):
    name = "doubled"


class AlsoNamed(Named):
    pass


class Doubled:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Named, AlsoNamed]


class NotAClass:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[Any]:
        return ["right"]


class OtherRole:
    @staticmethod
    @hookimpl
    def lgx_register_sinks() -> Sequence[type]:
        return [Right]


class Nameless(RecordTransform[Config]):
    config_type = Config
    handles = frozenset({"thread"})

    def apply(self, record: Record) -> Iterable[Record]:
        return (record,)


class NoName:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Nameless]


class Untyped(Right):
    config_type = dict  # type: ignore[assignment]


class NoConfig:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Untyped]


class UnreadableConfig(Config, frozen=True, kw_only=True):
    amount: Decimal | None = None


class Unreadable(Right):
    config_type = UnreadableConfig


class BadConfig:
    @staticmethod
    @hookimpl
    def lgx_register_transforms() -> Sequence[type]:
        return [Unreadable]


class Unfinished(Sink[Config]):
    name = "abstract"
    config_type = Config
    accepts = frozenset({"thread"})


class Abstract:
    @staticmethod
    @hookimpl
    def lgx_register_sinks() -> Sequence[type]:
        return [Unfinished]


class ListOfKinds(RecordValidator[Config]):
    name = "bad-kinds"
    config_type = Config
    handles = ("thread",)  # type: ignore[assignment]

    def check(self, record: Record) -> Iterable[Violation]:
        return ()


class BadKinds:
    @staticmethod
    @hookimpl
    def lgx_register_validators() -> Sequence[type]:
        return [ListOfKinds]


class Nobody:
    @staticmethod
    @hookimpl
    def lgx_register_sinks() -> Sequence[type]:
        return []
