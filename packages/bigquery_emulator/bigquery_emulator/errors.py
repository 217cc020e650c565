"""The errors of the API, in Google's shapes and words.

Every error that a client may see is an `ApiError` made here. What makes a request wrong is decided
by the other modules.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

_STATUS_OF_CODE = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
}
_CODE_OF_REASON = {
    "notFound": 404,
    "duplicate": 409,
    "conditionNotMet": 412,
    "internalError": 500,
    "backendError": 500,
    "notImplemented": 501,
}
# What the SQL macros raise for a case that DuckDB would answer differently from BigQuery.
UNSUPPORTED_MARK = "emulator does not support"


class ApiError(Exception):
    """An error with Google's reason, from which the HTTP code follows."""

    def __init__(self, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.location = location

    @property
    def code(self) -> int:
        """The HTTP code that goes with the reason."""
        return _CODE_OF_REASON.get(self.reason, 400)

    def proto(self) -> dict[str, Any]:
        """The error as jobs carry it: an ErrorProto."""
        proto = {"reason": self.reason, "message": self.message}
        return proto | ({"location": self.location} if self.location else {})

    def body(self) -> dict[str, Any]:
        """The error as the body of an HTTP answer."""
        detail = {"message": self.message, "domain": "global", "reason": self.reason}
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "errors": [detail],
                "status": _STATUS_OF_CODE[self.code],
            }
        }

    @classmethod
    def from_proto(cls, proto: dict[str, Any]) -> ApiError:
        """The error that a finished job carries, to be raised again."""
        return cls(proto["reason"], proto["message"], proto.get("location"))


def invalid(message: str) -> ApiError:
    """A request that BigQuery refuses too."""
    return ApiError("invalid", message)


def invalid_query(message: str) -> ApiError:
    """SQL that BigQuery refuses too."""
    return ApiError("invalidQuery", message, location="query")


def not_found(message: str) -> ApiError:
    """Something named that does not exist."""
    return ApiError("notFound", f"Not found: {message}")


def duplicate(message: str) -> ApiError:
    """Something to be created that exists."""
    return ApiError("duplicate", f"Already Exists: {message}")


def unsupported(what: str) -> ApiError:
    """Something that BigQuery does and the emulator does not."""
    return ApiError("notImplemented", f"The BigQuery emulator does not support {what}.")


def precondition_failed() -> ApiError:
    """An If-Match header that names another version."""
    return ApiError("conditionNotMet", "Precondition check failed.")


# DuckDB's words, and BigQuery's for the same.
_BIGQUERY_WORDS = (
    (r"Division by zero in expression \((.*?)\)\..*", r"division by zero: \1"),
    (r'Referenced column "(.*?)" (?:not found|was not found).*', r"Unrecognized name: \1"),
    (r'Table "(.*?)" does not have a column named "(.*?)".*', r"Name \2 not found inside \1"),
    (r'Values list "(.*?)" does not have a column named "(.*?)".*', r"Name \2 not found inside \1"),
    (r'Referenced table "(.*?)" not found!.*', r"Unrecognized name: \1"),
    (
        r"No function matches the given name and argument types '(.*?)'.*",
        r"No matching signature for \1",
    ),
    (
        r'column "(.*?)" must appear in the GROUP BY clause.*',
        r"expression references column \1 which is neither grouped nor aggregated",
    ),
)


def raise_for_duckdb(error: Exception) -> NoReturn:
    """Raises DuckDB's complaint about a query as BigQuery's kind of error.

    Raises:
        ApiError: always.
    """
    text = re.sub(r"^[A-Za-z ]+ Error: ", "", str(error)).split("\n\nLINE ")[0].strip()
    if UNSUPPORTED_MARK in text:
        raise ApiError("notImplemented", text) from error
    for theirs, ours in _BIGQUERY_WORDS:
        text = re.sub(theirs, ours, text, flags=re.DOTALL)
    if "Macro bq_" in text and "multiple overloads" in text:
        raise unsupported(
            "DATE_ADD and DATE_SUB of an aggregate; aggregate in a subquery"
        ) from error
    name = type(error).__name__
    if name == "InterruptException":
        raise ApiError("stopped", "Job execution was cancelled: User requested cancellation")
    if name in ("OutOfMemoryException", "IOException", "FatalException", "InternalException"):
        raise ApiError("backendError", text) from error
    raise invalid_query(text) from error
