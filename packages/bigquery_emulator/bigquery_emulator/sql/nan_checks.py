"""Refuses queries whose answer would depend on how NaN compares.

In BigQuery NaN equals nothing and sorts before every number; in DuckDB it equals itself and sorts
after them. The catalog knows which columns hold a NaN; most hold none, and nothing is refused.
"""

from __future__ import annotations

from sqlglot import exp

from bigquery_emulator.errors import unsupported

_COMPARING = (
    exp.ApproxQuantiles,
    exp.Between,
    exp.Case,
    exp.EQ,
    exp.GT,
    exp.GTE,
    exp.Greatest,
    exp.In,
    exp.LT,
    exp.LTE,
    exp.Least,
    exp.Max,
    exp.Min,
    exp.NEQ,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Nullif,
    exp.Ordered,
    exp.PercentileCont,
)


def check_nan_comparisons(statement: exp.Expr, nan_columns: set[str]) -> None:
    """Refuses a statement that compares, orders or takes the extreme of a column with a NaN.

    Args:
        statement: as it was parsed.
        nan_columns: the lower-case names of the columns that hold one, in the tables it reads.

    Raises:
        ApiError: it does.
    """
    if not nan_columns:
        return
    tainted = _with_aliases(statement, nan_columns)
    has_set_operation = statement.find(exp.SetOperation) is not None
    for node in statement.find_all(*_COMPARING):
        ordinal = isinstance(node, exp.Ordered) and isinstance(node.this, exp.Literal)
        # The columns of a set operation, and those that a number names, are not followed.
        if has_set_operation or ordinal or _names_of(node) & tainted:
            raise unsupported(
                "comparing and ordering NaN values, which the column "
                f"{min(nan_columns)} of this query has"
            )


def _with_aliases(statement: exp.Expr, names: set[str]) -> set[str]:
    """The names, and the aliases of what is computed of them."""
    aliases = [
        (alias.alias.lower(), _names_of(alias.this)) for alias in statement.find_all(exp.Alias)
    ]
    tainted, before = set(names), 0
    while len(tainted) != before:
        before = len(tainted)
        tainted |= {alias for alias, used in aliases if used & tainted}
    return tainted


def _names_of(node: exp.Expr) -> set[str]:
    return {column.name.lower() for column in node.find_all(exp.Column)}
