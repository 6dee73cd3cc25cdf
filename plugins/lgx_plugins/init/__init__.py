"""`lgx init`: a commented lgx.toml and .env.example for a pair of plugins.

command   the command         settings   the two texts, from the plugins' declarations
"""

from __future__ import annotations

from lgx_plugins.init.command import init

__all__ = ["init"]
