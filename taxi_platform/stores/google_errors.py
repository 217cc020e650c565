"""Google's client errors, mapped once for GCS and BigQuery."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions

from taxi_platform.errors import PermanentStoreError, TransientStoreError

_TRANSIENT = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    requests.exceptions.RequestException,
    ConnectionError,
    TimeoutError,
    auth_exceptions.TransportError,
)


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
    except exceptions.MethodNotImplemented as error:
        # The server does not support the call: the emulator, or a proxy.
        raise PermanentStoreError(f"{subject}: {store}: {_say(error)}") from error
    except _TRANSIENT as error:
        raise TransientStoreError(
            f"{subject}: {store} cannot be reached or is overloaded ({_say(error)}). Is the "
            "stack up ('taxi-platform local up' starts it), or the network?"
        ) from error
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise PermanentStoreError(
            f"{subject}: {store} refused access ({_say(error)}): give the service account the role"
        ) from error
    except (exceptions.GoogleAPICallError, auth_exceptions.GoogleAuthError) as error:
        raise PermanentStoreError(f"{subject}: {store}: {_say(error)}") from error


def _say(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return str(text).splitlines()[0][:500] if text else type(error).__name__
