"""The registry: finds all, imports only what is named, and says what is wrong with a plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lgx.errors import LgxError, PluginConflictError, PluginLoadError, UsageError
from lgx.registry import Listed, Registry

Install = Callable[..., list[Path]]
HOOKS = "lgx_register_sources, lgx_register_sinks, lgx_register_transforms, lgx_register_validators"
BUILTIN = [
    "archive",
    "cloud",
    "json",
    "ndjson",
    "postgres",
    "postgres-saver",
    "redis-saver",
    "s3",
    "saver",
    "sqlite",
    "sqlite-saver",
]


def fakes() -> set[str]:
    """Modules of the fake plugins that were imported."""
    prefixes = ("lgx_tiny", "lgx_broken", "lgx_breaches", "lgx_twin", "lgx_usurper")
    return {name for name in sys.modules if name.startswith(prefixes)}


class TestListing:
    def test_tells_where_each_plugin_comes_from(self, install: Install) -> None:
        """An entry point is listed with its distribution, version, target and place."""
        (folder,) = install("tiny")

        listed = [item for item in Registry().listed() if item.name not in BUILTIN]

        assert listed == [
            Listed(
                name="tiny",
                distribution="lgx-tiny",
                version="1.0",
                target="lgx_tiny",
                location=str(folder),
            )
        ]

    def test_imports_nothing(self, install: Install) -> None:
        """Listing components and commands, and summarising commands, imports no plugin."""
        install("tiny", "import_error", "breaches", "twin_a", "twin_b", "usurper")
        registry = Registry()

        names = {item.name for item in registry.listed()}
        summaries = {c.name: registry.command_summary(c) for c in registry.listed_commands()}

        assert names >= {*BUILTIN, "tiny", "broken", "typo", "twin"}
        assert summaries["hello"] == "Greets NAME."
        assert summaries["broken-command"] == "from lgx-broken 2.1"
        assert fakes() == set()

    def test_reads_roles_from_the_source(self, install: Install) -> None:
        """The hooks that a module defines say what it registers; what is no module, or gives
        several names, does not tell, and nothing is imported to find out."""
        install("tiny", "breaches")
        registry = Registry()

        roles = {item.name: registry.roles(item) for item in registry.listed()}

        assert roles["tiny"] == ("source", "sink", "transform", "validator")
        assert roles["cloud"] == ("source", "sink")
        assert roles["typo"] is None
        assert fakes() == set()

    def test_marks_conflicts(self, install: Install) -> None:
        """Both claims to one name are listed, in the order of their distributions."""
        install("twin_b", "twin_a")

        twins = [item for item in Registry().listed() if item.name == "twin"]

        assert [(item.owner, item.conflict) for item in twins] == [
            ("lgx-twin-a 1.0", True),
            ("lgx-twin-b 2.5", True),
        ]

    def test_finds_builtins_by_their_entry_points(self) -> None:
        """What lgx brings is listed like anything else, by the distribution lgx."""
        listed = Registry(builtin_only=True).listed()

        assert [(item.name, item.distribution) for item in listed] == [
            (name, "lgx") for name in BUILTIN
        ]


class TestLoading:
    def test_gives_each_role_its_class(self, install: Install) -> None:
        """One name may stand for a source, a sink, a transform and a validator."""
        install("tiny", "import_error", "breaches")
        registry = Registry()

        found = [
            registry.source("tiny"),
            registry.sink("tiny"),
            registry.transform("tiny"),
            registry.validator("tiny"),
        ]

        assert [cls.__name__ for cls in found] == [
            "TinySource",
            "TinySink",
            "TinyTransform",
            "TinyValidator",
        ]
        assert list(registry.components("tiny")) == ["source", "sink", "transform", "validator"]
        assert fakes() == {"lgx_tiny"}

    def test_loads_a_command(self, install: Install) -> None:
        """A command's entry point names a click command."""
        install("tiny")

        assert Registry().command("hello").name == "hello"

    def test_two_registries_share_nothing(self, install: Install) -> None:
        """What one registry refuses, another one may give."""
        install("tiny")

        Registry().source("tiny")
        with pytest.raises(UsageError):
            Registry({"cloud"}).source("tiny")


class TestRefusals:
    @pytest.mark.parametrize(
        ("cases", "ask", "kind", "message"),
        [
            pytest.param(
                (),
                lambda r: r.sink("sqllite"),
                UsageError,
                "no sink is named 'sqllite' (did you mean 'sqlite'?); "
                f"installed: {', '.join(BUILTIN)}",
                id="unknown, with a near name",
            ),
            pytest.param(
                (),
                lambda r: r.sink("😀"),
                UsageError,
                (f"no sink is named '😀'; installed: {', '.join(BUILTIN)}"),
                id="unknown, with none",
            ),
            pytest.param(
                (),
                lambda r: r.validator("schema"),
                UsageError,
                "no validator is named 'schema'; none is installed",
                id="unknown, where there is none",
            ),
            pytest.param(
                ("import_error",),
                lambda r: r.transform("redact"),
                UsageError,
                "no transform is named 'redact'; installed: broken",
                id="unknown, where one may be what it wants to be",
            ),
            pytest.param(
                ("tiny",),
                lambda r: r.components("helo"),
                UsageError,
                "no plugin is named 'helo' (did you mean 'hello'?); installed: "
                f"{', '.join(sorted([*BUILTIN, 'demo', 'hello', 'init', 'tiny']))}",
                id="unknown, of any role",
            ),
            pytest.param(
                ("twin_a", "twin_b"),
                lambda r: r.source("twin"),
                PluginConflictError,
                "plugin 'twin' is claimed by lgx-twin-a 1.0 (lgx_twin_a) and lgx-twin-b 2.5 "
                "(lgx_twin_b); uninstall one of them",
                id="conflict",
            ),
            pytest.param(
                ("twin_a", "twin_b"),
                lambda r: r.command("twin-command"),
                PluginConflictError,
                "command 'twin-command' is claimed by lgx-twin-a 1.0 (lgx_twin_a:command) and "
                "lgx-twin-b 2.5 (lgx_twin_b:command); uninstall one of them",
                id="conflict of commands",
            ),
            pytest.param(
                ("import_error",),
                lambda r: r.source("broken"),
                PluginLoadError,
                "plugin 'broken' of lgx-broken 2.1 cannot be imported: ModuleNotFoundError: "
                "No module named 'a_driver_that_is_not_installed'",
                id="import error",
            ),
            pytest.param(
                ("import_error",),
                lambda r: r.command("broken-command"),
                PluginLoadError,
                "command 'broken-command' of lgx-broken 2.1 cannot be imported: "
                "ModuleNotFoundError: No module named 'a_driver_that_is_not_installed'",
                id="import error of a command",
            ),
        ],
    )
    def test_names_what_is_wrong(
        self,
        install: Install,
        cases: tuple[str, ...],
        ask: Callable[[Registry], Any],
        kind: type[LgxError],
        message: str,
    ) -> None:
        """Each refusal is one sentence with the name, the owner and what to do."""
        install(*cases)

        with pytest.raises(kind) as caught:
            ask(Registry())

        assert str(caught.value) == message
        assert fakes() == set()

    def test_names_the_roles_that_there_are(self, install: Install) -> None:
        """Asked for a role that a plugin has not, it says which ones it has."""
        install("breaches")
        registry = Registry()

        with pytest.raises(UsageError) as caught:
            registry.source("right")

        assert str(caught.value) == "'right' is no source; it is a transform"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            (
                "typo",
                "implements a hook that does not exist: lgx_register_transform; hooks: " + HOOKS,
            ),
            (
                "async-hook",
                (
                    "has an async lgx_register_transforms; hooks are plain functions that return "
                    "classes"
                ),
            ),
            ("no-hook", "implements no hook; it needs one of: " + HOOKS),
            (
                "not-a-list",
                "returns ABCMeta from lgx_register_transforms; it must be a list of classes",
            ),
            ("raising", "fails in lgx_register_transforms: ValueError: no licence found"),
            (
                "argument",
                (
                    "has a hook that cannot be called: Argument(s) {'config'} are declared in the "
                    "hookimpl but can not be found in the hookspec"
                ),
            ),
            (
                "wrong-name",
                (
                    "registers 'right', not 'wrong-name': an entry point bears the name of its "
                    "component"
                ),
            ),
            (
                "doubled",
                (
                    "registers two transforms named 'doubled': lgx_breaches.Named and "
                    "lgx_breaches.AlsoNamed"
                ),
            ),
            (
                "not-a-class",
                "registers 'right' as a transform, which is no subclass of lgx.Transform",
            ),
            (
                "other-role",
                "registers lgx_breaches.Right as a sink, which is no subclass of lgx.Sink",
            ),
            (
                "nobody",
                "registers nothing, not 'nobody': an entry point bears the name of its component",
            ),
        ],
    )
    def test_says_which_rule_a_hook_breaks(self, install: Install, name: str, message: str) -> None:
        """A plugin whose hooks are wrong is told apart from one that cannot be imported."""
        install("breaches")

        with pytest.raises(PluginLoadError) as caught:
            Registry().components(name)

        assert str(caught.value) == f"plugin {name!r} of lgx-breaches 0.3 {message}"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            (
                "no-name",
                "transform class lgx_breaches.Nameless has no name; set the class attribute `name`",
            ),
            (
                "no-config",
                (
                    "transform class lgx_breaches.Untyped has no config_type that is a subclass of "
                    "lgx.Config"
                ),
            ),
            (
                "bad-config",
                (
                    "transform class lgx_breaches.Unreadable has options that cannot be read from "
                    "UnreadableConfig: NameError: name 'Decimal' is not defined"
                ),
            ),
            (
                "abstract",
                "sink class lgx_breaches.Unfinished lacks forget, held, probe, write",
            ),
            (
                "bad-kinds",
                (
                    "validator class lgx_breaches.ListOfKinds must declare handles as a "
                    "frozenset of kinds"
                ),
            ),
        ],
    )
    def test_says_which_rule_a_class_breaks(
        self, install: Install, name: str, message: str
    ) -> None:
        """A class that lacks what its role needs is named with what it lacks."""
        install("breaches")

        with pytest.raises(PluginLoadError) as caught:
            Registry().components(name)

        assert str(caught.value) == f"plugin {name!r} of lgx-breaches 0.3: {message}"


class TestBounds:
    def test_an_allow_list_hides_all_others(self, install: Install) -> None:
        """With LGX_PLUGINS nothing else is listed, and nothing else can be loaded."""
        install("tiny", "import_error")
        registry = Registry.from_environment({"LGX_PLUGINS": " tiny, cloud ,"})

        assert [item.name for item in registry.listed()] == ["cloud", "tiny"]
        assert registry.listed_commands() == ()
        with pytest.raises(UsageError) as caught:
            registry.source("broken")
        assert (
            str(caught.value) == "plugin 'broken' may not be used; LGX_PLUGINS allows: cloud, tiny"
        )

    def test_an_empty_allow_list_allows_nothing(self) -> None:
        """LGX_PLUGINS set to nothing is not the same as not set."""
        registry = Registry.from_environment({"LGX_PLUGINS": ""})

        assert registry.listed() == ()
        with pytest.raises(UsageError) as caught:
            registry.source("cloud")
        assert str(caught.value) == "plugin 'cloud' may not be used; LGX_PLUGINS allows: none"

    def test_without_plugins_the_builtin_ones_are_left(self, install: Install) -> None:
        """`--no-plugins` leaves what lgx brings, and says so of the others."""
        install("tiny")
        registry = Registry.from_environment({}, builtin_only=True)

        assert [item.name for item in registry.listed()] == BUILTIN
        with pytest.raises(UsageError) as caught:
            registry.source("tiny")
        assert str(caught.value) == (
            "plugin 'tiny' is not built in; leave out --no-plugins to use it"
        )
        assert fakes() == set()

    def test_an_allow_list_settles_a_conflict_of_other_names(self, install: Install) -> None:
        """Two plugins of one name disturb nobody who does not use that name."""
        install("tiny", "twin_a", "twin_b")

        assert Registry().source("tiny").name == "tiny"
