"""What can be told of a plugin from its source alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lgx.static import static_roles, static_summary


def test_a_module_in_a_folder_without_init_is_found_and_nothing_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Organisations share such folders among their distributions, also below a package."""
    folder = tmp_path / "acme_inc" / "exports" / "lake"
    folder.mkdir(parents=True)
    (tmp_path / "acme_inc" / "__init__.py").write_text("raise ImportError\n")
    (folder / "sink.py").write_text('"""A lake."""\n\ndef lgx_register_sinks(): ...\n')
    monkeypatch.syspath_prepend(tmp_path)

    assert static_roles("acme_inc.exports.lake.sink") == ("sink",)
    assert static_summary("acme_inc.exports.lake.sink") == "A lake."
    assert static_roles("acme_inc.exports.lake") is None
    assert "acme_inc" not in sys.modules
