"""How far a verification is: the sum of two runs that go on at once."""

from __future__ import annotations

from typing import Any

from lgx.progress import Progress

__all__ = ["PartProgress"]


class PartProgress(Progress):
    """Of one side; what is counted here is counted in `whole` as well."""

    def __init__(self, whole: Progress) -> None:
        object.__setattr__(self, "whole", whole)
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        before = getattr(self, name, None) or 0
        object.__setattr__(self, name, value)
        whole: Progress = self.__dict__["whole"]
        if name == "phase":
            if value == "moving":
                whole.phase = value
        elif name == "waiting_for":
            whole.waiting_for = value
        elif isinstance(value, int):
            # A thread that was not chosen is settled, and no other display says "unchanged" of it.
            name = "written" if name == "unchanged" else name
            setattr(whole, name, (getattr(whole, name) or 0) + value - before)
