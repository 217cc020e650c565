"""WITH RECURSIVE: rounds are counted, and too many end the query as in BigQuery."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import unsupported

_ROUND = "_round"
_MOST_ROUNDS = 500
RECURSION_MACROS = f"""
CREATE OR REPLACE MACRO bq_next_round(n) AS CASE WHEN n >= {_MOST_ROUNDS}
    THEN bq_error('A recursive CTE has reached the maximum of {_MOST_ROUNDS} iterations')
    ELSE n + 1 END;
"""


def count_rounds(name: str, query: Any) -> None:
    """Adds a column that counts the rounds of a query, if it is recursive.

    Args:
        name: of the WITH item.
        query: analyzed, so that no star shows the new column.

    Raises:
        ApiError: its rounds cannot be counted.
    """
    if not any(_refers(one, name) for one in query.find_all(exp.Table)):
        return
    recursive = query.expression.unnest() if isinstance(query, exp.Union) else None
    if not isinstance(recursive, exp.Select) or any(
        recursive.args.get(part) for part in ("distinct", "group", "having", "kind")
    ):
        raise unsupported("a WITH RECURSIVE of this shape")
    if query.args.get("distinct"):
        raise unsupported("WITH RECURSIVE with UNION DISTINCT")
    from_ = recursive.args.get("from_")
    joins = recursive.args.get("joins") or ()
    items = [*([from_.this] if from_ else []), *(join.this for join in joins)]
    referring = [one for one in items if isinstance(one, exp.Table) and _refers(one, name)]
    if len(referring) != 1:
        raise unsupported("a WITH RECURSIVE of this shape")
    count = exp.column(_ROUND, table=referring[0].alias_or_name, quoted=True)
    call = exp.Anonymous(this="bq_next_round", expressions=[count])
    recursive.append("expressions", exp.alias_(call, _ROUND, quoted=True))
    first = query.this.copy()
    alias = exp.TableAlias(this=exp.to_identifier("_first", quoted=True))
    started = exp.Select(
        expressions=[
            exp.Star(),
            exp.alias_(exp.Literal.number(0), _ROUND, quoted=True),
        ],
        from_=exp.From(this=exp.Subquery(this=first, alias=alias)),
    )
    query.set("this", started)


def _refers(node: exp.Table, name: str) -> bool:
    return not node.db and node.name.lower() == name.lower()
