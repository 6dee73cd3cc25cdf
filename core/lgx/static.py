"""What can be told of a plugin from its source, which is read and never imported."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from lgx.loading import ROLES, Role

__all__ = ["static_roles", "static_summary"]


def static_roles(target: str) -> tuple[Role, ...] | None:
    """The roles for which a module defines or imports a hook; None where none can be seen."""
    tree = None if ":" in target else _parse(target.strip())
    if tree is None:
        return None
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return tuple(role for role in ROLES if f"lgx_register_{role}s" in names) or None


def static_summary(target: str) -> str | None:
    """The first docstring line of what an entry point names; None where it cannot be read.

    Nothing is imported: sources are read, also where a package takes the object from one of
    its modules.
    """
    module, _, attribute = (part.strip() for part in target.partition(":"))
    seen: set[str] = set()
    while module not in seen:
        seen.add(module)
        tree = _parse(module)
        if tree is None:
            return None
        moved = False
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == attribute:
                return _first_line(node)
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for alias in node.names:
                    if (alias.asname or alias.name) == attribute:
                        module, attribute, moved = node.module, alias.name, True
        if not moved:
            return _first_line(tree)
    return None


def _first_line(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str | None:
    text = ast.get_docstring(node)
    return text.splitlines()[0] if text else None


def _parse(module: str) -> ast.Module | None:
    """The source of a module: each part of its name is looked up on the path of the part
    before it, which imports no parent package as `importlib.util.find_spec` would."""
    path = list(sys.path)
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for end, part in enumerate(parts, 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), path)
        if spec is None:
            return None
        if spec.origin is None:  # a folder without __init__, whose path wants its parent imported
            path = [str(inside) for entry in path if (inside := Path(entry, part)).is_dir()]
        else:
            path = list(spec.submodule_search_locations or ())
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
