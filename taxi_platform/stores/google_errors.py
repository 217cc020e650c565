"""Google's client errors, mapped once for GCS and BigQuery.

What is known to last is permanent. Anything else, known or not, may pass: a proxy's error page, an
answer that breaks off, a status that Google does not document.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions

from taxi_platform.errors import PermanentStoreError, TransientStoreError

_LASTING_CODES = frozenset({400, 401, 403, 404, 405, 406, 409, 410, 411, 412, 413, 416, 501})

TRANSIENT_REASONS = frozenset(
    {
        "backendError",
        "internalError",
        "jobRateLimitExceeded",
        "quotaExceeded",
        "rateLimitExceeded",
        "stopped",
        "tableUnavailable",
        "timeout",
        "userRateLimitExceeded",
    }
)
"""Google's reasons of errors that may pass, whatever their status is."""

# https://datatracker.ietf.org/doc/html/rfc6749#section-5.2
_LASTING_TOKEN_ERRORS = frozenset(
    {
        *("access_denied", "admin_policy_enforced", "deleted_client", "disabled_client"),
        *("invalid_client", "invalid_grant", "invalid_request", "invalid_scope"),
        *("org_internal", "unauthorized_client", "unsupported_grant_type"),
    }
)

_UNREACHABLE = (
    exceptions.RetryError,
    requests.exceptions.RequestException,
    ConnectionError,
    TimeoutError,
    auth_exceptions.TransportError,
    auth_exceptions.TimeoutError,
    auth_exceptions.ResponseError,
)

_CLIENTS = ("google", "requests", "urllib3", "json")


@contextmanager
def google_errors(subject: object, store: str) -> Iterator[None]:
    """Maps the errors of a Google client to the two kinds of store error.

    Args:
        subject: the partition, for the message.
        store: the store and the object or table, for the message.
    """
    try:
        yield
    except auth_exceptions.DefaultCredentialsError as error:
        raise PermanentStoreError(
            f"{subject}: {store}: no Google credentials: run 'gcloud auth application-default "
            "login', or for the embedded stack 'taxi-platform local up'"
        ) from error
    except exceptions.PreconditionFailed as error:
        raise TransientStoreError(
            f"{subject}: {store}: another writer replaced it meanwhile; try again"
        ) from error
    except _UNREACHABLE as error:
        raise _unreachable(subject, store, error) from error
    except auth_exceptions.RefreshError as error:
        if not _is_lasting_refusal(error):
            raise _unreachable(subject, store, error) from error
        raise PermanentStoreError(
            f"{subject}: {store}: Google gives no token for these credentials ({_say(error)}): "
            "renew the key, or run 'gcloud auth application-default login'"
        ) from error
    except exceptions.GoogleAPICallError as error:
        raise _of_answer(subject, store, error) from error
    except auth_exceptions.GoogleAuthError as error:
        raise PermanentStoreError(f"{subject}: {store}: {_say(error)}") from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        if not _was_raised_by_a_client(error):
            raise
        raise TransientStoreError(
            f"{subject}: {store} gave an answer that Google's client cannot read "
            f"({type(error).__name__}: {_say(error)}): a proxy, or an answer that broke off; try "
            "again"
        ) from error


def _of_answer(
    subject: object, store: str, error: exceptions.GoogleAPICallError
) -> PermanentStoreError | TransientStoreError:
    """The store error for an error that was answered."""
    if error.code not in _LASTING_CODES or not TRANSIENT_REASONS.isdisjoint(_reasons_of(error)):
        return _unreachable(subject, store, error)
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return PermanentStoreError(
            f"{subject}: {store} refused access ({_say(error)}): give the service account the role"
        )
    return PermanentStoreError(f"{subject}: {store}: {_say(error)}")


def _unreachable(subject: object, store: str, error: Exception) -> TransientStoreError:
    return TransientStoreError(
        f"{subject}: {store} cannot be reached or is overloaded ({_say(error)}). Is the "
        "stack up ('taxi-platform local up' starts it), or the network?"
    )


def _reasons_of(error: exceptions.GoogleAPICallError) -> set[str]:
    details = error.errors if isinstance(error.errors, list) else []
    return {str(detail.get("reason")) for detail in details if isinstance(detail, dict)}


def _is_lasting_refusal(error: auth_exceptions.RefreshError) -> bool:
    """Whether the server of tokens refused these credentials, and did not just fail."""
    if isinstance(error, auth_exceptions.ReauthFailError):
        return True
    if error.retryable:
        return False
    said = next((argument for argument in error.args if isinstance(argument, dict)), {})
    cause: Any = said.get("error")
    if isinstance(cause, dict):
        return cause.get("code") in _LASTING_CODES
    return cause in _LASTING_TOKEN_ERRORS


def _was_raised_by_a_client(error: Exception) -> bool:
    """Whether an error comes from a client's own code, so not from this platform's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return str(name).partition(".")[0] in _CLIENTS


def _say(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return str(text).splitlines()[0][:500] if text else type(error).__name__
