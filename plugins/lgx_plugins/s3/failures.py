"""What an object store answers, and what never reaches it, as lgx's errors: one sentence each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lgx import FatalError, LgxError, UsageError

__all__ = [
    "CutShortError",
    "DeniedError",
    "UnreachedError",
    "code_of",
    "explained",
    "is_conflict",
    "is_missing",
    "no_s3",
    "status_of",
]

_AGAIN = "run again later: what was committed stands, and the run goes on from there"
_BUSY = {
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "SlowDownRead",
    "SlowDownWrite",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_FULL = {
    "InsufficientStorage",
    "QuotaExceeded",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
}
_KEY = {
    "InvalidAccessKeyId": "the access key is not known there",
    "InvalidToken": "the session token is not valid",
    "InvalidClientTokenId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key does not fit the access key (or a proxy changes "
    "requests on their way)",
}
_REGION = {
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
}
_UNKNOWN = {"NotImplemented", "XNotImplemented"}
_WORDS = re.compile(r"\s+")


class DeniedError(FatalError):
    """The store knows who asks, and refuses it (403)."""


class CutShortError(FatalError):
    """An answer ended early. boto3 does not try such a request again; it may be."""


class UnreachedError(FatalError):
    """No answer came.

    Attributes:
        said: the message without its remedy.
    """

    def __init__(self, said: str) -> None:
        super().__init__(f"{said}; {_AGAIN}")
        self.said = said


def status_of(error: Any) -> int:
    """The HTTP status of a botocore ClientError."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_missing(error: Any) -> bool:
    """Whether there is no such object; a missing bucket is another matter."""
    return code_of(error) in ("NoSuchKey", "404", "NotFound") or (
        status_of(error) == 404 and code_of(error) not in ("NoSuchBucket", "NoSuchUpload")
    )


def is_conflict(error: Any) -> bool:
    """Whether a condition of a write did not hold, or somebody else wrote at that moment."""
    return status_of(error) in (409, 412) and code_of(error) != "OperationAborted"


def code_of(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(place: str, what: str) -> Iterator[None]:
    """Turns boto3's errors in its block into lgx's.

    Args:
        place: the archive's url.
        what: the work that failed, as an infinitive's object: `write manifest.json`.
    """
    try:
        yield
    except LgxError:
        raise
    except Exception as error:
        raise _explain(error, place, what) from error


def _explain(error: Exception, place: str, what: str) -> LgxError:
    """What to raise in place of an error of boto3's. Anything else stays a bug."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import HTTPError

    lead = f"cannot {what} of {place!r}:"
    cut_short = (boto.IncompleteReadError, boto.ResponseStreamingError, HTTPError)
    if isinstance(error, cut_short):
        return CutShortError(f"{lead} the answer ends early ({_plain(error)}); {_AGAIN}")
    if isinstance(error, boto.ClientError):
        return _answer(error, place, what)
    if isinstance(
        error,
        boto.NoCredentialsError
        | boto.PartialCredentialsError
        | boto.CredentialRetrievalError
        | boto.NoAuthTokenError
        | boto.SSOError
        | boto.TokenRetrievalError,
    ):
        return UsageError(
            f"no credentials for {place!r}: {_plain(error)}; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or log in (aws sso login)"
        )
    if isinstance(error, boto.ProfileNotFound | boto.ConfigNotFound | boto.ConfigParseError):
        return UsageError(f"boto3's configuration does not serve: {_plain(error)}; correct it")
    if isinstance(error, boto.NoRegionError):
        return UsageError(
            f"the region of {place!r} is not known; give --source-region or --sink-region"
        )
    if isinstance(
        error, boto.ParamValidationError | boto.InvalidEndpointDiscoveryConfigurationError
    ):
        return UsageError(f"{place!r} cannot be used: {_plain(error)}; correct the options")
    if isinstance(error, ResponseParserError):
        return no_s3(lead, _plain(error))
    if isinstance(error, RecursionError) or _holds_recursion(error):
        # botocore asks where the bucket lies, is sent elsewhere again, asks again, …
        return no_s3(lead, "it sends every request elsewhere")
    if isinstance(error, boto.SSLError):
        return FatalError(
            f"{lead} the connection is not secure: {_plain(error)}; look at "
            "the endpoint's certificate, or name its authority in AWS_CA_BUNDLE"
        )
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | OSError):
        return UnreachedError(f"{lead} {_plain(error)}")
    if isinstance(error, boto.BotoCoreError):
        return FatalError(f"{lead} {_plain(error)}; see to that and run again")
    raise error


def _answer(error: Any, place: str, what: str) -> LgxError:
    code, status = code_of(error), status_of(error)
    said = _plain(error.response.get("Error", {}).get("Message") or code or f"status {status}")
    lead = f"cannot {what} of {place!r}:"
    if code == "NoSuchBucket":
        return UsageError(f"the bucket of {place!r} does not exist; create it, or correct the url")
    if code == "NoSuchUpload":
        return FatalError(
            f"{lead} its upload was ended by another program or by a lifecycle rule of the "
            "bucket; see to that and run again"
        )
    if code in _EXPIRED:
        return FatalError(
            f"{lead} the credentials have expired; renew them and run again: what was committed "
            "stands, and the run goes on from there"
        )
    if code in _KEY:
        return UsageError(f"{lead} {_KEY[code]}; correct the credentials that boto3 finds")
    if code == "RequestTimeTooSkewed":
        return FatalError(f"{lead} this machine's clock is wrong by minutes; set it, and run again")
    if code in _REGION or status in (301, 307):
        region = _region(error)
        hint = f"--source-region {region} or --sink-region {region}" if region else "its region"
        return UsageError(f"{lead} the bucket lies in another region; give {hint}")
    if code.startswith("KMS") or "kms" in said.lower():
        return FatalError(
            f"{lead} the KMS key does not serve: {said}; correct its id or its policy"
        )
    if code == "InvalidStorageClass":
        return UsageError(f"{lead} the store has no such storage class; correct storage-class")
    if code == "InvalidObjectState":
        return FatalError(f"{lead} it lies in an archival storage class; restore it there first")
    if code in _FULL or status == 507:
        return FatalError(f"{lead} the store has no space left ({said}); make some, then run again")
    if code in _BUSY or status in (408, 425, 429, 500, 502, 503, 504):
        return FatalError(f"{lead} the store is overloaded or down ({code or status}); {_AGAIN}")
    if code in _UNKNOWN or status in (405, 501):
        return UsageError(
            f"{lead} the store does not know such a request ({said}); --sink-checksum md5 or "
            "--no-sink-conditional-writes may suit it"
        )
    if status in (401, 403):
        return DeniedError(f"{lead} permission denied ({said}); grant it {_permission(what)}")
    if code.isdigit() or not code:  # no word of the server's own
        return no_s3(lead, said if str(status) in said else f"{said}, {status}")
    return FatalError(f"{lead} {said} ({code}); see to that and run again")


def no_s3(lead: str, said: str) -> UsageError:
    """What to raise where answers are not such as a store gives."""
    return UsageError(f"{lead} what answers there is no S3 ({said}); correct the endpoint's url")


def _permission(what: str) -> str:
    """What a policy calls the right to do it."""
    verb = what.partition(" ")[0]
    rights = {
        "read": "s3:GetObject",
        "write": "s3:PutObject",
        "remove": "s3:DeleteObject",
        "list": "s3:ListBucket",
        "abort": "s3:AbortMultipartUpload",
        "find": "s3:ListBucketMultipartUploads",
    }
    return rights.get(verb, "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket")


def _region(error: Any) -> str | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    if found is None:
        match = re.search(r"expecting '([a-z0-9-]+)'", str(error))
        found = match[1] if match else None
    return found if found is None else str(found)


def _plain(words: object) -> str:
    """One line of a message that others wrote, without its end."""
    text = _WORDS.sub(" ", str(words)).strip().rstrip(".;")
    return text if len(text) <= 300 else text[:299] + "…"


def _holds_recursion(error: BaseException) -> bool:
    """Whether botocore's HTTP client has wrapped one, which depends on where it was met."""
    wrapped = getattr(error, "kwargs", None)
    return isinstance(wrapped, dict) and isinstance(wrapped.get("error"), RecursionError)
