"""What boto3 raises, in lgx's words."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto

from lgx import FatalError, LgxError, UsageError
from lgx_plugins.s3.failures import CutShortError, explained

URL = {"endpoint_url": "https://store.test/bucket/key", "error": "time is up"}

RAISED: list[tuple[Exception, type[LgxError], str]] = [
    (boto.EndpointConnectionError(**URL), FatalError, "Could not connect to the endpoint URL"),
    (boto.ConnectTimeoutError(**URL), FatalError, "Connect timeout on endpoint URL"),
    (boto.ReadTimeoutError(**URL), FatalError, "Read timeout on endpoint URL"),
    (boto.ConnectionClosedError(**URL), FatalError, "Connection was closed"),
    (boto.ProxyConnectionError(proxy_url="http://proxy.test"), FatalError, "proxy.test"),
    (boto.SSLError(**URL), FatalError, "the connection is not secure.*AWS_CA_BUNDLE"),
    (boto.ResponseStreamingError(error="it broke"), CutShortError, "the answer ends early"),
    (
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        CutShortError,
        "the answer ends early",
    ),
    (boto.NoCredentialsError(), UsageError, "no credentials for 's3://b/x'.*AWS_PROFILE"),
    (
        boto.PartialCredentialsError(provider="env", cred_var="aws_secret_access_key"),
        UsageError,
        "aws_secret_access_key; set AWS_ACCESS_KEY_ID",
    ),
    (
        boto.CredentialRetrievalError(provider="role", error_msg="refused"),
        UsageError,
        "no credentials for",
    ),
    (boto.UnauthorizedSSOTokenError(), UsageError, r"log in \(aws sso login\)"),
    (boto.ProfileNotFound(profile="p"), UsageError, r"config profile \(p\) could not be found"),
    (boto.NoRegionError(), UsageError, "give --source-region or --sink-region"),
    (boto.ParamValidationError(report="bad"), UsageError, "correct the options"),
    (boto.MetadataRetrievalError(error_msg="no"), FatalError, "see to that and run again"),
    (ConnectionResetError(104, "Connection reset by peer"), FatalError, "reset by peer"),
]


@pytest.mark.parametrize(
    ("error", "kind", "words"), RAISED, ids=[type(raised).__name__ for raised, _, _ in RAISED]
)
def test_each_has_one_line_with_the_remedy(
    error: Exception, kind: type[LgxError], words: str
) -> None:
    """Of the kind that ends a run as it should."""
    with pytest.raises(kind, match=words) as raised, explained("s3://b/x", "read manifest.json"):
        raise error
    said = str(raised.value)
    assert "\n" not in said
    assert not said[0].isupper()
    assert raised.value.__cause__ is error


def test_a_mistake_of_lgx_stays_a_bug() -> None:
    """It is not taken for a failure of the store."""
    with pytest.raises(KeyError), explained("s3://b/x", "read manifest.json"):
        raise KeyError("Key")


def test_an_error_of_lgx_passes_as_it_is() -> None:
    """It has its words already."""
    told = UsageError("this is wrong")
    with pytest.raises(UsageError) as raised, explained("s3://b/x", "read manifest.json"):
        raise told
    assert raised.value is told
