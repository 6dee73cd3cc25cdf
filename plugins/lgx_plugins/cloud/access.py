"""What to do about an answer that stops a run: said once, for all requests."""

from __future__ import annotations

from lgx import FatalError, LgxError, RetryableError, UsageError
from lgx_plugins.cloud.answers import RefusedError
from lgx_plugins.cloud.client import Client

__all__ = ["denied"]


def denied(error: LgxError, client: Client) -> LgxError:
    """The error that ends a run when the server does not even list its threads."""
    if isinstance(error, RetryableError) and error.outage:
        return FatalError(f"{error}; see that {client.url} is right and the server is running")
    if not isinstance(error, RefusedError):
        return FatalError(str(error))
    host = client.address.parts.hostname
    if error.status in (401, 403):
        return FatalError(f"{error}; {_about_key(client, host)}")
    if error.status in (404, 405):
        return FatalError(
            f"{error}; {client.url} is not the address of a LangGraph server, or lacks its "
            "path prefix"
        )
    if error.status in (400, 422):
        return UsageError(f"{error}; the filters or the server's version do not fit")
    return FatalError(str(error))


def _about_key(client: Client, host: str | None) -> str:
    key, role = client.key, client.config.role
    custom = (
        "a deployment with custom authentication wants its own header "
        f"(--{role}-headers authorization=…), or --{role}-auth-scheme langsmith for its "
        "owner's key"
    )
    if key.secret is not None:
        return f"the key from {key.origin} is not valid for this deployment; {custom}"
    if key.withheld:
        return (
            f"{key.withheld} was not sent, because {host} is not one of LangChain's hosts; if "
            f"its key is meant for this host, name it: --{role}-api-key "
            f"env:{key.withheld}; {custom}"
        )
    return (
        f"no key was sent; set {client.config.key_variable}, or pass --{role}-api-key env:NAME; "
        f"{custom}"
    )
