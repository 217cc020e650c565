"""JSON_VALUE and its older sisters, of JSON in STRINGs, written for DuckDB."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.functions import Function, function, macro

JSON_MACROS = """
CREATE OR REPLACE MACRO bq_json_valid(x) AS CASE WHEN json_valid(x) THEN x
    WHEN x IS NOT NULL THEN CAST(error('The BigQuery emulator does not support JSON '
    || 'functions of text that is not JSON.') AS VARCHAR) END;
CREATE OR REPLACE MACRO bq_json_scalar(x, p) AS CASE
    WHEN json_type(bq_json_valid(x), p) IN ('OBJECT', 'ARRAY', 'NULL') THEN NULL
    ELSE json_extract_string(bq_json_valid(x), p) END;
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


JSON_FUNCTIONS: dict[type[exp.Expr], Function] = {
    exp.JSONExtractScalar: function(
        "this expression scalar_only", lambda node: macro("bq_json_scalar", node.this, _path(node))
    ),
    exp.JSONPath: function("expressions escape"),
    exp.JSONPathKey: function("this"),
    exp.JSONPathRoot: function(""),
    exp.JSONPathSubscript: function("this"),
}
