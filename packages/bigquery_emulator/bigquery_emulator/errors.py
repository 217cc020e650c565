"""The errors of the API, in Google's words.

Every error that a client may see is an `ApiError` made here. What makes a request wrong is decided
by the other modules; how an error looks as an HTTP answer, in api/http_calls.py.
"""

from __future__ import annotations

from typing import Any

# What stands before the messages that SQL macros raise in BigQuery's words.
OWN_MARK = "BigQuery says: "


class ApiError(Exception):
    """An error with Google's reason, from which the HTTP code of an answer follows."""

    def __init__(self, reason: str, message: str, location: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.location = location

    def proto(self) -> dict[str, Any]:
        """The error as jobs carry it: an ErrorProto."""
        proto = {"reason": self.reason, "message": self.message}
        return proto | ({"location": self.location} if self.location else {})

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
