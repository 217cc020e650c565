"""The errors of the API, in Google's words.

How an error looks as an HTTP answer is decided in api/calls.py.
"""

from __future__ import annotations


class ApiError(Exception):
    """An error that a client sees.

    Attributes:
        code: the HTTP status.
        reason: Google's word for the kind of error.
        message: what was wrong.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class NotModifiedError(Exception):
    """A read whose condition says that the client has this version already: 304, without a body."""


def invalid(message: str) -> ApiError:
    """A request that GCS refuses too."""
    return ApiError(400, "invalid", message)


def no_bucket() -> ApiError:
    """A bucket that does not exist."""
    return ApiError(404, "notFound", "The specified bucket does not exist.")


def no_object(bucket: str, name: str) -> ApiError:
    """An object, or a generation of it, that does not exist."""
    return ApiError(404, "notFound", f"No such object: {bucket}/{name}")


def conflict(message: str) -> ApiError:
    """A change that the state of a bucket does not allow."""
    return ApiError(409, "conflict", message)


def condition_not_met() -> ApiError:
    """A precondition that does not hold."""
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiError(412, "conditionNotMet", message)


def wrong_checksum(kind: str, given: str, calculated: str) -> ApiError:
    """Content that is not what the client says it sent."""
    return invalid(f'Provided {kind} "{given}" doesn\'t match calculated {kind} "{calculated}".')


def unsupported(what: str) -> ApiError:
    """Something that GCS does and the emulator does not."""
    return ApiError(501, "notImplemented", f"The GCS emulator does not support {what}.")
