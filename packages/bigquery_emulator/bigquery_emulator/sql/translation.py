"""BigQuery's SQL rewritten for DuckDB: names, constants, parameters, aliases, functions.

What may come in is decided in parsing.py; what tables the names mean, in tables.py.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.errors import ErrorLevel, UnsupportedError

from bigquery_emulator.errors import unsupported
from bigquery_emulator.sql.parameters import QueryParameters
from bigquery_emulator.sql.parsing import SUPPORTED, parsed_statement
from bigquery_emulator.sql.tables import TableNames

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


class Translator:
    """Translates the parts of one query."""

    def __init__(self, tables: TableNames, parameters: QueryParameters) -> None:
        self._tables = tables
        self._parameters = parameters

    def translated(self, statement: exp.Expr) -> exp.Expr:
        """The statement, as a tree that `duckdb_sql` writes; the argument is used up.

        Raises:
            ApiError: it names what does not exist, or is not supported.
        """
        holder = exp.Paren(this=statement)  # so that the statement itself can be replaced
        self._place_parameters(holder)
        self._place_views(holder)
        for select in list(holder.find_all(exp.Select)):
            _name_columns(select)
            _expand_aliases(select)
        for table in list(holder.find_all(exp.Table)):
            if not table.meta.get("resolved"):
                self._tables.resolve(table)
        for node in reversed(list(holder.this.walk(bfs=False))):
            _rewrite(node)
        translated: exp.Expr = holder.this
        return translated

    def _place_views(self, holder: exp.Expr) -> None:
        """Replaces views by their queries, which may read views."""
        left = list(holder.find_all(exp.Table))
        while left:
            node = left.pop()
            query = self._tables.view_query(node)
            if query is None:
                continue
            alias = exp.TableAlias(this=exp.to_identifier(node.alias or node.name, quoted=True))
            subquery = exp.Subquery(this=parsed_statement(query), alias=alias)
            if joins := node.args.get("joins"):
                subquery.set("joins", joins)
            node.replace(subquery)
            left += subquery.this.find_all(exp.Table)

    def _place_parameters(self, holder: exp.Expr) -> None:
        position = 0
        for node in list(holder.walk(bfs=False)):
            if isinstance(node, exp.Parameter | exp.Placeholder):
                # Marked, so that the cast is not taken for one of the query's own.
                reference = self._parameters.reference(node, position)
                position += isinstance(node, exp.Placeholder)
                reference.meta["bound"] = True
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
        node.replace(new)


def _typed_number(node: exp.Literal) -> exp.Expr | None:
    """Gives a number BigQuery's type: DuckDB's own are INT32 and DECIMAL."""
    if node.is_string or isinstance(node.parent, _BARE_NUMBER_PARENTS):
        return None
    if isinstance(node.parent, exp.Interval | exp.UnixToTime | exp.StrToDate | exp.StrToTime):
        return None
    kind = "BIGINT" if node.is_int else "DOUBLE"
    return exp.Cast(this=node.copy(), to=exp.DataType.build(kind))


def _name_columns(select: exp.Select) -> None:
    """Gives columns without a name the names that BigQuery gives them: f0_, f1_, and on."""
    unnamed = 0
    for projection in list(select.expressions):
        if isinstance(projection, exp.Alias | exp.Star) or projection.is_star:
            continue
        if projection.output_name and isinstance(projection, exp.Column | exp.Dot):
            # Written out, because DuckDB names a field access otherwise.
            name = projection.output_name
        else:
            name = f"f{unnamed}_"
            unnamed += 1
        if not isinstance(projection, exp.Column):
            projection.replace(exp.alias_(projection.copy(), name, quoted=True))


def _expand_aliases(select: exp.Select) -> None:
    """Replaces aliases in GROUP BY, QUALIFY and ORDER BY by what they stand for.

    Where an alias and a column have the same name, BigQuery means the alias there, and DuckDB the
    column. (In HAVING, and alone in ORDER BY, DuckDB means the alias too.)
    """
    aliases = {
        projection.alias.lower(): projection.this
        for projection in select.expressions
        if isinstance(projection, exp.Alias)
    }
    if not aliases:
        return
    group: Any = select.args.get("group")
    for expression in list(group.expressions) if group else ():
        if meant := _alias_meant(expression, aliases):
            expression.replace(meant.copy())
    qualify = select.args.get("qualify")
    if qualify:
        _expand_within(qualify, aliases)
    order = select.args.get("order")
    if order and not select.args.get("distinct"):
        for ordered in order.expressions:
            if not isinstance(ordered.this, exp.Column):
                _expand_within(ordered, aliases)


def _expand_within(clause: exp.Expr, aliases: dict[str, exp.Expr]) -> None:
    select = clause.find_ancestor(exp.Select)
    for column in list(clause.find_all(exp.Column)):
        if column.find_ancestor(exp.Select) is not select:
            continue  # of a subquery
        if _within(column, clause, exp.AggFunc) and not _within(column, clause, exp.Window):
            continue  # an aggregate's argument is a column of the FROM clause
        if meant := _alias_meant(column, aliases):
            column.replace(exp.Paren(this=meant.copy()))


def _within(node: exp.Expr, clause: exp.Expr, kind: type[exp.Expr]) -> bool:
    parent = node.parent
    while parent is not None and parent is not clause:
        if isinstance(parent, kind):
            return True
        parent = parent.parent
    return False


def _alias_meant(node: exp.Expr, aliases: dict[str, exp.Expr]) -> exp.Expr | None:
    if isinstance(node, exp.Column) and not node.table:
        return aliases.get(node.name.lower())
    return None
