"""What can be told of a plugin from its source, which is read and never imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from pkgutil import get_importer

from lgx.loading import ROLES, Role

__all__ = ["static_component_summary", "static_roles", "static_summary"]


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
    found = _definition(module, attribute)
    return None if found is None else _first_line(found[1])


def static_component_summary(target: str, name: str) -> str | None:
    """What the first component of that name which a module registers says of itself; None where
    that cannot be seen."""
    tree = None if ":" in target else _parse(target.strip())
    if tree is None:
        return None
    for role in ROLES:
        hook = _definition(target.strip(), f"lgx_register_{role}s")
        if hook is None or not isinstance(hook[1], ast.FunctionDef):
            continue
        for returned in (node for node in ast.walk(hook[1]) if isinstance(node, ast.Name)):
            found = _definition(hook[0], returned.id)
            if found is not None and isinstance(found[1], ast.ClassDef):
                texts = _texts(found[1])
                if texts.get("name", name) == name and texts.get("summary"):
                    return texts["summary"]
    return None


def _definition(
    module: str, attribute: str
) -> tuple[str, ast.Module | ast.FunctionDef | ast.ClassDef] | None:
    """What a module has under that name, also where it takes it from another, and which one that
    is; the last module where that is neither a function nor a class."""
    seen: set[str] = set()
    while module not in seen:
        seen.add(module)
        tree = _parse(module)
        if tree is None:
            return None
        moved = False
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == attribute:
                return module, node
            if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                for alias in node.names:
                    if (alias.asname or alias.name) == attribute:
                        module, attribute, moved = node.module, alias.name, True
        if not moved:
            return module, tree
    return None


def _texts(node: ast.ClassDef) -> dict[str, str]:
    """The texts that a class has under names of its own."""
    found = {}
    for item in node.body:
        targets = item.targets if isinstance(item, ast.Assign) else []
        if isinstance(item, ast.AnnAssign):
            targets = [item.target]
        value = item.value if isinstance(item, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.update({t.id: value.value for t in targets if isinstance(t, ast.Name)})
    return found


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
