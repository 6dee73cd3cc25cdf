"""Checks of the project; `nox` runs lint, types, tests and package, `nox --list` names all."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox
from nox.project import dependency_groups, load_toml, python_versions
from packaging.requirements import Requirement

nox.needs_version = ">=2025.2"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "virtualenv"  # which comes with nox: pip is all one needs

PROJECT = load_toml("pyproject.toml")
DEV = dependency_groups(PROJECT, "dev")
BUILD = PROJECT["build-system"]["requires"]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({*python_versions(PROJECT), HERE}, key=lambda text: int(text.split(".")[1]))

# Most tests wait for a server, a disk or a clock; those of one file share what they start.
AT_ONCE = ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile")

nox.options.sessions = ["lint", "types", f"tests-{HERE}", "package"]


def needed(*names: str) -> list[str]:
    """The requirements of the dev group that bear these names."""
    return [text for text in DEV if Requirement(text).name in names]


def install_all(session: nox.Session) -> None:
    session.install("-e", ".[demo,keyring,testing]", *DEV, *BUILD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes: ruff."""
    session.install(*needed("ruff"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly: mypy."""
    install_all(session)
    # Benchmarks are a program of its own; of the plugins that tests install, some are broken.
    session.run("mypy", "core", "plugins", "tests", "--exclude", "tests/(bench|core/installed)/")
    session.run("mypy", "tests/bench", env={"MYPYPATH": "tests/bench"})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests but the nightly ones; takes pytest's arguments."""
    install_all(session)
    session.run("pytest", "-m", "not nightly", *AT_ONCE, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The same tests with branch coverage, which takes them a good part longer."""
    install_all(session)
    session.run(
        *("pytest", "-m", "not nightly", "--cov", "--cov-report=term:skip-covered"),
        *("--cov-fail-under=88", *AT_ONCE, *session.posargs),
    )


@nox.session
def lowest(session: nox.Session) -> None:
    """The tests of core and plugins with the oldest direct dependencies that are promised."""
    extras = PROJECT["project"]["optional-dependencies"]
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text(
        "".join(
            f"{wanted.name}=={bound.version}\n"
            for wanted in map(
                Requirement, [*PROJECT["project"]["dependencies"], *extras["keyring"]]
            )
            for bound in wanted.specifier
            if bound.operator == ">="
        )
    )
    session.install("-e", ".[keyring,testing]", *DEV, *BUILD, "--constraint", str(constraints))
    session.run("pip", "list")
    paths = ["tests/core", "tests/plugins"]
    demo = "--ignore=tests/plugins/test_demo.py"  # needs a server, which asks for newer ones
    session.run("pytest", "-m", "not nightly", demo, *paths, *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Builds wheel and sdist, and uses the wheel in an environment that holds nothing else."""
    session.install("build", "twine")
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"), silent=True)
    built = sorted((folder / "dist").glob("lgx-*"))
    session.run("twine", "check", "--strict", *map(str, built))
    [wheel] = (path for path in built if path.suffix == ".whl")
    session.run("python", "-m", "venv", "--clear", str(folder / "clean"))
    programs = folder / "clean" / ("Scripts" if sys.platform == "win32" else "bin")

    def clean(program: str, *arguments: str) -> None:
        session.run(str(programs / program), *arguments, external=True)

    clean("python", "-m", "pip", "install", "--quiet", str(wheel))
    clean("lgx", "--version")
    clean("lgx", "plugins", "--check")


@nox.session
def demo(session: nox.Session) -> None:
    """`lgx demo`, as the README has it."""
    session.install(".[demo]")
    session.run("lgx", "demo", "--output", str(Path(session.create_tmp()) / "demo"))


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory beside their bars, as a table; takes names of benchmarks."""
    install_all(session)
    session.run("python", "tests/bench/run.py", *session.posargs)


@nox.session
def nightly(session: nox.Session) -> None:
    """The long loops: thousands of schedules, crashes and mutations."""
    install_all(session)
    session.run("pytest", "-m", "nightly", "--timeout=3600", *session.posargs)
