"""CAST and SAFE_CAST, from each type to each, as DuckDB macros and calls of them.

``bq_cast_int64_string(x)`` casts; where a value may not be castable, ``bq_try_…`` answers NULL for
it. Which casts there are is decided in special_types.py.
"""

from __future__ import annotations

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.types import NULL, Type, duckdb_name

_DATE = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{1,2}-[0-9]{1,2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]{0,9})?"
_MOMENT = f"{_DATE}([ Tt]{_CLOCK})?"
_OFFSET = r"([Zz]|[+-][0-9]{1,2}(:[0-9]{1,2})?)"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
# A time's fraction has three digits or six.
_FRACTION = r"regexp_extract(CAST(x AS VARCHAR), '\.([0-9]+)', 1)"
_CLOCK_TEXT = (
    rf"CASE WHEN {_FRACTION} = '' THEN CAST(x AS VARCHAR) ELSE regexp_replace(CAST(x AS VARCHAR), "
    rf"'\.[0-9]+', '.' || rpad({_FRACTION}, CASE WHEN length({_FRACTION}) <= 3 THEN 3 ELSE 6 END, "
    "'0')) END"
)

# Casts that may fail: what is NULL for a value that cannot be cast, and what is then said.
_FALLIBLE: dict[tuple[str, str], tuple[str, str]] = {
    ("STRING", "INT64"): (
        r"""CASE WHEN regexp_full_match(trim(x), '[+-]?[0-9]+') THEN TRY_CAST(trim(x) AS BIGINT)
        WHEN regexp_full_match(trim(x), '\+?0[xX][0-9a-fA-F]+')
        THEN TRY_CAST(ltrim(trim(x), '+') AS BIGINT)
        WHEN regexp_full_match(trim(x), '-0[xX][0-9a-fA-F]+')
        THEN -TRY_CAST(ltrim(trim(x), '-') AS BIGINT) END""",
        "'Bad int64 value: ' || x",
    ),
    ("STRING", "FLOAT64"): (
        rf"""CASE WHEN regexp_full_match(trim(x), '{_NUMBER}') THEN TRY_CAST(trim(x) AS DOUBLE)
        WHEN regexp_full_match(lower(trim(x)), '[+-]?nan') THEN CAST('nan' AS DOUBLE)
        WHEN regexp_full_match(lower(trim(x)), '\+?inf(inity)?') THEN CAST('inf' AS DOUBLE)
        WHEN regexp_full_match(lower(trim(x)), '-inf(inity)?') THEN CAST('-inf' AS DOUBLE) END""",
        "'Bad double value: ' || x",
    ),
    ("STRING", "NUMERIC"): (
        (
            rf"CASE WHEN regexp_full_match(trim(x), '{_NUMBER}') "
            "THEN TRY_CAST(trim(x) AS DECIMAL(38,9)) END"
        ),
        "'Invalid NUMERIC value: ' || x",
    ),
    ("STRING", "BOOL"): (
        "CASE WHEN lower(x) IN ('true', 'false') THEN lower(x) = 'true' END",
        "'Bad bool value: ' || x",
    ),
    ("STRING", "DATE"): (
        f"CASE WHEN regexp_full_match(trim(x), '{_DATE}') THEN TRY_CAST(trim(x) AS DATE) END",
        "'Invalid date: ''' || x || ''''",
    ),
    ("STRING", "DATETIME"): (
        (
            f"CASE WHEN regexp_full_match(trim(x), '{_MOMENT}') "
            "THEN TRY_CAST(upper(trim(x)) AS TIMESTAMP) END"
        ),
        "'Invalid datetime string \"' || x || '\"'",
    ),
    ("STRING", "TIME"): (
        f"CASE WHEN regexp_full_match(trim(x), '{_CLOCK}') THEN TRY_CAST(trim(x) AS TIME) END",
        "'Invalid time string \"' || x || '\"'",
    ),
    ("STRING", "TIMESTAMP"): (
        f"""CASE WHEN regexp_full_match(trim(x), '{_MOMENT}{_OFFSET}?')
        THEN TRY_CAST(upper(trim(x)) AS TIMESTAMPTZ)
        WHEN regexp_full_match(trim(x), '{_MOMENT} ?[A-Za-z][A-Za-z0-9_+/-]{{2,}}')
        THEN bq_in_zone(
            TRY_CAST(upper(regexp_extract(trim(x), '^{_MOMENT}')) AS TIMESTAMP),
            nullif(regexp_extract(trim(x), '[A-Za-z][A-Za-z0-9_+/-]{{2,}}$'), '')) END""",
        "'Invalid timestamp: ''' || x || ''''",
    ),
    ("FLOAT64", "INT64"): (
        "CASE WHEN isfinite(x) THEN TRY_CAST(round(x) AS BIGINT) END",
        "'Illegal conversion of floating point number to an integer: ' || CAST(x AS VARCHAR)",
    ),
    ("FLOAT64", "NUMERIC"): (
        "CASE WHEN isfinite(x) THEN TRY_CAST(x AS DECIMAL(38,9)) END",
        (
            "'Illegal conversion of non-finite or out of range floating point number to NUMERIC: ' "
            "|| CAST(x AS VARCHAR)"
        ),
    ),
    ("NUMERIC", "INT64"): ("TRY_CAST(x AS BIGINT)", "'int64 out of range: ' || CAST(x AS VARCHAR)"),
    ("BYTES", "STRING"): ("TRY(decode(x))", "'Invalid UTF-8 in a cast of BYTES to STRING'"),
}
_SAFE: dict[tuple[str, str], str] = {
    ("INT64", "BOOL"): "x <> 0",
    ("INT64", "NUMERIC"): "CAST(x AS DECIMAL(38,9))",
    ("INT64", "FLOAT64"): "CAST(x AS DOUBLE)",
    ("INT64", "STRING"): "CAST(x AS VARCHAR)",
    ("NUMERIC", "FLOAT64"): "CAST(x AS DOUBLE)",
    ("NUMERIC", "STRING"): (
        "CASE WHEN contains(CAST(x AS VARCHAR), '.') "
        "THEN rtrim(rtrim(CAST(x AS VARCHAR), '0'), '.') ELSE CAST(x AS VARCHAR) END"
    ),
    # The shorter of 15 and 17 digits that reads back as the same number; zero has no sign.
    ("FLOAT64", "STRING"): (
        "CASE WHEN x = 0 THEN '0' WHEN isnan(x) THEN 'nan' WHEN NOT isfinite(x) "
        "THEN CASE WHEN x > 0 THEN 'inf' ELSE '-inf' END "
        "WHEN TRY_CAST(printf('%.15g', x) AS DOUBLE) = x THEN printf('%.15g', x) "
        "ELSE printf('%.17g', x) END"
    ),
    ("BOOL", "INT64"): "CAST(x AS BIGINT)",
    ("BOOL", "STRING"): "CAST(x AS VARCHAR)",
    ("STRING", "BYTES"): "encode(x)",
    ("DATE", "STRING"): "CAST(x AS VARCHAR)",
    ("DATE", "DATETIME"): "CAST(x AS TIMESTAMP)",
    ("DATE", "TIMESTAMP"): "CAST(CAST(x AS TIMESTAMP) AS TIMESTAMPTZ)",
    ("DATETIME", "STRING"): _CLOCK_TEXT,
    ("DATETIME", "DATE"): "CAST(x AS DATE)",
    ("DATETIME", "TIME"): "CAST(x AS TIME)",
    ("DATETIME", "TIMESTAMP"): "CAST(x AS TIMESTAMPTZ)",
    ("TIMESTAMP", "STRING"): _CLOCK_TEXT,
    ("TIMESTAMP", "DATE"): "CAST(CAST(x AS TIMESTAMP) AS DATE)",
    ("TIMESTAMP", "DATETIME"): "CAST(x AS TIMESTAMP)",
    ("TIMESTAMP", "TIME"): "CAST(CAST(x AS TIMESTAMP) AS TIME)",
    ("TIME", "STRING"): _CLOCK_TEXT,
}
_DUCKDB = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
} | {
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMPTZ",
    "STRING": "VARCHAR",
}


def cast_macros(error: str) -> str:
    """The SQL that creates the macros.

    Args:
        error: DuckDB's function that ends a query with a message.
    """
    found = []
    for (given, wanted), body in _SAFE.items():
        found.append(f"CREATE OR REPLACE MACRO {_name('cast', given, wanted)}(x) AS {body};")
    for (given, wanted), (body, message) in _FALLIBLE.items():
        attempt = _name("try", given, wanted)
        found.append(f"CREATE OR REPLACE MACRO {attempt}(x) AS {body};")
        found.append(
            f"CREATE OR REPLACE MACRO {_name('cast', given, wanted)}(x) AS coalesce({attempt}(x), "
            f"CASE WHEN x IS NOT NULL THEN CAST({error}({message}) AS {_DUCKDB[wanted]}) END);"
        )
    return "\n".join(found)


def _name(kind: str, given: str, wanted: str) -> str:
    return f"bq_{kind}_{given.lower()}_{wanted.lower()}"


def cast_to(value: exp.Expr, wanted: Type, *, safe: bool = False) -> exp.Expr:
    """A value converted to a type, as CAST or SAFE_CAST does it.

    Raises:
        ApiError: values of its type cannot be cast to that.
    """
    given = type_of(value) or NULL
    if given == wanted:
        return value
    if given.name == "NULL":
        new: exp.Expr = exp.Cast(this=value, to=duckdb_name(wanted))
    else:
        pair = given.name, wanted.name
        if pair not in _SAFE and pair not in _FALLIBLE:
            raise unsupported(f"casts of {given} to {wanted}")
        name = _name("try" if safe and pair in _FALLIBLE else "cast", *pair)
        new = exp.Anonymous(this=name, expressions=[value])
    set_type(new, wanted)
    return new
