"""The command line: a thin layer over `lgx.api`, and the only part that prints or exits."""

from __future__ import annotations

from lgx.cli.entry import main

__all__ = ["main"]
