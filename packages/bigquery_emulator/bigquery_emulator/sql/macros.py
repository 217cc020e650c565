"""Functions that give DuckDB BigQuery's semantics where the two differ, as DuckDB macros.

functions.py writes calls of these for BigQuery's functions. Where the semantics depend on the
type of an argument, a macro asks ``typeof``, which DuckDB answers when it binds the query: neither
results nor result types depend on guesses made from the SQL text. (DuckDB has macros with one body
for each type, but cannot choose among them for the result of an aggregate.)
"""

# ruff: noqa: S608 - SQL is put together from constants

from __future__ import annotations

from bigquery_emulator.sql.duckdb_errors import UNSUPPORTED_MARK

_IS_FLOAT = "typeof(x) IN ('DOUBLE', 'FLOAT')"
_IS_NUMERIC = "typeof(x) LIKE 'DECIMAL%'"
_IS_STRING = "typeof(x) = 'VARCHAR'"
_IS_BYTES = "typeof(x) = 'BLOB'"
_IS_TIMESTAMP = "typeof(x) = 'TIMESTAMP WITH TIME ZONE'"
_TEXT = "CAST(x AS VARCHAR)"
_INTEGER_TEXT = f"regexp_full_match(trim({_TEXT}), '[+-]?([0-9]+|0[xX][0-9a-fA-F]+)')"
_DATE_TEXT = f"regexp_full_match({_TEXT}, '[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}')"


def _unsupported(what: str, kind: str) -> str:
    return f"CAST(error('The BigQuery {UNSUPPORTED_MARK} {what}.') AS {kind})"


def _casts(prefix: str, cast: str, bad: str) -> str:
    """The macros of CAST or SAFE_CAST.

    Args:
        prefix: of the macros' names.
        cast: DuckDB's cast to use, CAST or TRY_CAST.
        bad: a format of what stands for a value that cannot be cast, of a message and a type.
    """

    def refused(message: str, kind: str) -> str:
        return bad.format(message=message, kind=kind)

    # Times print their fraction with three digits or six, floats without a needless ".0".
    fraction = f"regexp_extract({_TEXT}, '\\.([0-9]+)', 1)"
    padded = f"rpad({fraction}, CASE WHEN length({fraction}) <= 3 THEN 3 ELSE 6 END, '0')"
    return rf"""
CREATE OR REPLACE MACRO {prefix}_int64(x) AS CASE
    WHEN x IS NULL THEN NULL
    WHEN {_IS_FLOAT} THEN {cast}(round({cast}(x AS DOUBLE)) AS BIGINT)
    WHEN {_IS_STRING} AND NOT {_INTEGER_TEXT} THEN {refused("'Bad int64 value: ' || x", "BIGINT")}
    ELSE {cast}(x AS BIGINT) END;
CREATE OR REPLACE MACRO {prefix}_float64(x) AS CASE
    WHEN typeof(x) = 'BOOLEAN' THEN {refused("'Invalid cast from BOOL to FLOAT64'", "DOUBLE")}
    ELSE {cast}(x AS DOUBLE) END;
CREATE OR REPLACE MACRO {prefix}_numeric(x) AS {cast}(x AS DECIMAL(38,9));
CREATE OR REPLACE MACRO {prefix}_bool(x) AS CASE
    WHEN {_IS_STRING} AND lower({_TEXT}) NOT IN ('true', 'false')
    THEN {refused("'Bad bool value: ' || x", "BOOLEAN")}
    ELSE {cast}(x AS BOOLEAN) END;
CREATE OR REPLACE MACRO {prefix}_string(x) AS CASE
    WHEN {_IS_BYTES} OR typeof(x) LIKE '%]' OR typeof(x) LIKE 'STRUCT%'
    THEN {_unsupported("casts of BYTES, ARRAY and STRUCT to STRING", "VARCHAR")}
    WHEN {_IS_FLOAT} AND {_TEXT} = 'nan' THEN 'NaN'
    WHEN {_IS_FLOAT} THEN regexp_replace({_TEXT}, '\.0$', '')
    WHEN {_IS_NUMERIC} THEN rtrim(rtrim({_TEXT}, '0'), '.')
    WHEN typeof(x) LIKE 'TIME%' AND {fraction} <> ''
    THEN regexp_replace({_TEXT}, '\.[0-9]+', '.' || {padded})
    ELSE {_TEXT} END;
CREATE OR REPLACE MACRO {prefix}_bytes(x) AS CASE
    WHEN {_IS_STRING} THEN encode({_TEXT}) ELSE {cast}(x AS BLOB) END;
CREATE OR REPLACE MACRO {prefix}_date(x) AS CASE
    WHEN {_IS_STRING} AND NOT {_DATE_TEXT} THEN {refused("'Invalid date: ' || x", "DATE")}
    ELSE {cast}(x AS DATE) END;
CREATE OR REPLACE MACRO {prefix}_datetime(x) AS {cast}(x AS TIMESTAMP);
CREATE OR REPLACE MACRO {prefix}_timestamp(x) AS {cast}(x AS TIMESTAMPTZ);
CREATE OR REPLACE MACRO {prefix}_time(x) AS CASE
    WHEN {_IS_TIMESTAMP} THEN {cast}({cast}(x AS TIMESTAMP) AS TIME) ELSE {cast}(x AS TIME) END;
"""


_NUMBERS = f"""
CREATE OR REPLACE MACRO bq_float(x) AS CASE
    WHEN {_IS_NUMERIC} THEN {_unsupported("this function for NUMERIC values", "DOUBLE")}
    WHEN {_IS_STRING} THEN CAST(error('A number is needed, not a STRING') AS DOUBLE)
    ELSE CAST(x AS DOUBLE) END;
CREATE OR REPLACE MACRO bq_int(x) AS CASE
    WHEN {_IS_NUMERIC} OR {_IS_FLOAT} OR {_IS_STRING}
    THEN {_unsupported("this function for other values than INT64", "BIGINT")}
    ELSE CAST(x AS BIGINT) END;
-- Only from a DATE can a DATE be taken. Naming "a" once keeps a long chain from doubling each time.
CREATE OR REPLACE MACRO bq_minus(a, b) AS CASE WHEN typeof(b) = 'DATE'
    THEN error('The BigQuery {UNSUPPORTED_MARK} differences of DATEs; use DATE_DIFF.')
    ELSE a - b END;
-- DuckDB goes on with Infinity where BigQuery ends with an overflow. Whether an operand was
-- infinite from the start is not known here, so neither is supported.
CREATE OR REPLACE MACRO bq_finite(x) AS CASE
    WHEN {_IS_FLOAT} AND isinf(CAST(x AS DOUBLE))
    THEN error('The BigQuery {UNSUPPORTED_MARK} infinite results of arithmetic (double overflow).')
    ELSE x END;
CREATE OR REPLACE MACRO bq_quotient(a, b) AS a / b;
CREATE OR REPLACE MACRO bq_safe_divide(a, b) AS bq_float(a) / nullif(bq_float(b), 0);
CREATE OR REPLACE MACRO bq_div(a, b) AS bq_int(a) // bq_int(b);
CREATE OR REPLACE MACRO bq_mod(a, b) AS bq_int(a) % bq_int(b);
CREATE OR REPLACE MACRO bq_round(x) AS round(bq_float(x));
CREATE OR REPLACE MACRO bq_round_to(x, n) AS round(bq_float(x), CAST(n AS INTEGER));
CREATE OR REPLACE MACRO bq_ceil(x) AS ceil(bq_float(x));
CREATE OR REPLACE MACRO bq_floor(x) AS floor(bq_float(x));
CREATE OR REPLACE MACRO bq_trunc(x) AS trunc(bq_float(x));
"""

_STRINGS = f"""
CREATE OR REPLACE MACRO bq_text(x) AS CASE
    WHEN {_IS_BYTES} THEN {_unsupported("this function for BYTES", "VARCHAR")}
    WHEN NOT {_IS_STRING} AND x IS NOT NULL
    THEN CAST(error('A STRING is needed, not another type') AS VARCHAR)
    ELSE {_TEXT} END;
CREATE OR REPLACE MACRO bq_length(x) AS CASE
    WHEN {_IS_BYTES} THEN octet_length(CAST(x AS BLOB)) ELSE length(bq_text(x)) END;
CREATE OR REPLACE MACRO bq_start(x, p) AS
    CASE WHEN p = 0 THEN 1 WHEN p < 0 THEN greatest(length(x) + p + 1, 1) ELSE p END;
CREATE OR REPLACE MACRO bq_substr(x, p) AS
    substring(bq_text(x), bq_start(bq_text(x), bq_int(p)));
CREATE OR REPLACE MACRO bq_substr_length(x, p, n) AS CASE
    WHEN n < 0 THEN CAST(error('Third argument in SUBSTR() cannot be negative') AS VARCHAR)
    ELSE substring(bq_text(x), bq_start(bq_text(x), bq_int(p)), bq_int(n)) END;
CREATE OR REPLACE MACRO bq_left(x, n) AS CASE
    WHEN n < 0 THEN CAST(error('Second argument in LEFT() cannot be negative') AS VARCHAR)
    ELSE left(bq_text(x), n) END;
CREATE OR REPLACE MACRO bq_right(x, n) AS CASE
    WHEN n < 0 THEN CAST(error('Second argument in RIGHT() cannot be negative') AS VARCHAR)
    ELSE right(bq_text(x), n) END;
CREATE OR REPLACE MACRO bq_lpad(x, n, p) AS CASE
    WHEN n < 0 OR p = '' THEN CAST(error('Invalid arguments of LPAD') AS VARCHAR)
    ELSE lpad(bq_text(x), CAST(n AS INTEGER), p) END;
CREATE OR REPLACE MACRO bq_rpad(x, n, p) AS CASE
    WHEN n < 0 OR p = '' THEN CAST(error('Invalid arguments of RPAD') AS VARCHAR)
    ELSE rpad(bq_text(x), CAST(n AS INTEGER), p) END;
CREATE OR REPLACE MACRO bq_replace(x, a, b) AS
    CASE WHEN a = '' THEN bq_text(x) ELSE replace(bq_text(x), a, b) END;
CREATE OR REPLACE MACRO bq_regexp_extract(x, p, g) AS
    CASE WHEN regexp_matches(bq_text(x), p)
    THEN regexp_extract(bq_text(x), p, CAST(g AS INTEGER)) END;
CREATE OR REPLACE MACRO bq_whitespace() AS
    ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(133) || chr(160) || chr(5760)
    || chr(8192) || chr(8193) || chr(8194) || chr(8195) || chr(8196) || chr(8197) || chr(8198)
    || chr(8199) || chr(8200) || chr(8201) || chr(8202) || chr(8232) || chr(8233) || chr(8239)
    || chr(8287) || chr(12288);
"""

_TIMES = f"""
CREATE OR REPLACE MACRO bq_diff(u, x, b) AS
    CASE WHEN {_IS_TIMESTAMP} THEN date_sub(u, b, x) ELSE date_diff(u, b, x) END;
-- DuckDB's own difference in weeks does not count Mondays.
CREATE OR REPLACE MACRO bq_week_diff(n, x, b) AS CASE
    WHEN {_IS_TIMESTAMP} THEN {_unsupported("differences of TIMESTAMPs in weeks", "BIGINT")}
    ELSE date_diff(
        'day', date_trunc('week', b + to_days(n)), date_trunc('week', x + to_days(n))) // 7 END;
CREATE OR REPLACE MACRO bq_shift_date(x DATE, i) AS CAST(x + i AS DATE),
    (x TIMESTAMP, i) AS x + i,
    (x TIMESTAMPTZ, i) AS x + i;
"""

_ARRAYS = """
CREATE OR REPLACE MACRO bq_element(x, i) AS CASE
    WHEN x IS NOT NULL AND (i < 1 OR i > len(x))
    THEN error('Array index ' || (i - 1) || ' is out of bounds') ELSE x[i] END;
"""

# What may be assigned to a column of each type without a cast; anything else is refused.
_ASSIGNED: dict[str, tuple[str, ...]] = {
    "STRING": ("VARCHAR",),
    "BYTES": ("BLOB",),
    "INTEGER": ("BIGINT", "HUGEINT", "INTEGER"),
    "FLOAT": ("DOUBLE", "BIGINT", "HUGEINT", "INTEGER", "DECIMAL(38,9)"),
    "NUMERIC": ("DECIMAL(38,9)", "BIGINT", "HUGEINT", "INTEGER"),
    "BOOLEAN": ("BOOLEAN",),
    "DATE": ("DATE",),
    "DATETIME": ("TIMESTAMP", "DATE"),
    "TIMESTAMP": ("TIMESTAMP WITH TIME ZONE",),
    "TIME": ("TIME",),
}


def assignable(kind: str, duckdb_type: str) -> bool:
    """Whether a value of that DuckDB type may be assigned to a column of BigQuery's type."""
    # A bare NULL may be assigned to anything; DuckDB types it so.
    return duckdb_type in ('"NULL"', "NULL") or duckdb_type in _ASSIGNED.get(kind, (duckdb_type,))


def _assignment(kind: str, allowed: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{name}'" for name in allowed)
    message = f"A value of another type cannot be assigned to a column of type {kind}"
    # The refusal must have no type of its own, and must not be computed for a NULL.
    return (
        f"CREATE OR REPLACE MACRO bq_assign_{kind.lower()}(x) AS CASE "
        f"WHEN x IS NULL OR typeof(x) IN ({listed}) THEN x ELSE error('{message}') END;"
    )


def all_macros() -> str:
    """The SQL that creates every macro; it may be run again and again."""
    casts = _casts("bq_to", "CAST", "CAST(error({message}) AS {kind})")
    safe_casts = _casts("bq_safe_to", "TRY_CAST", "CAST(NULL AS {kind})")
    assignments = "\n".join(_assignment(kind, names) for kind, names in _ASSIGNED.items())
    return casts + safe_casts + _NUMBERS + _STRINGS + _TIMES + _ARRAYS + assignments
