"""What can be told of a plugin from its source, which is read and never imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from pkgutil import get_importer

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
    """The source of a module: each part of its name is looked up in the folders of the part
    before it, which imports no parent package as `importlib.util.find_spec` would."""
    folders = sys.path
    spec: ModuleSpec | None = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        spec = _find(".".join(parts[:end]), folders)
        folders = list(spec.submodule_search_locations or ()) if spec else []
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(spec.origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _find(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """A module or package; or folders without `__init__`, of which there may be several."""
    shared = ModuleSpec(name, None, is_package=True)
    assert shared.submodule_search_locations is not None
    for folder in folders:
        finder = get_importer(folder)
        spec = finder.find_spec(name) if finder else None
        if spec is None:
            continue
        if spec.loader is not None:
            return spec
        shared.submodule_search_locations += spec.submodule_search_locations or ()
    return shared if shared.submodule_search_locations else None
