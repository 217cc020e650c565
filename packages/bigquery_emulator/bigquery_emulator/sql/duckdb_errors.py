"""DuckDB's complaints about a query, in BigQuery's words, or as what is not supported.

The analysis has refused what BigQuery refuses before DuckDB sees a query. What is left are values
that only the run finds, and combinations that DuckDB cannot run: none speaks DuckDB's words.
"""

from __future__ import annotations

import re
from typing import NoReturn

import duckdb

from bigquery_emulator.errors import OWN_MARK, ApiError, invalid_query, unsupported

# What the SQL macros raise for a case that DuckDB would answer differently from BigQuery.
UNSUPPORTED_MARK = "emulator does not support"
_RE2_ERRORS = (
    "missing |invalid |no argument for repetition|bad repetition|unexpected \\)|trailing |"
    "pattern too large"
)
# DuckDB's words, and BigQuery's for the same.
_BIGQUERY_WORDS = (
    (r"Division by zero.*", "division by zero"),
    (r"Overflow in (\w+) of INT(?:64|128) \((.*?)\).*", r"int64 overflow: \2"),
    (r"Overflow on abs.*|Overflow in negation of integer.*", "int64 overflow"),
    (r".*INT128.*out of range for the destination type INT64.*", "int64 overflow"),
    (r".*(?:logarithm|square root|power|undefined outside).*", "Floating point error in function"),
    (
        r"More than one row returned by a subquery.*",
        "Scalar subquery produced more than one element",
    ),
    (
        r'Could not parse string "(.*?)" according to.*',
        r'Failed to parse input string "\1"',
    ),
    (rf"((?:{_RE2_ERRORS}).*)", r"Cannot parse regular expression: \1"),
    (r"Unknown TimeZone '(.*?)'.*", r"Invalid time zone: \1"),
    (r"[Dd]ate out of range: (\S+).*", r"Input calculates to invalid date: \1"),
    (r"[Tt]ime out of range: (\S+).*", r"Input calculates to invalid time: \1"),
    (
        r".*(?:[Dd]ate|[Tt]imestamp|[Tt]ime).*(?:out of range|overflow|field value).*",
        "Date or time value out of range",
    ),
)
_UNBOUND = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


def raise_for_duckdb(error: Exception) -> NoReturn:
    """Raises DuckDB's complaint about a query as BigQuery's kind of error.

    Raises:
        ApiError: always.
    """
    text = re.sub(r"^[A-Za-z ]+ Error: ", "", str(error)).split("\n\nLINE ")[0].strip()
    if UNSUPPORTED_MARK in text:
        raise ApiError("notImplemented", text.replace(OWN_MARK, "")) from error
    if OWN_MARK in text:
        raise invalid_query(text.partition(OWN_MARK)[2]) from error
    name = type(error).__name__
    if name == "InterruptException":
        raise ApiError("stopped", "Job execution was cancelled: User requested cancellation")
    if name in ("OutOfMemoryException", "IOException", "FatalException", "InternalException"):
        raise ApiError("backendError", f"The query could not be run: {name}") from error
    for theirs, ours in _BIGQUERY_WORDS:
        if re.fullmatch(theirs, text, flags=re.DOTALL):
            said = re.sub(theirs, ours, text, count=1, flags=re.DOTALL)
            raise invalid_query(said.split("\n")[0]) from error
    if isinstance(error, _UNBOUND):
        raise unsupported("this combination of expressions") from error
    raise unsupported("a value that this query computes") from error
