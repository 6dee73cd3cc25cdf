"""The rules that keep core and plugins apart, checked on the source itself."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import lgx

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "core").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DRIVERS = set(PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"])

TOP_LEVEL = {
    ".ci",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "README.md",
    "core",
    "noxfile.py",
    "plugins",
    "pyproject.toml",
    "tests",
}

MOST_LINES = 350
LONGER = {
    "plugins/lgx_plugins/cloud/reader.py": "one algorithm: the history with its ways round faults",
}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources(*folders: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [p for f in folders for p in f], ids=name)


def imports(nodes: Iterator[ast.AST]) -> Iterator[tuple[str, list[str]]]:
    """Modules that are imported, each with the names taken from it."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or "", [alias.name for alias in node.names]


def at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no bodies of functions, nothing that
    only type checkers see."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending += ast.iter_child_nodes(node)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@sources(CORE)
def test_core_knows_no_plugin(path: Path) -> None:
    """Neither by import nor by name: built-ins come through entry points like any other."""
    tree = parse(path)
    assert [m for m, _ in imports(ast.walk(tree)) if m.split(".")[0] == "lgx_plugins"] == []
    named = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("lgx_plugins")
    ]
    assert named == []


@sources(PLUGINS)
def test_a_builtin_plugin_uses_only_what_is_public(path: Path) -> None:
    """What a third party may import: the names in `lgx.__all__`."""
    for module, names in imports(ast.walk(parse(path))):
        if module.split(".")[0] == "lgx":
            assert module == "lgx"
            assert set(names) <= set(lgx.__all__)


@sources(CORE, PLUGINS)
def test_no_driver_is_imported_with_a_module(path: Path) -> None:
    """Listing plugins and asking for help stay fast, whatever is installed."""
    found = [m for m, _ in imports(at_import(parse(path))) if m.split(".")[0] in DRIVERS]
    allowed = "lgx/testing/" in path.as_posix() or "/demo/app/" in path.as_posix()
    assert found == [] or allowed


MUTATORS = {"add", "append", "clear", "extend", "insert", "pop", "remove", "setdefault", "update"}


@sources(CORE, PLUGINS)
def test_no_module_keeps_state(path: Path) -> None:
    """A module-level container is a constant: nothing in the module changes it."""
    tree = parse(path)
    kept = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Global)
        changed: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            changed = node.func.value if node.func.attr in MUTATORS else None
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            changed = node.value
        if isinstance(changed, ast.Name):
            assert changed.id not in kept


def test_files_are_short() -> None:
    """A file is one noun; one that is longer than most says why here."""
    lengths = {name(path): len(path.read_text().splitlines()) for path in [*CORE, *PLUGINS]}
    assert [path for path, n in lengths.items() if n > MOST_LINES and path not in LONGER] == []
    assert [path for path in LONGER if path not in lengths] == []


def test_the_packages_are_core_and_plugins_and_tests_are_none() -> None:
    """An `__init__.py` there would make `core.lgx` a second copy with other classes."""
    assert list(ROOT.glob("*/__init__.py")) == []


def test_the_top_level_holds_nothing_else() -> None:
    """The first thing that a reader sees is a table of contents."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {path.split("/")[0] for path in listed} == TOP_LEVEL
