"""PIVOT and UNPIVOT, each written as a query of what it is applied to."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query, unsupported
from bigquery_emulator.sql.types import Type


def pivoted(node: Any, columns: list[tuple[str, Type]]) -> exp.Subquery:
    """A PIVOT or UNPIVOT written as a query of what it is applied to.

    Args:
        node: the table or subquery in FROM, with its PIVOT or UNPIVOT; it moves into the query.
        columns: the columns that it has.

    Raises:
        ApiError: it is wrong, or of a shape that is not supported.
    """
    pivots = node.args["pivots"]
    pivot = pivots[0]
    if len(pivots) > 1 or len(pivot.args.get("fields") or ()) != 1:
        raise unsupported("several PIVOTs of one table")
    choice: Any = pivot.args["fields"][0]
    if pivot.args.get("unpivot"):
        node.set("pivots", None)
        return _placed(node, pivot, _unpivoted(node, pivot, choice, columns))
    key = choice.this
    if not isinstance(choice, exp.In) or not isinstance(key, exp.Column):
        raise unsupported("PIVOT FOR other than a column")
    node.set("pivots", None)
    aggregates = list(pivot.expressions)
    used = {key.name.lower()}
    used |= {one.name.lower() for part in aggregates for one in part.find_all(exp.Column)}
    groups = [name for name, _ in columns if name.lower() not in used]
    if len(aggregates) > 1 and not all(isinstance(one, exp.Alias) for one in aggregates):
        raise invalid_query("PIVOT with several aggregates needs an alias for each")
    query = exp.select(*[exp.column(name, quoted=True) for name in groups])
    for value in choice.expressions:
        constant, label = _labelled(value)
        for aggregate in aggregates:
            call = aggregate.this if isinstance(aggregate, exp.Alias) else aggregate
            prefix = f"{aggregate.alias}_" if isinstance(aggregate, exp.Alias) else ""
            where = exp.EQ(this=key.copy(), expression=constant.copy())
            filtered = exp.Filter(this=call.copy(), expression=exp.Where(this=where))
            query = query.select(exp.alias_(filtered, prefix + label, quoted=True))
    query = query.from_(node.copy())
    if groups:
        query = query.group_by(*[exp.column(name, quoted=True) for name in groups])
    return _placed(node, pivot, query)


def _placed(node: Any, pivot: exp.Pivot, query: exp.Select) -> exp.Subquery:
    """Puts the query in the place of what the PIVOT is applied to."""
    alias = pivot.args.get("alias")
    subquery = exp.Subquery(this=query)
    if alias is not None:
        subquery.set("alias", alias.copy())
    node.replace(subquery)
    return subquery


def _unpivoted(
    node: Any, pivot: exp.Pivot, choice: Any, columns: list[tuple[str, Type]]
) -> exp.Select:
    """An UNPIVOT as a join of each row with an array of its columns."""
    values = _listed(pivot.expressions[0])
    kinds = {name.lower(): (name, kind) for name, kind in columns}
    used: set[str] = set()
    rows, expected = [], None
    for item in choice.expressions:
        aliased = isinstance(item, exp.PivotAlias)
        names = [one.name for one in _listed(item.this if aliased else item)]
        if len(names) != len(values):
            raise invalid_query("UNPIVOT columns and values differ in number")
        for name in names:
            if name.lower() not in kinds:
                raise invalid_query(f"Unrecognized name: {name} in UNPIVOT")
            if name.lower() in used:
                raise invalid_query(f"Duplicate column {name} in UNPIVOT")
            used.add(name.lower())
        found = [kinds[name.lower()][1] for name in names]
        expected = expected or found
        for name, kind, wanted in zip(names, found, expected, strict=True):
            if kind != wanted:
                raise invalid_query(
                    f"The datatype of column {name} does not match with other datatypes in the IN "
                    f"clause of UNPIVOT. Expected {wanted}, Found {kind}"
                )
        alias = item.args["alias"] if aliased else exp.Literal.string("_".join(names))
        if not isinstance(alias, exp.Literal):
            raise invalid_query("Syntax error: UNPIVOT IN takes aliases of STRING or INT64")
        named = [
            exp.alias_(exp.column(name, quoted=True), f"value_{at}")
            for at, name in enumerate(names)
        ]
        rows.append(exp.Struct(expressions=[*named, exp.alias_(alias.copy(), "name")]))
    element = exp.to_identifier("_unpivoted")
    array = exp.Unnest(
        expressions=[exp.Array(expressions=rows)], alias=exp.TableAlias(columns=[element])
    )
    parts = [exp.column(f"value_{at}", table="_unpivoted") for at in range(len(values))]
    kept = [exp.column(name, quoted=True) for name, _ in columns if name.lower() not in used]
    query = exp.select(
        *kept,
        *(exp.alias_(part, one.name, quoted=True) for part, one in zip(parts, values, strict=True)),
        exp.alias_(exp.column("name", table="_unpivoted"), choice.this.name, quoted=True),
    )
    query = query.from_(node.copy()).join(array, join_type="cross")
    if not pivot.args.get("include_nulls"):
        present = [exp.Not(this=exp.Is(this=part.copy(), expression=exp.Null())) for part in parts]
        query = query.where(exp.or_(*present))
    return query


def _listed(node: Any) -> list[Any]:
    """The names of a list in parentheses, or the one."""
    return list(node.expressions) if isinstance(node, exp.Tuple) else [node]


def _labelled(value: Any) -> tuple[exp.Expr, str]:
    """A value of the IN list, and the name that it gives to its column."""
    if isinstance(value, exp.PivotAlias | exp.Alias):
        alias = value.args["alias"]
        return value.this, str(alias.name if isinstance(alias, exp.Expr) else alias)
    if isinstance(value, exp.Literal):
        text = str(value.this)
        if value.is_string or text.isdigit():
            return value, text if value.is_string else f"_{text}"
    raise unsupported("PIVOT IN values without an alias, other than texts and whole numbers")
