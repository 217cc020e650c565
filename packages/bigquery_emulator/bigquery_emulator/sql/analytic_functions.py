"""What analytic functions ask of their OVER: that there is one, its ORDER BY, its frame."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from bigquery_emulator.errors import invalid_query

_RANKS = (exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile)
_ORDERED = (*_RANKS, exp.Lag, exp.Lead)
_FRAMELESS = (*_ORDERED, exp.RowNumber)
_ONLY_WITH_OVER = (
    *(*_FRAMELESS, exp.FirstValue, exp.LastValue, exp.NthValue),
    *(exp.PercentileCont, exp.PercentileDisc),
)
_NULL_TREATMENTS = (exp.IgnoreNulls, exp.RespectNulls)


def check_call(node: exp.Expr) -> None:
    """Refuses an analytic function without OVER.

    Raises:
        ApiError: it is one.
    """
    around = node.parent
    while isinstance(around, _NULL_TREATMENTS):
        around = around.parent
    if isinstance(node, _ONLY_WITH_OVER) and not isinstance(around, exp.Window):
        raise invalid_query(
            f"Analytic function {node.sql_name()} cannot be called without an OVER clause"
        )


def check_window(node: exp.Window) -> None:
    """Refuses an OVER that its function cannot have.

    Raises:
        ApiError: it lacks an ORDER BY, or has a frame.
    """
    function: Any = node.this
    while isinstance(function, _NULL_TREATMENTS):
        function = function.this
    if not isinstance(function, exp.Func) or node.args.get("alias"):
        return  # a WINDOW clause, or the use of one
    if isinstance(function, _ORDERED) and not node.args.get("order"):
        raise invalid_query(
            f"Window ORDER BY is required for analytic function {function.sql_name()}"
        )
    if isinstance(function, _FRAMELESS) and node.args.get("spec"):
        raise invalid_query(
            f"Window framing clause is not allowed for analytic function {function.sql_name()}"
        )
