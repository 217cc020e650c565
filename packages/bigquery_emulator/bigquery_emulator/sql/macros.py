"""Functions that give DuckDB BigQuery's semantics where the two differ, as DuckDB macros.

functions.py writes calls of these for BigQuery's functions. Where the semantics depend on the
type of an argument, a macro asks ``typeof``, which DuckDB answers when it binds the query: neither
results nor result types depend on guesses made from the SQL text. (DuckDB has macros with one body
for each type, but cannot choose among them for the result of an aggregate.)
"""

from __future__ import annotations

from bigquery_emulator.errors import OWN_MARK
from bigquery_emulator.sql.aggregate_functions import AGGREGATE_MACROS
from bigquery_emulator.sql.casts import cast_macros
from bigquery_emulator.sql.duckdb_errors import UNSUPPORTED_MARK
from bigquery_emulator.sql.json_functions import JSON_MACROS
from bigquery_emulator.sql.more_functions import MORE_MACROS
from bigquery_emulator.sql.recursion import RECURSION_MACROS
from bigquery_emulator.sql.text_formats import FORMAT_TEXT_MACROS
from bigquery_emulator.sql.time_formats import FORMAT_MACROS
from bigquery_emulator.storage.type_limits import limit_macros

_IS_FLOAT = "typeof(x) IN ('DOUBLE', 'FLOAT')"
_IS_NUMERIC = "typeof(x) LIKE 'DECIMAL%'"
_IS_STRING = "typeof(x) = 'VARCHAR'"
_IS_BYTES = "typeof(x) = 'BLOB'"
_IS_TIMESTAMP = "typeof(x) = 'TIMESTAMP WITH TIME ZONE'"
_TEXT = "CAST(x AS VARCHAR)"


def _letters(change: str) -> str:
    """A map of the letters that become other ones than DuckDB says, as SQL."""
    found = {
        chr(code): getattr(chr(code), change)()
        for code in range(128, 0x1E944)
        if not 0xD800 <= code < 0xE000 and len(getattr(chr(code), change)()) > 1
    }
    pairs = ", ".join(f"'{one}': '{other}'" for one, other in found.items())
    return f"MAP {{{pairs}}}"


_UPPER, _LOWER = _letters("upper"), _letters("lower")


def _unsupported(what: str, kind: str) -> str:
    return f"CAST(error('The BigQuery {UNSUPPORTED_MARK} {what}.') AS {kind})"


_NUMBERS = f"""
CREATE OR REPLACE MACRO bq_int(x) AS CAST(x AS BIGINT);
-- DuckDB goes on with Infinity where BigQuery ends with an overflow. Where it is not known whether
-- an operand was infinite from the start, neither is supported.
CREATE OR REPLACE MACRO bq_finite(x) AS CASE
    WHEN {_IS_FLOAT} AND isinf(CAST(x AS DOUBLE))
    THEN error('The BigQuery {UNSUPPORTED_MARK} infinite results of arithmetic (double overflow).')
    ELSE x END;
CREATE OR REPLACE MACRO bq_no_overflow(x, infinite) AS CASE
    WHEN isinf(x) AND NOT coalesce(infinite, false) THEN bq_error('double overflow') ELSE x END;
CREATE OR REPLACE MACRO bq_corr(a, b) AS CASE WHEN regr_count(a, b) > 1 THEN corr(a, b) END;
CREATE OR REPLACE MACRO bq_quotient(a, b) AS a / b;
CREATE OR REPLACE MACRO bq_safe_divide(a, b) AS a / nullif(b, 0);
CREATE OR REPLACE MACRO bq_div(a, b) AS bq_int(a) // bq_int(b);
CREATE OR REPLACE MACRO bq_mod(a, b) AS bq_int(a) % bq_int(b);
CREATE OR REPLACE MACRO bq_sign(x) AS CASE WHEN {_IS_FLOAT} AND isnan(CAST(x AS DOUBLE)) THEN x
    WHEN x > 0 THEN 1 WHEN x < 0 THEN -1 WHEN x = 0 THEN 0 END;
CREATE OR REPLACE MACRO bq_pow(a, b) AS CASE
    WHEN isnan(pow(a, b)) AND NOT isnan(a) AND NOT isnan(b)
    THEN bq_error('Floating point error in function: POW') ELSE pow(a, b) END;
CREATE OR REPLACE MACRO bq_digits(n) AS CASE WHEN n BETWEEN -300 AND 300 THEN CAST(n AS INTEGER)
    WHEN n IS NOT NULL THEN {_unsupported("so many digits", "INTEGER")} END;
CREATE OR REPLACE MACRO bq_round_to(x, n) AS round(x, bq_digits(n));
CREATE OR REPLACE MACRO bq_round_numeric(x, n) AS
    CAST(round(x, CAST(n AS INTEGER)) AS DECIMAL(38,9));
CREATE OR REPLACE MACRO bq_trunc_to(x, n) AS trunc(x, bq_digits(n));
CREATE OR REPLACE MACRO bq_gt(a, b) AS
    CASE WHEN isnan(a) AND b IS NOT NULL THEN false ELSE a > b END;
CREATE OR REPLACE MACRO bq_gte(a, b) AS
    CASE WHEN isnan(a) AND b IS NOT NULL THEN false ELSE a >= b END;
CREATE OR REPLACE MACRO bq_lt(a, b) AS bq_gt(b, a);
CREATE OR REPLACE MACRO bq_lte(a, b) AS bq_gte(b, a);
CREATE OR REPLACE MACRO bq_between(x, a, b) AS bq_gte(x, a) AND bq_gte(b, x);
CREATE OR REPLACE MACRO bq_no_nan(x) AS CASE WHEN isnan(x)
    THEN CAST(error('The BigQuery {UNSUPPORTED_MARK} quantiles of NaN.') AS DOUBLE) ELSE x END;
"""

_STRINGS = f"""
CREATE OR REPLACE MACRO bq_text_in_zone(x, z) AS CASE
    WHEN bq_try_string_datetime(x) IS NOT NULL THEN bq_in_zone(bq_try_string_datetime(x), z)
    ELSE bq_cast_string_timestamp(x) END;
CREATE OR REPLACE MACRO bq_text(x) AS CASE
    WHEN {_IS_BYTES} THEN {_unsupported("this function for BYTES", "VARCHAR")}
    ELSE {_TEXT} END;
-- Some letters become several: DuckDB knows only one for one.
CREATE OR REPLACE MACRO bq_upper(x) AS CASE WHEN strlen(x) = length(x) THEN upper(x)
    ELSE array_to_string(list_transform(string_split(x, ''),
        lambda c: coalesce({_UPPER}[c], upper(c))), '') END;
-- A sigma at the end of a word is written otherwise.
CREATE OR REPLACE MACRO bq_lower(x) AS CASE WHEN strlen(x) = length(x) THEN lower(x)
    ELSE array_to_string(list_transform(
        string_split(regexp_replace(
            x, '([\\p{{L}}\\p{{Mn}}])Σ([^\\p{{L}}]|$)', '\\1ς\\2', 'g'), ''),
        lambda c: coalesce({_LOWER}[c], lower(c))), '') END;
CREATE OR REPLACE MACRO bq_length(x) AS CASE
    WHEN {_IS_BYTES} THEN octet_length(CAST(x AS BLOB)) ELSE length(bq_text(x)) END;
CREATE OR REPLACE MACRO bq_start(x, p) AS
    CASE WHEN p = 0 THEN 1 WHEN p < 0 THEN greatest(length(x) + p + 1, 1) ELSE p END;
CREATE OR REPLACE MACRO bq_substr(x, p) AS
    substring(bq_text(x), bq_start(bq_text(x), bq_int(p)));
CREATE OR REPLACE MACRO bq_substr_length(x, p, n) AS CASE
    WHEN x IS NULL OR p IS NULL THEN NULL
    WHEN n < 0 THEN CAST(bq_error('Third argument in SUBSTR() cannot be negative') AS VARCHAR)
    ELSE substring(bq_text(x), bq_start(bq_text(x), bq_int(p)), bq_int(n)) END;
CREATE OR REPLACE MACRO bq_left(x, n) AS CASE
    WHEN x IS NULL THEN NULL
    WHEN n < 0 THEN CAST(bq_error('Second argument in LEFT() cannot be negative') AS VARCHAR)
    ELSE left(bq_text(x), n) END;
CREATE OR REPLACE MACRO bq_right(x, n) AS CASE
    WHEN x IS NULL THEN NULL
    WHEN n < 0 THEN CAST(bq_error('Second argument in RIGHT() cannot be negative') AS VARCHAR)
    ELSE right(bq_text(x), n) END;
CREATE OR REPLACE MACRO bq_lpad(x, n, p) AS CASE
    WHEN n < 0 OR p = '' THEN CAST(bq_error('Invalid arguments of LPAD') AS VARCHAR)
    ELSE lpad(bq_text(x), CAST(n AS INTEGER), p) END;
CREATE OR REPLACE MACRO bq_rpad(x, n, p) AS CASE
    WHEN n < 0 OR p = '' THEN CAST(bq_error('Invalid arguments of RPAD') AS VARCHAR)
    ELSE rpad(bq_text(x), CAST(n AS INTEGER), p) END;
CREATE OR REPLACE MACRO bq_replace(x, a, b) AS
    CASE WHEN b IS NULL THEN NULL WHEN a = '' THEN bq_text(x) ELSE replace(bq_text(x), a, b) END;
CREATE OR REPLACE MACRO bq_regexp_extract(x, p, g) AS
    CASE WHEN regexp_matches(bq_text(x), p)
    THEN regexp_extract(bq_text(x), p, CAST(g AS INTEGER)) END;
CREATE OR REPLACE MACRO bq_regexp_extract_optional(x, p, g) AS
    CASE WHEN regexp_matches(x, p) AND regexp_extract(x, p, CAST(g AS INTEGER)) = ''
    THEN {_unsupported("REGEXP_EXTRACT of a group that may be absent", "VARCHAR")}
    ELSE bq_regexp_extract(x, p, g) END;
CREATE OR REPLACE MACRO bq_whitespace() AS
    ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(133) || chr(160) || chr(5760)
    || chr(8192) || chr(8193) || chr(8194) || chr(8195) || chr(8196) || chr(8197) || chr(8198)
    || chr(8199) || chr(8200) || chr(8201) || chr(8202) || chr(8232) || chr(8233) || chr(8239)
    || chr(8287) || chr(12288);
"""

_TIMES = f"""
-- A DATETIME in a zone: the earlier moment, if it comes twice. The offset of the day before is the
-- one in force before a change.
CREATE OR REPLACE MACRO bq_offset(u, z) AS
    (u AT TIME ZONE z) - CAST(u AS TIMESTAMP);
CREATE OR REPLACE MACRO bq_earlier(x, z) AS
    CAST(x AS TIMESTAMPTZ) - bq_offset(CAST(x AS TIMESTAMPTZ) - to_days(1), z);
CREATE OR REPLACE MACRO bq_zone(z) AS
    CASE WHEN regexp_full_match(z, '[+-].*') THEN 'GMT' || z ELSE z END;
CREATE OR REPLACE MACRO bq_moment(x, z) AS
    CASE WHEN bq_earlier(x, z) AT TIME ZONE z = x THEN bq_earlier(x, z)
    ELSE x AT TIME ZONE z END;
CREATE OR REPLACE MACRO bq_in_range(x) AS CASE
    WHEN x < TIMESTAMP '0001-01-01' OR x >= TIMESTAMP '10000-01-01'
    THEN bq_error('Date or time value out of range') ELSE x END;
CREATE OR REPLACE MACRO bq_in_zone(x, z) AS
    bq_in_range(bq_moment(CAST(x AS TIMESTAMP), bq_zone(z)));
CREATE OR REPLACE MACRO bq_less(x, a, b) AS x - (a - b);
CREATE OR REPLACE MACRO bq_time_trunc(u, x) AS
    CAST(date_trunc(u, DATE '1970-01-01' + x) AS TIME);
CREATE OR REPLACE MACRO bq_week(x, d) AS
    CAST((dayofyear(x) + 6 - (dayofweek(x) - d + 7) % 7) // 7 AS BIGINT);
CREATE OR REPLACE MACRO bq_last_day(x, i) AS CAST(x + i - to_days(1) AS DATE);
CREATE OR REPLACE MACRO bq_floor_div(x, n) AS
    CAST((x - (x % n + n) % n) // n AS BIGINT);
CREATE OR REPLACE MACRO bq_unix_date(x) AS date_diff('day', DATE '1970-01-01', x);
CREATE OR REPLACE MACRO bq_empty_format(x) AS CASE WHEN x IS NOT NULL THEN '' END;
CREATE OR REPLACE MACRO bq_diff(u, x, b) AS
    CASE WHEN {_IS_TIMESTAMP} THEN date_sub(u, b, x) ELSE date_diff(u, b, x) END;
-- DuckDB's own difference in weeks does not count Mondays.
CREATE OR REPLACE MACRO bq_week_diff(n, x, b) AS date_diff(
    'day', date_trunc('week', b + to_days(n)), date_trunc('week', x + to_days(n))) // 7;
CREATE OR REPLACE MACRO bq_shift(x, i) AS bq_in_range(x + i);
CREATE OR REPLACE MACRO bq_shift_date(x, i) AS CAST(bq_in_range(x + i) AS DATE);
"""

_ARRAYS = """
CREATE OR REPLACE MACRO bq_series(a, b, s) AS CASE
    WHEN s = 0 THEN bq_error('Sequence step cannot be 0.') ELSE generate_series(a, b, s) END;
CREATE OR REPLACE MACRO bq_float_series(a, b, s) AS CASE
    WHEN s = 0 THEN bq_error('Sequence step cannot be 0.')
    WHEN a IS NULL OR b IS NULL OR s IS NULL THEN NULL
    ELSE list_filter(
        list_transform(
            generate_series(0, CAST(greatest(floor((b - a) / s) + 1, -1) AS BIGINT)),
            lambda i: a + i * s),
        lambda x: CASE WHEN s > 0 THEN x <= b ELSE x >= b END) END;
CREATE OR REPLACE MACRO bq_in_array(x, a) AS CASE
    WHEN a IS NULL OR len(a) = 0 THEN false
    WHEN list_contains(a, x) THEN true
    WHEN x IS NULL OR len(list_filter(a, lambda e: e IS NULL)) > 0 THEN NULL
    ELSE false END;
CREATE OR REPLACE MACRO bq_element(x, i) AS CASE
    WHEN x IS NOT NULL AND (i < 1 OR i > len(x))
    THEN bq_error('Array index ' || (i - 1) || ' is out of bounds') ELSE x[i] END;
"""


_COUNTED = f"""
CREATE OR REPLACE MACRO bq_no_null_counted(x) AS CASE WHEN x IS NULL
    THEN error('The BigQuery {UNSUPPORTED_MARK} APPROX_TOP_COUNT of NULLs.') ELSE x END;
"""


def all_macros() -> str:
    """The SQL that creates every macro; it may be run again and again."""
    mark = f"CREATE OR REPLACE MACRO bq_error(m) AS error('{OWN_MARK}' || m);\n"
    parts = (
        *(mark, _NUMBERS, _TIMES, cast_macros("bq_error"), _STRINGS, FORMAT_MACROS, _ARRAYS),
        *(JSON_MACROS, MORE_MACROS, AGGREGATE_MACROS, FORMAT_TEXT_MACROS, _COUNTED),
        limit_macros(),
        RECURSION_MACROS,
    )
    return "".join(parts)
