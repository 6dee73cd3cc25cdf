"""The server of tests stands apart from what a developer's machine is set up for."""

from __future__ import annotations

import os

import pytest

from lgx.testing import S3Process


def test_a_developers_settings_do_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are back in the end."""
    monkeypatch.delenv("LGX_TEST_S3", raising=False)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with S3Process() as server:
        bucket = server.new_bucket()
        assert server.objects(bucket) == {}
        server.remove_bucket(bucket)
    assert os.environ["AWS_PROFILE"] == "nobody"
    assert os.environ["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:9"
