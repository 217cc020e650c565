"""The types of the expressions of one SELECT, found from the leaves up.

Names become columns of their range variables, and values are converted where BigQuery converts
them. Operators are in operators.py, signatures of functions in function_types.py; queries and FROM
clauses in queries.py and sources.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql import operators, special_types
from bigquery_emulator.sql.analytic_functions import check_call, check_window
from bigquery_emulator.sql.conversions import argument, common_type, convert, empty_array, wrap
from bigquery_emulator.sql.function_types import SIGNATURES
from bigquery_emulator.sql.more_functions import safe_call
from bigquery_emulator.sql.names import Names, field_access
from bigquery_emulator.sql.scopes import Scope, set_type, type_of
from bigquery_emulator.sql.signatures import Argument, no_signature, resolved
from bigquery_emulator.sql.types import (
    BOOL,
    BYTES,
    FLOAT64,
    INT64,
    INTERVAL,
    NULL,
    STRING,
    Type,
    array_of,
    plain_type,
    type_of_field,
    type_of_node,
)

# What an analysis of a subquery returns: the columns, with their types.
QueryTyper = Callable[[Any, Scope], list[tuple[str, Type]]]
_LARGEST_INT64 = 2**63 - 1
_AGGREGATE_MODIFIERS = (exp.Distinct, exp.Order, exp.Limit, exp.HavingMax)


class ExpressionTyper(Names):
    """Finds the types of expressions in a scope.

    Args:
        scope: the names in force.
        query_type: analyses a subquery.
    """

    def __init__(self, scope: Scope, query_type: QueryTyper) -> None:
        super().__init__(scope)
        self.query_type = query_type

    def type(self, node: Any) -> Type:
        """Types an expression and everything in it; parts of it may be replaced in their place.

        Raises:
            ApiError: BigQuery would refuse it.
        """
        known = type_of(node)
        if known is not None:
            return known
        if isinstance(node, exp.Column):
            return self._column(node)
        handler = _HANDLERS.get(type(node))
        kind = handler(self, node) if handler else self._by_signature(node)
        return set_type(node, kind)

    def types(self, nodes: Any) -> None:
        """Types several expressions."""
        for one in list(nodes):
            self.type(one)

    def _children(self, node: exp.Expr) -> None:
        for child in list(node.iter_expressions()):
            if not isinstance(child, exp.Identifier | exp.Var | exp.DataType | exp.WeekStart):
                self.type(child)

    def _dot(self, node: exp.Dot) -> Type:
        kind = self.type(node.this)
        if not isinstance(node.expression, exp.Identifier):
            raise unsupported("this access of a field")
        new, found = field_access(node.this.copy(), kind, node.expression.name)
        node.replace(new)
        return found

    # Constants and constructors.

    def _literal(self, node: exp.Literal) -> Type:
        if node.is_string:
            return STRING
        if not node.is_int:
            return FLOAT64
        negative = isinstance(node.parent, exp.Neg)
        if int(node.this) > _LARGEST_INT64 + negative:
            raise invalid_query(f"Invalid integer literal: {node.this}")
        return INT64

    def _parameter(self, node: exp.Cast) -> Type:
        kind: Type = type_of_field(node.meta["bound"])
        return kind

    def _cast(self, node: Any) -> Type:
        if node.meta.get("bound"):
            return self._parameter(node)
        given = self.type(node.this)
        plain, limits = plain_type(node.to)
        node.set("to", plain)
        wanted = type_of_node(plain)
        special_types.check_cast(node, given, wanted)
        if limits:
            wrap(node, lambda cast: special_types.limited_cast(cast, wanted, limits), wanted)
        return special_types.cast_type(node, wanted)

    def _struct(self, node: exp.Struct) -> Type:
        fields: list[tuple[str, Type, exp.Expr]] = []
        for one in list(node.expressions):
            value = one.expression if isinstance(one, exp.PropertyEQ) else one
            name = special_types.field_name(one)
            self.type(value)
            value = one.expression if isinstance(one, exp.PropertyEQ) else one
            if not isinstance(one, exp.PropertyEQ):
                value = node.expressions[len(fields)]
            fields.append((name, type_of(value) or NULL, value))
        special_types.name_fields(node, fields)
        return Type("STRUCT", fields=tuple((name, kind) for name, kind, _ in fields))

    def _tuple(self, node: exp.Tuple) -> Type:
        struct = exp.Struct(expressions=[one.copy() for one in node.expressions])
        node.replace(struct)
        for one in struct.expressions:
            one.meta["unnamed"] = True
        return self.type(struct)

    def _array(self, node: exp.Array) -> Type:
        if node.expressions and isinstance(node.expressions[0], exp.Query):
            columns = self.query_type(node.expressions[0], self.scope)
            if len(columns) != 1:
                raise invalid_query(
                    "ARRAY subquery cannot have more than one column unless using SELECT AS STRUCT"
                )
            return special_types.array_type(columns[0][1])
        self.types(node.expressions)
        special_types.single_fields(node)
        common = common_type(node.expressions) if node.expressions else None
        if node.expressions and common is None:
            kinds = ", ".join(str(type_of(one)) for one in node.expressions)
            raise invalid_query(
                f"Array elements of types {{{kinds}}} do not have a common supertype"
            )
        kind = special_types.array_type(common) if common else empty_array(None)
        for one in list(node.expressions):
            convert(one, kind.element or NULL)
        return kind

    def _bracket(self, node: exp.Bracket) -> Type:
        kind = self.type(node.this)
        self.types(node.expressions)
        return special_types.element_type(node, kind)

    # Subqueries.

    def _subquery(self, node: Any) -> Type:
        columns = self.query_type(node, self.scope)
        if len(columns) != 1:
            raise invalid_query(
                "Scalar subquery cannot have more than one column unless using SELECT AS STRUCT"
            )
        return columns[0][1]

    def _exists(self, node: exp.Exists) -> Type:
        self.query_type(node.this, self.scope)
        return BOOL

    def _in(self, node: exp.In) -> Type:
        self.type(node.this)
        self.types(node.expressions)
        if unnested := node.args.get("unnest"):
            self.type(unnested.expressions[0])
        if query := node.args.get("query"):
            columns = self.query_type(query, self.scope)
            if len(columns) != 1:
                raise invalid_query("Subquery of type IN must have only one output column")
            set_type(query, columns[0][1])
        return operators.in_type(node)

    # Functions.

    def _by_signature(self, node: Any) -> Type:
        listed = SIGNATURES.get(type(node))
        if listed is None:
            raise unsupported(f"{node.key.upper()} in this place")
        check_call(node)
        names, signatures = listed
        nodes = [one for name in names.split() for one in _arguments(node, name)]
        for one in nodes:
            self.type(_innermost(one))
            self._modifiers(one)
        nodes = [_innermost(one) for name in names.split() for one in _arguments(node, name)]
        special_types.prepared(node, nodes)
        nodes = [_innermost(one) for name in names.split() for one in _arguments(node, name)]
        given = [argument(one) for one in nodes]
        special_types.check_before(node, given)
        wanted, result = resolved(special_types.name_of(node), signatures, given)
        for one, kind in zip(nodes, wanted, strict=True):
            convert(one, kind)
        return special_types.checked_result(node, wanted, result)

    def _modifiers(self, node: Any) -> None:
        """Types the ORDER BY, LIMIT and HAVING MAX within an aggregate's parentheses."""
        while isinstance(node, _AGGREGATE_MODIFIERS):
            if isinstance(node, exp.Order):
                for ordered in node.expressions:
                    self.type(ordered.this)
                    operators.orderable(ordered.this, "ORDER BY")
            if isinstance(node, exp.Limit | exp.HavingMax):
                self.type(node.expression)
            node = node.expressions[0] if isinstance(node, exp.Distinct) else node.this

    def _count(self, node: exp.Count) -> Type:
        value: Any = node.this
        if not isinstance(value, exp.Star):
            self.types(value.expressions if isinstance(value, exp.Distinct) else [value])
        return INT64

    def _window(self, node: exp.Window) -> Type:
        # A WINDOW clause has a name there.
        check_window(node)
        kind = NULL if isinstance(node.this, exp.Identifier) else self.type(node.this)
        self.types(node.args.get("partition_by") or ())
        for ordered in node.args["order"].expressions if node.args.get("order") else ():
            self.type(ordered.this)
            operators.orderable(ordered.this, "ORDER BY")
        for side in ("start", "end"):
            bound = node.args["spec"].args.get(side) if node.args.get("spec") else None
            if isinstance(bound, exp.Expr):
                self.type(bound)
        return kind

    def _interval(self, node: exp.Interval) -> Type:
        if node.this is not None:
            self.type(node.this)
        return INTERVAL

    def _extract(self, node: exp.Extract) -> Type:
        return special_types.extracted_type(node, self.type(node.expression))

    def _inner(self, node: exp.Expr) -> Type:
        return self.type(node.this)

    def _logical(self, node: exp.Expr) -> Type:
        self._children(node)
        return operators.logical_type(node)

    def _with_children(self, typed: Callable[[Any], Type]) -> Handler:
        return lambda _, node: typed(node)


Handler = Callable[[ExpressionTyper, Any], Type]


def _after_children(typed: Callable[[Any], Type]) -> Handler:
    def handle(typer: ExpressionTyper, node: Any) -> Type:
        typer._children(node)
        return typed(node)

    return handle


def _constant(kind: Type) -> Handler:
    return lambda _, __: kind


def _case(typer: ExpressionTyper, node: exp.Case) -> Type:
    if node.this is not None:
        typer.type(node.this)
    for one in node.args["ifs"]:
        typer.type(one.this)
        typer.type(one.args["true"])
    if node.args.get("default") is not None:
        typer.type(node.args["default"])
    return operators.case_type(node)


def _filtered(typer: ExpressionTyper, node: exp.Filter) -> Type:
    """An aggregate of a PIVOT."""
    typer.type(node.expression.this)
    return typer.type(node.this)


def _safe_function(typer: ExpressionTyper, node: exp.SafeFunc) -> Type:
    kind = typer.type(node.this)
    safe_call(node)
    return kind


def _like(typer: ExpressionTyper, node: exp.Like) -> Type:
    several = node.expression
    if not isinstance(several, exp.Any | exp.All):
        return typer._by_signature(node)
    inner = several.this
    if not isinstance(inner, exp.Tuple | exp.Paren):
        raise unsupported("LIKE ANY and LIKE ALL with other than a list")
    patterns = inner.expressions if isinstance(inner, exp.Tuple) else [inner.this]
    for one in [node.this, *patterns]:
        if typer.type(one) not in (STRING, NULL):
            raise no_signature("LIKE", [argument(one)], operator=True)
    return BOOL


def _arguments(node: exp.Expr, name: str) -> list[exp.Expr]:
    value = node.args.get(name)
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, exp.Expr) else []


def _innermost(node: Any) -> Any:
    """An aggregate's argument without DISTINCT, ORDER BY and LIMIT."""
    while isinstance(node, _AGGREGATE_MODIFIERS):
        node = node.expressions[0] if isinstance(node, exp.Distinct) else node.this
    return node


_HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Literal: ExpressionTyper._literal,
    exp.RawString: _constant(STRING),
    exp.ByteString: _constant(BYTES),
    exp.HexString: _constant(INT64),
    exp.Boolean: _constant(BOOL),
    exp.Null: _constant(NULL),
    exp.Cast: ExpressionTyper._cast,
    exp.TryCast: ExpressionTyper._cast,
    exp.Struct: ExpressionTyper._struct,
    exp.Tuple: ExpressionTyper._tuple,
    exp.Array: ExpressionTyper._array,
    exp.Bracket: ExpressionTyper._bracket,
    exp.Dot: ExpressionTyper._dot,
    exp.Subquery: ExpressionTyper._subquery,
    exp.Select: ExpressionTyper._subquery,
    exp.Exists: ExpressionTyper._exists,
    exp.In: ExpressionTyper._in,
    exp.Count: ExpressionTyper._count,
    exp.Window: ExpressionTyper._window,
    exp.Filter: _filtered,
    exp.IgnoreNulls: ExpressionTyper._inner,
    exp.RespectNulls: ExpressionTyper._inner,
    exp.Paren: ExpressionTyper._inner,
    exp.Alias: ExpressionTyper._inner,
    exp.SafeFunc: _safe_function,
    exp.Like: _like,
    exp.Interval: ExpressionTyper._interval,
    exp.Extract: ExpressionTyper._extract,
    exp.And: ExpressionTyper._logical,
    exp.Or: ExpressionTyper._logical,
    exp.Not: ExpressionTyper._logical,
    exp.Is: _after_children(operators.is_type),
    exp.Neg: _after_children(operators.negated_type),
    exp.Between: _after_children(operators.between_type),
    exp.Case: _case,
    exp.Uuid: _constant(STRING),
    exp.Rand: _constant(FLOAT64),
    exp.Grouping: _after_children(lambda _: INT64),
    exp.TimeToStr: _after_children(special_types.formatted_type),
    exp.TsOrDsToDate: _after_children(special_types.formatted_value),
    exp.TsOrDsToDatetime: _after_children(special_types.formatted_value),
    exp.TsOrDsToTimestamp: _after_children(special_types.formatted_value),
    exp.TsOrDsToTime: _after_children(special_types.formatted_value),
    exp.Format: _after_children(special_types.format_type),
    exp.JSONFormat: _after_children(lambda _: STRING),
    exp.ApproxTopK: _after_children(special_types.top_count_type),
    **dict.fromkeys(operators.COMPARISONS, _after_children(operators.comparison_type)),
    **dict.fromkeys(operators.ARITHMETIC, _after_children(operators.arithmetic_type)),
}
__all__ = ["Argument", "ExpressionTyper", "array_of", "no_signature"]
