"""Functions of JSON in STRINGs, and TO_JSON_STRING, written for DuckDB."""

from __future__ import annotations

import json
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.functions import Function, function, macro
from bigquery_emulator.sql.scopes import type_of
from bigquery_emulator.sql.types import NULL, Type, stored_name

JSON_MACROS = """
CREATE OR REPLACE MACRO bq_json_valid(x) AS CASE WHEN json_valid(x) THEN x
    WHEN x IS NOT NULL THEN CAST(error('The BigQuery emulator does not support JSON '
    || 'functions of text that is not JSON.') AS VARCHAR) END;
CREATE OR REPLACE MACRO bq_json_scalar(x, p) AS CASE
    WHEN json_type(bq_json_valid(x), p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL
    ELSE json_extract_string(bq_json_valid(x), p) END;
CREATE OR REPLACE MACRO bq_json_part(x, p) AS CASE
    WHEN json_type(bq_json_valid(x), p) <> 'NULL'
    THEN CAST(json_extract(bq_json_valid(x), p) AS VARCHAR) END;
CREATE OR REPLACE MACRO bq_json_elements(x, p) AS CASE
    WHEN json_type(bq_json_valid(x), p) = 'ARRAY' THEN list_transform(
    CAST(json_extract(bq_json_valid(x), p) AS JSON[]),
    lambda e: coalesce(CAST(e AS VARCHAR), 'null')) END;
CREATE OR REPLACE MACRO bq_json_scalars(a) AS CASE
    WHEN len(list_filter(a, lambda e: json_type(e) IN ('OBJECT', 'ARRAY'))) = 0
    THEN list_transform(a, lambda e: json_extract_string(e, '$')) END;
CREATE OR REPLACE MACRO bq_json_text(x) AS CAST(to_json(x) AS VARCHAR);
CREATE OR REPLACE MACRO bq_json_quoted(x) AS '"' || x || '"';
-- Numbers that a reader of JSON may not hold exactly are texts.
CREATE OR REPLACE MACRO bq_json_int(x) AS
    CASE WHEN x BETWEEN -9007199254740992 AND 9007199254740992 THEN CAST(x AS VARCHAR)
    ELSE bq_json_quoted(CAST(x AS VARCHAR)) END;
CREATE OR REPLACE MACRO bq_json_numeric(x) AS
    CASE WHEN x BETWEEN -9007199254740992 AND 9007199254740992 AND x = trunc(x)
    THEN bq_cast_numeric_string(x) ELSE bq_json_quoted(bq_cast_numeric_string(x)) END;
CREATE OR REPLACE MACRO bq_json_float(x) AS CASE WHEN isnan(x) THEN '"NaN"'
    WHEN isinf(x) THEN CASE WHEN x > 0 THEN '"Infinity"' ELSE '"-Infinity"' END
    ELSE bq_cast_float64_string(x) END;
CREATE OR REPLACE MACRO bq_json_datetime(x) AS
    bq_json_quoted(replace(bq_cast_datetime_string(x), ' ', 'T'));
CREATE OR REPLACE MACRO bq_json_timestamp(x) AS
    bq_json_quoted(replace(replace(bq_cast_timestamp_string(x), ' ', 'T'), '+00', 'Z'));
CREATE OR REPLACE MACRO bq_json_time(x) AS bq_json_quoted(bq_cast_time_string(x));
CREATE OR REPLACE MACRO bq_json_bytes(x) AS bq_json_quoted(to_base64(x));
"""


def _path(node: Any) -> exp.Expr:
    """A constant path as DuckDB takes it, every key in quotes."""
    path = node.args.get("expression")
    if path is None:
        return exp.Literal.string("$")
    if not isinstance(path, exp.JSONPath):
        raise unsupported("JSON functions with a computed path")
    text = "$"
    for part in path.expressions:
        if isinstance(part, exp.JSONPathRoot):
            continue
        if isinstance(part, exp.JSONPathKey) and isinstance(part.this, str):
            if '"' in part.this or "*" in part.this:
                raise unsupported("JSON paths with such a key")
            text += f'."{part.this}"'
        elif isinstance(part, exp.JSONPathSubscript) and isinstance(part.this, int):
            text += f"[{part.this}]"
        else:
            raise unsupported("JSON paths with other than keys and positions")
    return exp.Literal.string(text)


# The macros that write a value of a type; those of a type within an ARRAY are DuckDB's own.
_WRITERS = {
    **dict.fromkeys(("STRING", "BOOL", "DATE"), "bq_json_text"),
    "INT64": "bq_json_int",
    "NUMERIC": "bq_json_numeric",
    "FLOAT64": "bq_json_float",
    "DATETIME": "bq_json_datetime",
    "TIMESTAMP": "bq_json_timestamp",
    "TIME": "bq_json_time",
    "BYTES": "bq_json_bytes",
}
_IN_ARRAYS = ("STRING", "BOOL", "DATE", "INT64", "NULL")


def _json_text(value: exp.Expr, kind: Type) -> exp.Expr:
    """A value as JSON; that of NULL is the word."""
    if kind.name == "STRUCT":
        parts = [
            exp.DPipe(
                this=exp.Literal.string(f"{json.dumps(name, ensure_ascii=False)}:"),
                expression=_json_text(
                    exp.Dot(
                        this=value.copy(),
                        expression=exp.to_identifier(stored_name(name, at), quoted=True),
                    ),
                    inner,
                ),
            )
            for at, (name, inner) in enumerate(kind.fields, start=1)
        ]
        written: exp.Expr = exp.Literal.string("{")
        for at, part in enumerate(parts):
            comma = exp.DPipe(this=exp.Literal.string(","), expression=part) if at else part
            written = exp.DPipe(this=written, expression=comma)
        written = exp.DPipe(this=written, expression=exp.Literal.string("}"))
    elif kind.name == "NULL":
        return exp.Literal.string("null")
    elif kind.name in _WRITERS:
        written = macro(_WRITERS[kind.name], value.copy())
    else:
        _check_elements(kind)
        written = macro("bq_json_text", value.copy())
    absent = exp.Is(this=value.copy(), expression=exp.Null())
    null = exp.If(this=absent, true=exp.Literal.string("null"))
    return exp.Paren(this=exp.Case(ifs=[null], default=written))


def _check_elements(kind: Type) -> None:
    if kind.name == "ARRAY":
        _check_elements(kind.element or NULL)
    elif kind.name == "STRUCT":
        for _, part in kind.fields:
            _check_elements(part)
    elif kind.name not in _IN_ARRAYS:
        raise unsupported(f"TO_JSON_STRING of arrays with {kind} values")


def _to_json(node: exp.JSONFormat) -> exp.Expr:
    return _json_text(node.this, type_of(node.this) or NULL)


JSON_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.JSONExtractScalar: function(
        "this expression scalar_only", lambda node: macro("bq_json_scalar", node.this, _path(node))
    ),
    exp.JSONExtract: function(
        "this expression", lambda node: macro("bq_json_part", node.this, _path(node))
    ),
    exp.JSONExtractArray: function(
        "this expression", lambda node: macro("bq_json_elements", node.this, _path(node))
    ),
    exp.JSONValueArray: function(
        "this expression",
        lambda node: macro("bq_json_scalars", macro("bq_json_elements", node.this, _path(node))),
    ),
    exp.JSONFormat: function("this", _to_json),
    exp.JSONPath: function("expressions escape"),
    exp.JSONPathKey: function("this"),
    exp.JSONPathRoot: function(""),
    exp.JSONPathSubscript: function("this"),
}
