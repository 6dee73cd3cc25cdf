"""A client as boto3 makes them, made when it is first used."""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from lgx import UsageError
from lgx_plugins.s3.config import S3Config
from lgx_plugins.s3.failures import explained

__all__ = ["Contact", "make_client"]

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_FIRST_TRIES = 6
_FIRST_SECONDS = 3.0


class Contact:
    """Whether a store has answered yet. One that has not is given up sooner: its address is more
    likely wrong than its connection bad.
    """

    def __init__(self) -> None:
        self.made = False
        self._failed_at: float | None = None

    def look(
        self,
        *,
        response: object = None,
        caught_exception: Exception | None = None,
        attempts: int = 0,
        **_: object,
    ) -> None:
        """What botocore asks after each attempt; the error raised here is the request's."""
        from botocore.exceptions import ConnectionError as BotoConnectionError
        from botocore.exceptions import HTTPClientError

        if response is not None:
            self.made = True
            return
        if self.made or not isinstance(caught_exception, BotoConnectionError | HTTPClientError):
            return
        now = time.monotonic()
        if self._failed_at is None:
            self._failed_at = now
        elif attempts >= _FIRST_TRIES or now - self._failed_at >= _FIRST_SECONDS:
            raise caught_exception


def make_client(config: S3Config, connections: int, contact: Contact) -> Any:
    """A client for that store, from what boto3 itself is built on. Blocks: it reads the
    configuration files that boto3 reads.

    Raises:
        UsageError: an option, or boto3's configuration, cannot be used.
    """
    from botocore.config import Config
    from botocore.session import Session

    _check_endpoint(config.endpoint_url)
    settings = Config(
        # boto3's own mode gives up on SlowDown after a few seconds.
        retries={"mode": "standard", "total_max_attempts": config.attempts},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=connections,
        s3={"addressing_style": config.addressing_style},
        # Checksums are given with each upload and compared here: see `checksums`.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="lgx",
    )
    with explained(config.url, "open the archive"):
        try:
            session = Session(profile=config.profile)
            loader = _loader(session.get_config_variable("data_path"))
            session.register_component("data_loader", loader)
            region = config.region or session.get_config_variable("region")
            client = session.create_client(
                "s3",
                # Other stores than Amazon's sign by it, and hardly ever care which one it is.
                region_name=region or "us-east-1",
                endpoint_url=config.endpoint_url,
                config=settings,
            )
            client.meta.events.register_first("needs-retry.s3", contact.look)
            return client
        except ValueError as error:
            raise UsageError(f"{error}; correct the endpoint's url".lower()) from error


@cache
def _loader(path: str | None) -> Any:
    """Reads botocore's descriptions of services, which takes most of the time that a client's
    making does, once in a process: they are files of its own, the same for each client."""
    from botocore.loaders import create_loader

    return create_loader(path)


def _check_endpoint(url: str | None) -> None:
    if url is None:
        return
    if "@" in url or "?" in url:
        raise UsageError(
            "the endpoint's url holds a name, a password or a signature; write it as "
            "https://HOST:PORT, and give credentials to boto3 by AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or a profile"
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"the endpoint {url!r} is not the url of a server; write it as https://HOST:PORT"
        )
