"""Fills the source with every kind of thread that a migration may meet, as users' programs do."""

from __future__ import annotations

from . import belongings, forks, straight
from .requests import Server
from .straight import LONG, STRANGE
from .user import Filled, User, together

__all__ = ["LONG", "STRANGE", "Filled", "fill"]


async def fill(url: str) -> Filled:
    """Fills an empty server that runs the source's app."""
    filled = Filled(url)
    async with Server(url) as server:
        user = User(server, filled)
        parts = (straight, forks, belongings)
        await together(task for part in parts for task in part.everything(user))
    return filled
