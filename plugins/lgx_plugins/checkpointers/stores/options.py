"""Options of the sinks that write to stores."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from lgx import option

__all__ = ["VectorPolicy", "Vectors"]

VectorPolicy: TypeAlias = Literal["copy", "leave"]

Vectors: TypeAlias = Annotated[
    VectorPolicy,
    option(
        "What to do with the vectors of store items: copy takes those that the target's table "
        "has the type and dimension for; leave takes none, for a target whose agent embeds with "
        "another model, which no table tells."
    ),
]
