"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes depends on what else the machine does, and proves nothing.
settings.register_profile("lgx", deadline=None)
settings.load_profile("lgx")
