"""SQL text taken apart: one statement, of a kind and made of parts that are supported.

Every node of the syntax tree must be listed, here or among the functions, with the arguments that
are understood. What is not listed is answered 501: SQLGlot would translate much of it, but not all
of that means the same in DuckDB.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import TokenType

from bigquery_emulator.errors import ApiError, invalid_query, unsupported
from bigquery_emulator.sql.aggregate_functions import AGGREGATES
from bigquery_emulator.sql.float_comparisons import FLOAT_COMPARISONS
from bigquery_emulator.sql.foreign_words import check_words
from bigquery_emulator.sql.functions import FUNCTIONS, Function, function, negated, unnested
from bigquery_emulator.sql.json_functions import JSON_FUNCTIONS
from bigquery_emulator.sql.more_functions import MORE_FUNCTIONS
from bigquery_emulator.sql.number_functions import NUMBERS
from bigquery_emulator.sql.special_types import name_of
from bigquery_emulator.sql.text_formats import TEXT_FORMATS
from bigquery_emulator.sql.time_functions import TIME_FUNCTIONS

_LOGGER = logging.getLogger(__name__)
# SQLGlot logs what it cannot parse; here that is answered to the client.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_BINARY = function("this expression")
_STRUCTURE: dict[type[exp.Expr], Function] = {
    **dict.fromkeys(
        (
            exp.And,
            exp.Is,
            exp.NullSafeEQ,
            exp.NullSafeNEQ,
            exp.Or,
            exp.PropertyEQ,
        ),
        _BINARY,
    ),
    exp.Alias: function("this alias"),
    exp.All: function("this"),
    exp.Any: function("this"),
    exp.Boolean: function("this"),
    exp.CTE: function("this alias"),
    exp.Column: function("this table db catalog"),
    exp.Cube: function("expressions"),
    exp.DataType: function("this expressions nested"),
    exp.DataTypeParam: function("this"),
    exp.Distinct: function("expressions"),
    exp.DPipe: function("this expression safe"),
    exp.Dot: _BINARY,
    exp.Except: function("this expression distinct with_ order limit offset"),
    exp.Exists: function("this"),
    exp.From: function("this"),
    exp.Group: function("expressions all rollup cube grouping_sets"),
    exp.GroupingSets: function("expressions"),
    exp.Having: function("this"),
    exp.Identifier: function("this quoted"),
    exp.Intersect: function("this expression distinct with_ order limit offset"),
    exp.Join: function("this on using side kind"),
    exp.Limit: function("expression this"),
    exp.Literal: function("this is_string"),
    exp.Neg: function("this", negated),
    exp.Not: function("this"),
    exp.Null: function(""),
    exp.Offset: function("expression this"),
    exp.Ordered: function("this desc nulls_first"),
    exp.Parameter: function("this"),
    exp.Paren: function("this"),
    exp.Placeholder: function(""),
    exp.Qualify: function("this"),
    exp.Rollup: function("expressions"),
    exp.Select: function(
        "expressions from_ joins where group having qualify order limit offset with_ distinct "
        "windows kind"
    ),
    exp.Star: function("except_ replace"),
    exp.Pivot: function(
        "expressions fields unpivot alias default_on_null value_columns_first columns "
        "prefixed_pivot_columns pivot_column_naming include_nulls"
    ),
    exp.PivotAlias: function("this alias"),
    exp.Subquery: function("this alias with_ pivots"),
    exp.Table: function("this db catalog alias joins pivots"),
    exp.TableAlias: function("this columns"),
    exp.Tuple: function("expressions"),
    exp.Union: function("this expression distinct with_ order limit offset"),
    exp.Unnest: function("expressions alias offset explode_array", unnested),
    exp.Var: function("this"),
    exp.WeekStart: function("this"),
    exp.Where: function("this"),
    exp.WindowSpec: function("kind start start_side end end_side"),
    exp.With: function("expressions recursive"),
}
_DATA_CHANGES: dict[type[exp.Expr], Function] = {
    exp.Delete: function("this where tables"),
    exp.Insert: function("this expression"),
    exp.Merge: function("this using on whens"),
    exp.Schema: function("this expressions"),
    exp.TruncateTable: function("expressions"),
    exp.Update: function("this expressions from_ where"),
    exp.Values: function("expressions"),
    exp.When: function("matched source condition then"),
    exp.Whens: function("expressions"),
}
SUPPORTED = (
    _STRUCTURE
    | _DATA_CHANGES
    | FUNCTIONS
    | NUMBERS
    | TIME_FUNCTIONS
    | FLOAT_COMPARISONS
    | JSON_FUNCTIONS
    | AGGREGATES
    | MORE_FUNCTIONS
    | TEXT_FORMATS
)
DEFINITIONS = (exp.Alter, exp.Create, exp.Drop)
SCRIPT_ONLY = (exp.Declare, exp.Set)
_STATEMENTS = (
    exp.Query,
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.TruncateTable,
    *DEFINITIONS,
)


def parsed_statement(text: str) -> exp.Expr:
    """The one statement of a query's text.

    Raises:
        ApiError: it is not SQL, or SQL that is not supported, or several statements.
    """
    with understanding_syntax():
        check_words(sqlglot.tokenize(text, read="bigquery"))
    statements = parsed_statements(text)
    if len(statements) > 1:
        raise unsupported("scripts of several statements here")
    return statements[0]


@contextmanager
def understanding_syntax() -> Iterator[None]:
    """Answers what SQLGlot cannot read as a syntax error."""
    try:
        yield
    except ApiError:
        raise
    except (ParseError, TokenError) as error:
        raise invalid_query(f"Syntax error: {_first_line(error)}") from error
    except RecursionError as error:
        raise unsupported("queries as deeply nested as this") from error
    except Exception as error:
        _LOGGER.exception("a text that SQLGlot stumbled over")
        raise invalid_query("Syntax error") from error


def parsed_statements(text: str) -> list[exp.Expr]:
    """The statements of a text without control flow; scripts.py takes scripts apart.

    Raises:
        ApiError: it is not SQL, or SQL that is not supported.
    """
    with understanding_syntax():
        parsed = [one for one in sqlglot.parse(text, read="bigquery") if one is not None]
    statements = [one for one in parsed if not isinstance(one, exp.Semicolon)]
    if not statements:
        raise invalid_query("Syntax error: Unexpected end of statement")
    for statement in statements:
        if not isinstance(statement, (*_STATEMENTS, *SCRIPT_ONLY)):
            raise unsupported(f"{_statement_name(statement)} statements")
        if not isinstance(statement, DEFINITIONS):
            with understood():
                for part in _queried(statement):
                    check_supported(part)
    return statements


def _queried(statement: Any) -> list[Any]:
    """What must be supported of a statement: all, or the values of DECLARE and SET."""
    if isinstance(statement, exp.Declare):
        defaults = [one.args.get("default") for one in statement.expressions]
        return [one for one in defaults if isinstance(one, exp.Expr)]
    if isinstance(statement, exp.Set):
        return [
            one.this.expression
            for one in statement.expressions
            if isinstance(one, exp.SetItem) and isinstance(one.this, exp.EQ)
        ]
    return [statement]


@contextmanager
def understood() -> Iterator[None]:
    """Answers 501 for SQL that parses, and that this code then stumbles over.

    A tree may be of a shape that nobody thought of; what is not understood is not supported. The
    error is logged, for whoever mends it.
    """
    try:
        yield
    except (ApiError, duckdb.Error):
        raise
    except RecursionError as error:
        raise unsupported("queries as deeply nested as this") from error
    except Exception as error:
        _LOGGER.exception("a query that was not understood")
        raise unsupported("this query, which it does not understand") from error


def view_query(text: str) -> str:
    """The query of a CREATE VIEW, as it was written."""
    depth, started = 0, False
    for token in sqlglot.tokenize(text, read="bigquery"):
        started = started or token.token_type is TokenType.VIEW
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        if started and depth == 0 and token.token_type is TokenType.ALIAS:
            return text[token.end + 1 :].strip().rstrip(";").strip()
    raise invalid_query("Syntax error: CREATE VIEW needs a query")


def _first_line(error: ParseError | TokenError) -> str:
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        description = str(first["description"])
        if "<class" in description:
            description = "Expected an expression or more arguments"
        description = _TOKEN.sub(_token_text, description)
        return f"{description} at [{first['line']}:{first['col']}]"
    return str(error).split("\n")[0]


# How SQLGlot shows a token in a message.
_TOKEN = re.compile(r"<Token token_type: TokenType\.(\w+), text: (.*?), line: .*?>", re.DOTALL)


def _token_text(shown: re.Match[str]) -> str:
    return "end of statement" if shown[1] == "SENTINEL" else shown[2]


def _statement_name(statement: exp.Expr) -> str:
    if isinstance(statement, exp.Command):
        return str(statement.this).upper()
    return statement.key.upper()


def check_supported(statement: exp.Expr) -> None:
    """Refuses a tree with anything in it that is not listed as supported.

    Raises:
        ApiError: there is such a thing; it is named.
    """
    for node in statement.walk():
        listed = SUPPORTED.get(type(node))
        if listed is None:
            raise _unlisted(node)
        for name, value in node.args.items():
            if name not in listed.args and _is_meant(value):
                raise unsupported(f"{name.strip('_').upper()} of {_named(node)}")
        _check_details(node)


def _is_meant(value: Any) -> bool:
    return value is not None and value is not False and value != [] and value != ""


def _check_details(node: exp.Expr) -> None:
    if isinstance(node, exp.Filter):
        raise invalid_query("Syntax error: Unexpected keyword FILTER")
    if isinstance(node, exp.Join) and str(node.args.get("kind") or "").upper() not in (
        "",
        "INNER",
        "OUTER",
        "CROSS",
    ):
        raise unsupported(f"{node.args['kind']} joins")
    if isinstance(node, exp.Union) and node.args.get("distinct") is None:
        raise invalid_query("Syntax error: Expected keyword ALL or keyword DISTINCT")
    if isinstance(node, exp.Intersect | exp.Except) and not node.args.get("distinct"):
        raise unsupported("INTERSECT ALL and EXCEPT ALL")


def _unlisted(node: exp.Expr) -> ApiError:
    if isinstance(node, exp.Anonymous):
        return unsupported(f"the function {str(node.this).upper()}")
    return unsupported(_named(node))


def _named(node: exp.Expr) -> str:
    if isinstance(node, exp.Func):
        return f"the function {name_of(node)}"
    return f"{node.key.upper()} in a query"
