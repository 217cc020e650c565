"""BigQuery's SQL rewritten for DuckDB: parameters, constants, functions.

What may come in is decided in parsing.py; names and types are found before, in statements.py.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.parameters import QueryParameters
from bigquery_emulator.sql.parsing import SUPPORTED
from bigquery_emulator.sql.scopes import set_type, type_of
from bigquery_emulator.sql.statements import StatementAnalysis
from bigquery_emulator.sql.tables import TableNames
from bigquery_emulator.sql.variables import Variables

# Places where DuckDB wants a bare number.
_BARE_NUMBER_PARENTS = (
    exp.DataTypeParam,
    exp.Group,
    exp.Limit,
    exp.Offset,
    exp.Ordered,
    exp.PercentileCont,
    exp.WindowSpec,
)
_LARGEST_INT64 = 2**63 - 1


class Translator:
    """Translates the parts of one query."""

    def __init__(
        self, tables: TableNames, parameters: QueryParameters, variables: Variables
    ) -> None:
        self._analysis = StatementAnalysis(tables, variables)
        self._parameters = parameters

    def analyzed(self, statement: exp.Expr) -> exp.Expr:
        """The statement with its names resolved and its types found; the argument is used up.

        Raises:
            ApiError: it names what does not exist, has wrong types, or is not supported.
        """
        holder = exp.Paren(this=statement)  # so that the statement itself can be replaced
        self._place_parameters(holder)
        self._analysis.analyze(holder.this)
        analyzed: exp.Expr = holder.this
        return analyzed

    def translated(self, statement: exp.Expr) -> exp.Expr:
        """An analyzed part, as a tree that `duckdb_sql` writes; the argument is used up.

        Raises:
            ApiError: it is not supported.
        """
        holder = exp.Paren(this=statement)
        for node in reversed(list(holder.this.walk(bfs=False))):
            _rewrite(node)
        translated: exp.Expr = holder.this
        return translated

    def _place_parameters(self, holder: exp.Expr) -> None:
        position = 0
        for node in list(holder.walk(bfs=False)):
            if isinstance(node, exp.Parameter | exp.Placeholder):
                reference = self._parameters.reference(node, position)
                position += isinstance(node, exp.Placeholder)
                node.replace(reference)


def duckdb_sql(statement: exp.Expr) -> str:
    """A translated tree as DuckDB's SQL, every name quoted.

    Raises:
        ApiError: SQLGlot cannot write it.
    """
    try:
        return statement.sql("duckdb", identify=True, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise unsupported(f"this query: {error}") from error


def _rewrite(node: exp.Expr) -> None:
    """Replaces one node, whose parts were rewritten before it."""
    new: exp.Expr | None = None
    if isinstance(node, exp.Literal):
        new = _typed_number(node)
    elif isinstance(node, exp.Cast) and node.meta.get("bound"):
        return
    else:
        listed = SUPPORTED.get(type(node))
        if listed is not None and listed.build is not None:
            new = listed.build(node)
    if new is not None and new is not node:
        kind = type_of(node)
        if kind is not None:
            set_type(new, kind)
        node.replace(new)


def _typed_number(node: exp.Literal) -> exp.Expr | None:
    """Gives a number BigQuery's type: DuckDB's own are INT32 and DECIMAL."""
    if node.is_string or isinstance(node.parent, _BARE_NUMBER_PARENTS):
        return None
    if isinstance(node.parent, exp.Interval | exp.UnixToTime | exp.StrToDate | exp.StrToTime):
        return None
    if node.is_int and int(node.this) > _LARGEST_INT64:
        return None  # of the smallest INT64, whose sign is before it
    kind = "BIGINT" if node.is_int else "DOUBLE"
    return exp.Cast(this=node.copy(), to=exp.DataType.build(kind))
