"""DuckDB's complaints about a query, as BigQuery would make them."""

from __future__ import annotations

import re
from typing import NoReturn

from bigquery_emulator.errors import ApiError, invalid_query, unsupported

# What the SQL macros raise for a case that DuckDB would answer differently from BigQuery.
UNSUPPORTED_MARK = "emulator does not support"
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
